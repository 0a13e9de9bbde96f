//===- Folder.h - A folder of a fuzzer --------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FUZZ_FOLDER_H
#define QOPT_FUZZ_FOLDER_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>

namespace qopt::fuzz {

/// A new folder that goes with the object.
class Folder {
public:
  Folder() {
    if (llvm::sys::fs::createUniqueDirectory("qopt-fuzz", root))
      std::abort();
  }
  ~Folder() { llvm::sys::fs::remove_directories(root); }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;

  std::string path(llvm::StringRef name) const { return (root + "/" + name).str(); }
  void write(llvm::StringRef name, llvm::StringRef text) const {
    std::error_code code;
    llvm::raw_fd_ostream(path(name), code) << text;
    if (code)
      std::abort();
  }

private:
  llvm::SmallString<128> root;
};

} // namespace qopt::fuzz

#endif // QOPT_FUZZ_FOLDER_H
