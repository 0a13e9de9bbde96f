//===- Scheme.cpp - How a weight is quantized -----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Quantization/Scheme.h"
#include "qopt/Support/Float.h"

using namespace qopt;

Status Scheme::check(int64_t columns) const {
  if (columns <= 0)
    return Status::invalid("row has " + std::to_string(columns) + " elements, expected some");
  if (groupSize < 0 || columns % groupElements(columns) != 0)
    return Status::invalid("group size " + std::to_string(groupSize) +
                           " does not divide K = " + std::to_string(columns));
  return Status::ok();
}

float qopt::levels(Storage storage) {
  switch (storage) {
  case Storage::int4:
    return 7.5f;
  case Storage::uint4:
    return 15.0f;
  case Storage::int8:
    return 127.5f;
  case Storage::e4m3:
    return 448.0f;
  }
  return 0.0f;
}

float qopt::codeValue(Storage storage, uint8_t code) {
  switch (storage) {
  case Storage::int4:
  case Storage::int8:
    return static_cast<float>(static_cast<int8_t>(code));
  case Storage::uint4:
    return static_cast<float>(code);
  case Storage::e4m3:
    return e4m3ToFloat(code);
  }
  return 0.0f;
}

float qopt::roundTo(ScaleType type, float value) {
  switch (type) {
  case ScaleType::f32:
    return value;
  case ScaleType::bf16:
    return roundToBf16(value);
  case ScaleType::f16:
    return f16ToFloat(floatToF16(value));
  }
  return value;
}

GroupChoice qopt::chooseGroupSize(int64_t columns) {
  std::string k = "K = " + std::to_string(columns);
  if (columns > 0) {
    if (columns % 128 == 0)
      return {128, "128 divides " + k};
    if (columns % 64 == 0)
      return {64, "128 does not divide " + k + ", 64 does"};
    if (columns % 32 == 0)
      return {32, "128 and 64 do not divide " + k + ", 32 does"};
  }
  return {0, "none of 128, 64 and 32 divides " + k};
}
