//===- OutputFile.cpp - A text that is a file whole or not at all ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OutputFile.h"
#include <cstdio>

using namespace qopt;

llvm::Error OutputFile::fail(const std::string &what) {
  return llvm::createStringError("can't write '" + path + "': " + what);
}

std::error_code OutputFile::writeTo(llvm::raw_fd_ostream &stream) const {
  stream << text;
  stream.flush();
  std::error_code code = stream.error();
  stream.clear_error(); // or the stream's end would end the process
  return code;
}

llvm::Expected<OutputFile> OutputFile::write(llvm::StringRef path, std::string text) {
  OutputFile file(path, std::move(text));
  // What is renamed to the path would replace a device or a pipe.
  llvm::sys::fs::file_status existing;
  bool isThere = path != "-" && !llvm::sys::fs::status(path, existing);
  if (path == "-" || (isThere && llvm::sys::fs::is_other(existing)))
    return file;
  if (isThere && llvm::sys::fs::is_directory(existing))
    return file.fail("a folder is there");
  llvm::Expected<llvm::sys::fs::TempFile> created = llvm::sys::fs::TempFile::create(
      path + ".tmp-%%%%%%", llvm::sys::fs::all_read | llvm::sys::fs::all_write);
  if (!created)
    return file.fail(llvm::toString(created.takeError()));
  file.temporary.emplace(std::move(*created));
  llvm::raw_fd_ostream stream(file.temporary->FD, /*shouldClose=*/false);
  if (std::error_code code = file.writeTo(stream))
    return file.fail(code.message());
  return file;
}

OutputFile::~OutputFile() {
  if (temporary)
    llvm::consumeError(temporary->discard());
}

llvm::Error OutputFile::keep() {
  if (path == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout); // main looks whether that went well
    return llvm::Error::success();
  }
  if (!temporary) {
    std::error_code code;
    llvm::raw_fd_ostream stream(path, code);
    if (!code)
      code = writeTo(stream);
    return code ? fail(code.message()) : llvm::Error::success();
  }
  llvm::Error error = temporary->keep(path);
  temporary.reset();
  return error ? fail(llvm::toString(std::move(error))) : llvm::Error::success();
}

llvm::Error qopt::writeOutput(llvm::StringRef path, std::string text) {
  llvm::Expected<OutputFile> file = OutputFile::write(path, std::move(text));
  return file ? file->keep() : file.takeError();
}
