//===- SourceHash.cpp - What a model was made from ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/SourceHash.h"
#include "qopt/Frontend/Text.h"
#include "llvm/Support/FormatVariadic.h"
#include <xxhash.h>

using namespace llvm;
using namespace qopt;

std::string qopt::hashSource(StringRef description, const WeightStore &weights) {
  std::string text = description.str();
  for (const auto &[name, tensor] : weights) {
    std::optional<GroupQuantization> groups = tensor->groupQuantization();
    text +=
        formatv("\n{0} {1} {2}", name, shapeText(tensor->shape()), static_cast<int>(tensor->type()))
            .str();
    if (groups)
      text += formatv(" {0} {1} {2}", groups->bits, groups->groupSize, groups->affine).str();
  }
  XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return formatv("{0}{1}", format_hex_no_prefix(hash.high64, 16),
                 format_hex_no_prefix(hash.low64, 16));
}
