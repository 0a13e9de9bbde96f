//===- SafeTensors.h - Reading .safetensors files ----------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_HF_SAFETENSORS_H
#define QOPT_FRONTEND_HF_SAFETENSORS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace qopt {

/// One entry of a file's header.
struct SafeTensor {
  std::string name;
  std::string dtype; ///< as written: F32, BF16, I8, ...
  llvm::SmallVector<int64_t, 2> shape;
  llvm::StringRef bytes; ///< of the file, exactly the shape's
};

/// The tensors of a file's bytes, in the order of their data, by the published
/// format: eight bytes of header length (little-endian, at most 100 MB), a JSON
/// header, and the tensors' bytes without a gap or an overlap up to the end.
/// `what` names the file in errors.
llvm::Expected<std::vector<SafeTensor>> readSafeTensors(llvm::StringRef file, llvm::StringRef what);

} // namespace qopt

#endif // QOPT_FRONTEND_HF_SAFETENSORS_H
