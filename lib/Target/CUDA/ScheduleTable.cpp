//===- ScheduleTable.cpp - Schedules that were measured -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScheduleTable.h"
#include "DeviceHeaders.h"
#include "KernelConfigs.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include <limits>

using namespace qopt;
using cuda::GemmConfig;
using llvm::StringRef;
using llvm::Twine;

static constexpr DeviceHeader shippedTables[] = {
#include "Schedules.inc"
};

namespace {

/// One entry; keeps the first error.
class EntryReader {
public:
  explicit EntryReader(const llvm::json::Object &entry) : entry(entry) {}

  ScheduleEntry read() {
    GemmConfig &c = result.layer.config;
    expect(string(entry, "op") == "gemm", "\"op\" \"gemm\"");
    c.codes = static_cast<cuda::Codes>(oneOf("codes", cuda::codesNames));
    c.n = integer(entry, "n");
    c.k = integer(entry, "k");
    c.group = integer(entry, "group");
    c.affine = boolean(entry, "affine");
    c.scale = static_cast<cuda::Number>(oneOf("scale", cuda::numberNames));
    c.pair = boolean(entry, "pair");
    result.layer.isFloat = oneOf("output", outputs) == 1;
    result.layer.rows = integer(entry, "rows");
    if (entry.get("prologue"))
      c.prologue = static_cast<cuda::Prologue>(oneOf("prologue", cuda::prologueNames));
    result.microseconds = number("us");
    result.modelMicroseconds = number("model_us");
    result.device = string(entry, "device");
    const llvm::json::Object *params = entry.getObject("params");
    expect(params, "an object \"params\"");
    if (params)
      readParams(*params, c);
    if (error.empty())
      checkConfig(c);
    return result;
  }

  std::string error;

private:
  static constexpr StringRef outputs[] = {"bf16", "f32"};

  void readParams(const llvm::json::Object &params, GemmConfig &c) {
    c.tile_n = integer(params, "tile_n");
    c.tile_t = integer(params, "tile_t");
    c.k_stage = integer(params, "k_stage");
    c.stages = integer(params, "stages");
    c.k_warps = integer(params, "k_warps");
    c.row_copies = boolean(params, "row_copies");
    c.wgmma = boolean(params, "wgmma");
    if (params.get("spread"))
      c.spread = boolean(params, "spread");
    if (params.get("cluster"))
      c.cluster = integer(params, "cluster");
  }

  void checkConfig(const GemmConfig &c) {
    if (const char *reason = cuda::reason_invalid(c))
      error = result.layer.name() + ": " + reason;
    else if (cuda::threads(c) > 1024)
      error = (result.layer.name() + ": a block has at most 1024 threads, found " +
               Twine(cuda::threads(c)))
                  .str();
  }

  void expect(bool holds, const Twine &expected) {
    if (!holds && error.empty())
      error = ("expected " + expected).str();
  }

  /// Small and positive, so that no product of two overflows.
  int integer(const llvm::json::Object &object, StringRef name) {
    std::optional<int64_t> value = object.getInteger(name);
    bool fits = value && *value > 0 && *value <= int64_t(1) << 24;
    expect(fits, "a positive integer \"" + name + "\"");
    return fits ? static_cast<int>(*value) : 1;
  }
  bool boolean(const llvm::json::Object &object, StringRef name) {
    std::optional<bool> value = object.getBoolean(name);
    expect(value.has_value(), "true or false as \"" + name + "\"");
    return value.value_or(false);
  }
  std::string string(const llvm::json::Object &object, StringRef name) {
    std::optional<StringRef> value = object.getString(name);
    expect(value.has_value(), "a string \"" + name + "\"");
    return value.value_or("").str();
  }
  double number(StringRef name) {
    std::optional<double> value = entry.getNumber(name);
    expect(value && *value > 0, "a positive number \"" + name + "\"");
    return value.value_or(0);
  }
  size_t oneOf(StringRef name, llvm::ArrayRef<StringRef> names) {
    const StringRef *found = llvm::find(names, string(entry, name));
    expect(found != names.end(), "\"" + name + "\" to be one of " + llvm::join(names, ", "));
    return found == names.end() ? 0 : found - names.begin();
  }

  const llvm::json::Object &entry;
  ScheduleEntry result;
};

} // namespace

std::string TunedLayer::name() const {
  const GemmConfig &c = config;
  std::string text =
      llvm::formatv("{0} {1}x{2}", cuda::codesNames[static_cast<int>(c.codes)], c.n, c.k);
  if (is_fragment(c))
    text += is_per_channel(c) ? ", per channel" : ", group " + std::to_string(c.group);
  if (c.affine)
    text += ", affine";
  if (c.codes != cuda::Codes::bf16 && c.scale != cuda::Number::bf16)
    text += ", scales of " + cuda::numberNames[static_cast<int>(c.scale)].str();
  if (c.pair)
    text += ", pair";
  if (has_prologue(c))
    text += ", " + cuda::prologueNames[static_cast<int>(c.prologue)].str();
  if (isFloat)
    text += ", f32";
  return text + ", " + std::to_string(rows) + (rows == 1 ? " row" : " rows");
}

llvm::Error ScheduleTable::add(StringRef text, StringRef file) {
  llvm::Expected<llvm::json::Value> root = llvm::json::parse(text);
  if (!root)
    return llvm::createStringError(file + ": " + llvm::toString(root.takeError()));
  const llvm::json::Object *object = root->getAsObject();
  const llvm::json::Array *list = object ? object->getArray("schedules") : nullptr;
  if (!list)
    return llvm::createStringError(file + ": expected an object with an array \"schedules\"");
  for (auto [i, value] : llvm::enumerate(*list)) {
    const llvm::json::Object *entry = value.getAsObject();
    if (!entry)
      return llvm::createStringError(file + ": schedule " + Twine(i) + ": expected an object");
    EntryReader reader(*entry);
    ScheduleEntry read = reader.read();
    if (!reader.error.empty())
      return llvm::createStringError(file + ": schedule " + Twine(i) + ": " + reader.error);
    entries[read.layer.name()] = std::move(read);
  }
  return llvm::Error::success();
}

llvm::Error ScheduleTable::addFile(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return llvm::createStringError("schedule table '" + path +
                                   "' can't be read: " + buffer.getError().message());
  return add((*buffer)->getBuffer(), path);
}

const ScheduleEntry *ScheduleTable::find(const TunedLayer &layer) const {
  auto found = entries.find(layer.name());
  return found == entries.end() ? nullptr : &found->second;
}

llvm::Expected<ScheduleTable> qopt::shippedSchedules() {
  ScheduleTable table;
  for (const DeviceHeader &shipped : shippedTables)
    if (llvm::Error error = table.add(shipped.text, shipped.name))
      return error;
  return table;
}

static StringRef boolName(bool value) { return value ? "true" : "false"; }

/// ` "prologue": "norm",` of a layer that has one.
static std::string prologueOf(const GemmConfig &c) {
  if (!has_prologue(c))
    return "";
  return (" \"prologue\": \"" + cuda::prologueNames[static_cast<int>(c.prologue)] + "\",").str();
}

std::string qopt::printSchedules(llvm::ArrayRef<ScheduleEntry> entries) {
  std::string text = "{\"schedules\": [";
  for (auto [i, entry] : llvm::enumerate(entries)) {
    const GemmConfig &c = entry.layer.config;
    text += llvm::formatv(
        "{0}\n  {{\"op\": \"gemm\", \"codes\": \"{1}\", \"n\": {2}, \"k\": {3}, \"group\": {4}, "
        "\"affine\": {5}, \"scale\": \"{6}\", \"pair\": {7}, \"output\": \"{8}\", \"rows\": {9},{10}\n",
        i ? "," : "", cuda::codesNames[static_cast<int>(c.codes)], c.n, c.k, c.group,
        boolName(c.affine), cuda::numberNames[static_cast<int>(c.scale)], boolName(c.pair),
        entry.layer.isFloat ? "f32" : "bf16", entry.layer.rows, prologueOf(c));
    text +=
        llvm::formatv("   \"params\": {{\"tile_n\": {0}, \"tile_t\": {1}, \"k_stage\": {2}, "
                      "\"stages\": {3}, \"k_warps\": {4}, \"row_copies\": {5}, \"wgmma\": {6}{7}{8}},\n",
                      c.tile_n, c.tile_t, c.k_stage, c.stages, c.k_warps, boolName(c.row_copies),
                      boolName(c.wgmma), c.spread ? ", \"spread\": true" : "",
                      c.cluster > 1 ? ", \"cluster\": " + std::to_string(c.cluster) : "");
    text +=
        llvm::formatv("   \"us\": {0:f2}, \"model_us\": {1:f2}, \"device\": {2}}",
                      entry.microseconds, entry.modelMicroseconds, llvm::json::Value(entry.device));
  }
  return text + "\n]}\n";
}
