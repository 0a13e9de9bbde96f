//===- SafeTensors.cpp - Reading .safetensors files -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/HF/SafeTensors.h"
#include "qopt/Frontend/MappedTensor.h"
#include "qopt/Frontend/ModelFiles.h"
#include "qopt/Frontend/Text.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#include <nlohmann/json.hpp>

using namespace llvm;
using namespace qopt;
using nlohmann::json;

/// Bytes of an element, 0 for a type that the format does not define.
static int64_t elementBytes(StringRef dtype) {
  return StringSwitch<int64_t>(dtype)
      .Cases({"F64", "I64", "U64"}, 8)
      .Cases({"F32", "I32", "U32"}, 4)
      .Cases({"F16", "BF16", "I16", "U16"}, 2)
      .Cases({"BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2"}, 1)
      .Default(0);
}

/// A list of `count` integers not below 0 (any number of them for -1).
static bool readSizes(const json &value, int64_t count, SmallVectorImpl<int64_t> &sizes) {
  if (!value.is_array() || (count >= 0 && value.size() != static_cast<size_t>(count)) ||
      value.size() > 8)
    return false;
  for (const json &size : value) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > INT64_MAX)
      return false;
    sizes.push_back(size.get<int64_t>());
  }
  return true;
}

static Error readEntry(const std::string &name, const json &entry, StringRef data,
                       SafeTensor &tensor) {
  auto invalid = [&](const Twine &why) {
    return createStringError("tensor '" + printable(name) + "' " + why);
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() ||
      !entry.contains("shape") || !entry.contains("data_offsets"))
    return invalid("needs a dtype, a shape and data_offsets");
  tensor.name = name;
  tensor.dtype = entry["dtype"].get<std::string>();
  int64_t width = elementBytes(tensor.dtype);
  if (width == 0)
    return invalid("has unknown dtype '" + printable(tensor.dtype) + "'");
  SmallVector<int64_t, 2> offsets;
  if (!readSizes(entry["shape"], -1, tensor.shape))
    return invalid("has an invalid shape, expected at most 8 integers");
  if (!readSizes(entry["data_offsets"], 2, offsets) || offsets[0] > offsets[1])
    return invalid("has invalid data_offsets, expected begin <= end");
  if (static_cast<uint64_t>(offsets[1]) > data.size())
    return invalid(formatv("ends at byte {0} of {1} bytes of data", offsets[1], data.size()).str());
  std::optional<int64_t> bytes = tensorBytes(tensor.shape, width);
  if (bytes != offsets[1] - offsets[0])
    return invalid(formatv("of shape {0} and dtype {1} has {2} bytes, expected {3}",
                           shapeText(tensor.shape), tensor.dtype, offsets[1] - offsets[0],
                           bytes ? std::to_string(*bytes) : "fewer than 2^63")
                       .str());
  tensor.bytes = data.slice(offsets[0], offsets[1]);
  return Error::success();
}

/// The format has no holes: one tensor begins where another ends.
static Error checkLayout(ArrayRef<SafeTensor> tensors, StringRef data) {
  const char *end = data.begin();
  for (const SafeTensor &tensor : tensors) {
    if (tensor.bytes.begin() != end)
      return createStringError(
          formatv("tensor '{0}' begins at byte {1} of the data, expected {2}: tensors must not "
                  "overlap or leave gaps",
                  printable(tensor.name), tensor.bytes.begin() - data.begin(), end - data.begin()));
    end = tensor.bytes.end();
  }
  if (end != data.end())
    return createStringError(
        formatv("tensors end at byte {0} of {1} bytes of data", end - data.begin(), data.size()));
  return Error::success();
}

static Error readHeader(StringRef file, std::vector<SafeTensor> &tensors) {
  constexpr uint64_t maxHeader = 100'000'000;
  if (file.size() < 8)
    return createStringError(formatv("has {0} bytes, expected at least 8", file.size()));
  uint64_t length = support::endian::read64le(file.data());
  if (length > maxHeader || length > file.size() - 8)
    return createStringError(formatv("header of {0} bytes, expected at most {1}", length,
                                     std::min<uint64_t>(maxHeader, file.size() - 8)));
  Expected<json> header = parseJson(file.substr(8, length), "header");
  if (!header)
    return header.takeError();
  if (!header->is_object())
    return createStringError("header must be a JSON object");
  StringRef data = file.drop_front(8 + length);
  for (const auto &[name, entry] : header->items()) {
    if (name == "__metadata__")
      continue;
    if (Error error = readEntry(name, entry, data, tensors.emplace_back()))
      return error;
  }
  // An empty tensor may share its place with the one that follows.
  llvm::sort(tensors, [](const SafeTensor &a, const SafeTensor &b) {
    return std::tuple(a.bytes.begin(), a.bytes.end(), StringRef(a.name)) <
           std::tuple(b.bytes.begin(), b.bytes.end(), StringRef(b.name));
  });
  return checkLayout(tensors, data);
}

Expected<std::vector<SafeTensor>> qopt::readSafeTensors(StringRef file, StringRef what) {
  std::vector<SafeTensor> tensors;
  if (Error error = readHeader(file, tensors))
    return inContext(what, std::move(error));
  return tensors;
}
