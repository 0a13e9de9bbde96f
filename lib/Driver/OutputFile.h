//===- OutputFile.h - A text that is a file whole or not at all -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DRIVER_OUTPUTFILE_H
#define QOPT_DRIVER_OUTPUTFILE_H

#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <optional>
#include <string>

namespace qopt {

/// A text under a temporary name beside its path until keep() gives it the path:
/// what can't be written, a full disk too, is an error and leaves no file.
class OutputFile {
public:
  /// \p path "-" is the standard output; that, a device or a pipe gets the text with keep().
  static llvm::Expected<OutputFile> write(llvm::StringRef path, std::string text);

  OutputFile(OutputFile &&) = default;
  ~OutputFile();

  llvm::Error keep();

private:
  OutputFile(llvm::StringRef path, std::string text) : path(path.str()), text(std::move(text)) {}
  llvm::Error fail(const std::string &what);
  std::error_code writeTo(llvm::raw_fd_ostream &stream) const;

  std::string path, text;
  std::optional<llvm::sys::fs::TempFile> temporary;
};

/// Writes and keeps.
llvm::Error writeOutput(llvm::StringRef path, std::string text);

} // namespace qopt

#endif // QOPT_DRIVER_OUTPUTFILE_H
