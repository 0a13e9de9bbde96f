//===- GGUFFile.cpp - Reading GGUF files ----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/GGUF/GGUFFile.h"
#include "qopt/Frontend/MappedTensor.h"
#include "qopt/Frontend/ModelFiles.h"
#include "qopt/Frontend/Text.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <charconv>
#include <set>

using namespace llvm;
using namespace qopt;

/// Bytes of a scalar, 0 for strings and arrays, nothing for an unknown type.
static std::optional<int64_t> scalarBytes(uint32_t type) {
  static constexpr int64_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  if (type >= std::size(bytes))
    return std::nullopt;
  return bytes[type];
}

// Many times what any model has. An entry takes more memory than bytes of the
// file, and so does an element of a list that somebody asks for.
static constexpr uint64_t maxKeys = 1 << 12, maxTensors = 1 << 16, maxElements = 1 << 21;

namespace qopt {

class GGUFReader {
public:
  explicit GGUFReader(StringRef file) : file(file) {}
  Error read(GGUFFile &out);

private:
  // Each returns 0, or an empty text, past the end, and the error stays.
  template <typename T> T scalar();
  StringRef bytes(uint64_t count);
  StringRef text();

  GGUFValue value();
  void metadata(uint64_t count, GGUFFile &out);
  void describeTensor(GGUFTensor &tensor);
  void describeTensors(uint64_t count, GGUFFile &out);
  void placeTensors(GGUFFile &out);
  void fail(const Twine &why) {
    if (problem.empty())
      problem = why.str();
  }
  bool failed() const { return !problem.empty(); }

  StringRef file;
  uint64_t position = 0;
  std::vector<uint64_t> offsets; // of the tensors, from the start of the data
  std::string problem;
};

StringRef GGUFReader::bytes(uint64_t count) {
  if (failed())
    return "";
  if (count > file.size() - position) {
    fail(
        formatv("ends after {0} bytes, expected {1} more at byte {2}", file.size(), count, position)
            .str());
    return "";
  }
  StringRef result = file.substr(position, count);
  position += count;
  return result;
}

template <typename T> T GGUFReader::scalar() {
  StringRef source = bytes(sizeof(T));
  return failed() ? T() : support::endian::read<T, endianness::little>(source.data());
}

StringRef GGUFReader::text() { return bytes(scalar<uint64_t>()); }

GGUFValue GGUFReader::value() {
  GGUFValue result;
  uint32_t type = scalar<uint32_t>();
  result.isArray = type == static_cast<uint32_t>(GGUFType::array);
  if (result.isArray) {
    type = scalar<uint32_t>();
    result.count = scalar<uint64_t>();
    if (type == static_cast<uint32_t>(GGUFType::array))
      fail("arrays of arrays are not supported");
  }
  result.type = static_cast<GGUFType>(type);
  std::optional<int64_t> width = scalarBytes(type);
  if (!width) {
    fail("unknown value type " + Twine(type));
    return result;
  }
  uint64_t start = position;
  if (*width == 0) {
    for (uint64_t i = 0; i < result.count && !failed(); ++i)
      text();
  } else if (result.count > (file.size() - position) / *width) {
    fail(formatv("an array of {0} elements is longer than the file", result.count).str());
  } else {
    bytes(result.count * *width);
  }
  if (result.isArray && !failed() && result.count > maxElements)
    fail(
        formatv("an array of {0} elements, expected at most {1}", result.count, maxElements).str());
  result.bytes = file.slice(start, position);
  return result;
}

void GGUFReader::metadata(uint64_t count, GGUFFile &out) {
  if (!failed() && count > maxKeys)
    fail(formatv("has {0} metadata keys, expected at most {1}", count, maxKeys).str());
  for (uint64_t i = 0; i < count && !failed(); ++i) {
    std::string key = text().str();
    GGUFValue entry = value();
    if (failed()) {
      problem = "metadata '" + printable(key) + "': " + problem;
      return;
    }
    if (!out.metadata_.try_emplace(key, entry).second)
      fail("metadata '" + printable(key) + "' stands twice");
  }
}

void GGUFReader::describeTensor(GGUFTensor &tensor) {
  tensor.name = text().str();
  uint32_t rank = scalar<uint32_t>();
  if (rank < 1 || rank > 4)
    return fail(
        formatv("tensor '{0}' has {1} dimensions, expected 1 to 4", printable(tensor.name), rank)
            .str());
  for (uint32_t i = 0; i < rank; ++i) {
    uint64_t dim = scalar<uint64_t>();
    if (dim == 0 || dim > INT64_MAX)
      return fail(formatv("tensor '{0}' has a dimension of {1}, expected a positive size",
                          printable(tensor.name), dim)
                      .str());
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(dim)); // innermost comes first
  }
  uint32_t type = scalar<uint32_t>();
  offsets.push_back(scalar<uint64_t>());
  if (failed())
    return;
  tensor.format = findBlockFormat(type);
  if (!tensor.format)
    return fail(formatv("tensor '{0}' has type {1}, expected one of {2}", printable(tensor.name),
                        blockFormatName(type), supportedBlockFormats())
                    .str());
  if (tensor.shape.back() % tensor.format->elements != 0)
    fail(formatv("tensor '{0}' has rows of {1} elements, expected a multiple of the {2} of a "
                 "{3} block",
                 printable(tensor.name), tensor.shape.back(), tensor.format->elements,
                 tensor.format->name)
             .str());
}

void GGUFReader::describeTensors(uint64_t count, GGUFFile &out) {
  // A description takes at least 8 + 4 + 8 + 4 + 8 bytes.
  if (count > (file.size() - position) / 32)
    return fail(formatv("{0} tensors do not fit into the file", count).str());
  if (count > maxTensors)
    return fail(formatv("has {0} tensors, expected at most {1}", count, maxTensors).str());
  std::set<std::string> names;
  for (uint64_t i = 0; i < count && !failed(); ++i) {
    describeTensor(out.tensors_.emplace_back());
    if (!failed() && !names.insert(out.tensors_.back().name).second)
      fail("tensor '" + printable(out.tensors_.back().name) + "' stands twice");
  }
}

/// Finds each tensor's bytes in the data, which begin at the next multiple of
/// the alignment.
void GGUFReader::placeTensors(GGUFFile &out) {
  int64_t alignment = out.integer("general.alignment").value_or(32);
  if (alignment < 1 || alignment > (1 << 20) || !isPowerOf2_64(alignment))
    return fail(
        formatv("general.alignment is {0}, expected a power of two up to 2^20", alignment).str());
  out.header_ = file.take_front(position);
  uint64_t start = std::min<uint64_t>(alignTo(position, alignment), file.size());
  StringRef data = file.drop_front(start);
  SmallVector<std::pair<uint64_t, uint64_t>> ranges;
  for (auto [tensor, offset] : zip_equal(out.tensors_, offsets)) {
    const BlockFormat &format = *tensor.format;
    SmallVector<int64_t, 2> blocks(tensor.shape);
    blocks.back() /= format.elements;
    std::optional<int64_t> size = tensorBytes(blocks, format.blockBytes);
    if (offset % alignment != 0)
      return fail(formatv("tensor '{0}' begins at byte {1} of the data, expected a multiple of {2}",
                          printable(tensor.name), offset, alignment)
                      .str());
    if (!size || offset > data.size() || static_cast<uint64_t>(*size) > data.size() - offset)
      return fail(formatv("tensor '{0}' of shape {1} and type {2} at byte {3} does not fit into "
                          "{4} bytes of data",
                          printable(tensor.name), shapeText(tensor.shape), format.name, offset,
                          data.size())
                      .str());
    tensor.bytes = data.substr(offset, *size);
    ranges.push_back({offset, offset + *size});
  }
  llvm::sort(ranges);
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].first < ranges[i - 1].second)
      return fail(formatv("two tensors overlap at byte {0} of the data", ranges[i].first).str());
}

Error GGUFReader::read(GGUFFile &out) {
  if (!file.starts_with("GGUF"))
    return createStringError("does not begin with 'GGUF'");
  position = 4;
  uint32_t version = scalar<uint32_t>();
  if (!failed() && version != 2 && version != 3)
    fail(formatv("has GGUF version {0}, expected 2 or 3, little-endian", version).str());
  uint64_t numTensors = scalar<uint64_t>(), numKeys = scalar<uint64_t>();
  metadata(numKeys, out);
  if (!failed())
    describeTensors(numTensors, out);
  if (!failed())
    placeTensors(out);
  return failed() ? createStringError(problem) : Error::success();
}

} // namespace qopt

Expected<GGUFFile> GGUFFile::read(StringRef file, StringRef what) {
  GGUFFile result;
  if (Error error = GGUFReader(file).read(result))
    return inContext(what, std::move(error));
  return result;
}

//===----------------------------------------------------------------------===//
// Metadata
//===----------------------------------------------------------------------===//

static std::optional<int64_t> integerAt(GGUFType type, const char *at) {
  using namespace support::endian;
  switch (type) {
  case GGUFType::u8:
    return static_cast<uint8_t>(*at);
  case GGUFType::i8:
    return static_cast<int8_t>(*at);
  case GGUFType::u16:
    return read16le(at);
  case GGUFType::i16:
    return static_cast<int16_t>(read16le(at));
  case GGUFType::u32:
    return read32le(at);
  case GGUFType::i32:
    return static_cast<int32_t>(read32le(at));
  case GGUFType::i64:
    return static_cast<int64_t>(read64le(at));
  case GGUFType::u64:
    if (read64le(at) <= INT64_MAX)
      return static_cast<int64_t>(read64le(at));
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

const GGUFValue *GGUFFile::find(StringRef key, bool isArray) const {
  auto entry = metadata_.find(std::string_view(key));
  return entry == metadata_.end() || entry->second.isArray != isArray ? nullptr : &entry->second;
}

std::optional<int64_t> GGUFFile::integer(StringRef key) const {
  const GGUFValue *value = find(key, false);
  return value ? integerAt(value->type, value->bytes.data()) : std::nullopt;
}

std::optional<double> GGUFFile::number(StringRef key) const {
  const GGUFValue *value = find(key, false);
  if (!value)
    return std::nullopt;
  if (value->type == GGUFType::f64)
    return support::endian::read<double, endianness::little>(value->bytes.data());
  if (value->type != GGUFType::f32)
    return std::nullopt;
  float narrow = support::endian::read<float, endianness::little>(value->bytes.data());
  char text[32];
  char *end = std::to_chars(text, text + sizeof(text), narrow).ptr;
  double wide = narrow;
  std::from_chars(text, end, wide);
  return wide;
}

std::optional<bool> GGUFFile::boolean(StringRef key) const {
  const GGUFValue *value = find(key, false);
  if (!value || value->type != GGUFType::boolean)
    return std::nullopt;
  return value->bytes[0] != 0;
}

std::optional<std::string> GGUFFile::string(StringRef key) const {
  const GGUFValue *value = find(key, false);
  if (!value || value->type != GGUFType::string)
    return std::nullopt;
  return value->bytes.drop_front(8).str();
}

std::optional<std::vector<std::string>> GGUFFile::strings(StringRef key) const {
  const GGUFValue *value = find(key, true);
  if (!value || value->type != GGUFType::string)
    return std::nullopt;
  std::vector<std::string> result;
  for (StringRef rest = value->bytes; !rest.empty();) {
    uint64_t length = support::endian::read64le(rest.data()); // checked when it was read
    result.push_back(rest.substr(8, length).str());
    rest = rest.drop_front(8 + length);
  }
  return result;
}

std::optional<std::vector<int64_t>> GGUFFile::integers(StringRef key) const {
  const GGUFValue *value = find(key, true);
  if (!value || value->type == GGUFType::string)
    return std::nullopt;
  std::vector<int64_t> result;
  int64_t width = *scalarBytes(static_cast<uint32_t>(value->type));
  for (uint64_t i = 0; i < value->count; ++i) {
    std::optional<int64_t> element = integerAt(value->type, value->bytes.data() + i * width);
    if (!element)
      return std::nullopt;
    result.push_back(*element);
  }
  return result;
}
