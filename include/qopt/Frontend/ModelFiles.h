//===- ModelFiles.h - Files of a model's folder ------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Opening what a model consists of. A model can't be trusted: a name that comes
/// from one of its files must lie in its folder, symbolic links resolved.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_MODELFILES_H
#define QOPT_FRONTEND_MODELFILES_H

#include "qopt/Frontend/Text.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace qopt {

/// Maps a regular file. Fails when it is larger than `maxBytes`.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> openModelFile(llvm::StringRef path,
                                                                  uint64_t maxBytes = INT64_MAX);

/// The real path of `name`, a relative path without "..", in `folder`. Symbolic
/// links may lead to other files of the folder or, from a snapshot of the Hugging
/// Face hub cache, to the blobs of the same model; anywhere else is an error. So
/// is a file with several hard links, which may be a name of any file of the disk.
llvm::Expected<std::string> resolveInFolder(llvm::StringRef folder, llvm::StringRef name);

/// The text of file `name` of the folder, or nothing when there is no such file.
/// `name` is the caller's, not the model's: it may have hard links.
llvm::Expected<std::optional<std::string>>
readOptionalFile(llvm::StringRef folder, llvm::StringRef name, uint64_t maxBytes);

/// Parses JSON. Fails on nesting deeper than 64, on more than 2^18 values, and on
/// an object that has a key twice. `what` names the text in errors.
llvm::Expected<nlohmann::json> parseJson(llvm::StringRef text, llvm::StringRef what);

} // namespace qopt

#endif // QOPT_FRONTEND_MODELFILES_H
