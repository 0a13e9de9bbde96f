//===- TensorReader.cpp - The bytes of ONNX tensors -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReaderDetail.h"
#include "mlir/IR/BuiltinTypes.h"
#include "qopt/Frontend/MappedTensor.h"
#include "qopt/Frontend/ModelFiles.h"
#include "llvm/Support/Path.h"
#include <climits>

using namespace llvm;
using namespace qopt;
using namespace qopt::onnx;

mlir::Type onnx::elementType(int32_t dataType, mlir::MLIRContext &context) {
  using Signedness = mlir::IntegerType::SignednessSemantics;
  auto integer = [&](unsigned width, Signedness sign = Signedness::Signless) {
    return mlir::IntegerType::get(&context, width, sign);
  };
  switch (dataType) {
  case 1:
    return mlir::Float32Type::get(&context);
  case 2:
    return integer(8, Signedness::Unsigned);
  case 3:
    return integer(8);
  case 4:
    return integer(16, Signedness::Unsigned);
  case 5:
    return integer(16);
  case 6:
    return integer(32);
  case 7:
    return integer(64);
  case 9:
    return integer(1);
  case 10:
    return mlir::Float16Type::get(&context);
  case 11:
    return mlir::Float64Type::get(&context);
  case 12:
    return integer(32, Signedness::Unsigned);
  case 13:
    return integer(64, Signedness::Unsigned);
  case 16:
    return mlir::BFloat16Type::get(&context);
  case 17:
    return mlir::Float8E4M3FNType::get(&context);
  case 21:
    return integer(4, Signedness::Unsigned);
  case 22:
    return integer(4);
  default:
    return {};
  }
}

TensorReader::TensorReader(StringRef file, mlir::MLIRContext &context, WeightStore &store)
    : file(file), folder(sys::path::parent_path(file)), context(context), store(store) {
  if (folder.empty())
    folder = ".";
}

/// Bytes of `size` values; booleans have one each, 4-bit integers half of one.
static std::optional<int64_t> byteCount(mlir::RankedTensorType type) {
  int64_t bits = type.getElementTypeBitWidth() == 1 ? 8 : type.getElementTypeBitWidth();
  std::optional<int64_t> all = tensorBytes(type.getShape(), bits);
  if (!all || *all > INT64_MAX - 7)
    return std::nullopt;
  return (*all + 7) / 8;
}

/// The typed fields hold one element an entry, narrow floats as their bits.
template <typename Entry, typename Field>
static std::string pack(const Field &field, unsigned elementBytes) {
  std::string bytes;
  for (Entry entry : field) {
    char buffer[sizeof(Entry)];
    std::memcpy(buffer, &entry, sizeof(Entry));
    bytes.append(buffer, std::min<size_t>(elementBytes, sizeof(Entry)));
  }
  return bytes;
}

static std::string packFields(const TensorProto &tensor, mlir::Type type) {
  unsigned width = std::max(1u, type.getIntOrFloatBitWidth() / 8);
  if (type.isF32())
    return pack<float>(tensor.float_data(), width);
  if (type.isF64())
    return pack<double>(tensor.double_data(), width);
  if (type.isSignlessInteger(64))
    return pack<int64_t>(tensor.int64_data(), width);
  if (type.isUnsignedInteger(64) || type.isUnsignedInteger(32))
    return pack<uint64_t>(tensor.uint64_data(), width);
  return pack<int32_t>(tensor.int32_data(), width);
}

Expected<TensorBytes> TensorReader::read(const TensorProto &tensor, StringRef name) {
  mlir::Type element = elementType(tensor.data_type(), context);
  if (!element)
    return onnx::error("{0}: tensor '{1}' has data type {2}, which is not supported", file,
                       printable(name), tensor.data_type());
  SmallVector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  if (any_of(shape, [](int64_t dim) { return dim < 0; }))
    return onnx::error("{0}: tensor '{1}' has shape {2}", file, printable(name), shapeText(shape));
  auto type = mlir::RankedTensorType::get(shape, element);
  std::optional<int64_t> size = byteCount(type);
  if (!size)
    return onnx::error("{0}: tensor '{1}' has shape {2}, which is out of range", file,
                       printable(name), shapeText(shape));
  TensorBytes result{type, {}};
  if (tensor.data_location() == 1) {
    Expected<StringRef> bytes = readExternal(tensor, *size);
    if (!bytes)
      return onnx::error("{0}: tensor '{1}': {2}", file, printable(name),
                         toString(bytes.takeError()));
    result.bytes = *bytes;
  } else if (tensor.has_raw_data()) {
    result.bytes = tensor.raw_data(); // the message lives as long as the store
  } else {
    auto packed = std::make_shared<std::string>(packFields(tensor, element));
    result.bytes = *packed;
    store.own(packed);
  }
  if (static_cast<int64_t>(result.bytes.size()) != *size)
    return onnx::error("{0}: tensor '{1}' of shape {2} has {3} bytes, expected {4}", file,
                       printable(name), shapeText(shape), result.bytes.size(), *size);
  return result;
}

Expected<StringRef> TensorReader::readExternal(const TensorProto &tensor, int64_t size) {
  StringRef location;
  uint64_t offset = 0, length = size;
  for (const StringStringEntryProto &entry : tensor.external_data()) {
    StringRef value = entry.value();
    if (entry.key() == "location")
      location = value;
    else if (entry.key() == "offset" && value.getAsInteger(10, offset))
      return onnx::error("external data has offset '{0}'", printable(value));
    else if (entry.key() == "length" && value.getAsInteger(10, length))
      return onnx::error("external data has length '{0}'", printable(value));
  }
  std::shared_ptr<MemoryBuffer> &buffer = externalFiles[location];
  if (!buffer) {
    Expected<std::string> resolved = resolveInFolder(folder, location);
    if (!resolved)
      return resolved.takeError();
    Expected<std::unique_ptr<MemoryBuffer>> opened = openModelFile(*resolved);
    if (!opened)
      return opened.takeError();
    buffer = std::move(*opened);
    store.own(buffer);
  }
  uint64_t available = buffer->getBufferSize();
  if (length != static_cast<uint64_t>(size))
    return onnx::error("external data has length {0}, expected {1}", length, size);
  if (offset > available || length > available - offset)
    return onnx::error("external data at {0} to {1} lies outside of '{2}' of {3} bytes", offset,
                       offset + length, printable(location), available);
  return buffer->getBuffer().substr(offset, length);
}

mlir::DenseElementsAttr TensorReader::toElements(const TensorBytes &tensor) {
  unsigned width = tensor.type.getElementTypeBitWidth();
  if (width != 1 && width != 4) // one element for all is told by the attribute itself
    return mlir::DenseElementsAttr::getFromRawBuffer(
        tensor.type, ArrayRef<char>(tensor.bytes.data(), tensor.bytes.size()));
  SmallVector<APInt> values;
  for (int64_t i = 0, n = tensor.type.getNumElements(); i < n; ++i) {
    uint8_t byte = tensor.bytes[width == 1 ? i : i / 2];
    values.emplace_back(width, width == 1 ? byte != 0 : byte >> (i % 2 * 4) & 15);
  }
  return mlir::DenseElementsAttr::get(tensor.type, values);
}
