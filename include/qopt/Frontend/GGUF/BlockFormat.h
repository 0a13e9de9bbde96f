//===- BlockFormat.h - Block formats of GGUF ---------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How GGUF stores rows of a tensor: blocks of 1, 32 or 256 elements. Bytes and
/// arithmetic are those of ggml-quants.c (dequantize_row_*), every product and
/// sum rounded to float32 in its order.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_GGUF_BLOCKFORMAT_H
#define QOPT_FRONTEND_GGUF_BLOCKFORMAT_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace qopt {

struct BlockFormat {
  uint32_t id; ///< ggml_type in the file
  llvm::StringRef name;
  int64_t elements;   ///< of a block
  int64_t blockBytes; ///< of a block
  /// Decodes one block.
  void (*decode)(const uint8_t *block, float *out);

  bool isFloat() const { return elements == 1; }
};

/// Null for a type that is not supported.
const BlockFormat *findBlockFormat(uint32_t id);

/// For errors: the name of a type that the format defines, else its number.
std::string blockFormatName(uint32_t id);

/// "F32, F16, ..."
std::string supportedBlockFormats();

} // namespace qopt

#endif // QOPT_FRONTEND_GGUF_BLOCKFORMAT_H
