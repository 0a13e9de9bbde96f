//===- TestFiles.h - Files that the frontend tests make ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_FRONTEND_TESTFILES_H
#define QOPT_TEST_UNIT_FRONTEND_TESTFILES_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>
#include <vector>

namespace qopt::test {

/// A new folder that goes with the object.
class TempFolder {
public:
  TempFolder() { EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("qopt-frontend", root)); }
  ~TempFolder() { llvm::sys::fs::remove_directories(root); }
  TempFolder(const TempFolder &) = delete;
  TempFolder &operator=(const TempFolder &) = delete;

  std::string path(llvm::StringRef name = "") const {
    llvm::SmallString<128> joined(root);
    if (!name.empty())
      llvm::sys::path::append(joined, name);
    return std::string(joined);
  }
  std::string write(llvm::StringRef name, llvm::StringRef text) const {
    std::string file = path(name);
    llvm::sys::fs::create_directories(llvm::sys::path::parent_path(file));
    std::error_code code;
    llvm::raw_fd_ostream(file, code) << text;
    EXPECT_FALSE(code) << code.message();
    return file;
  }

private:
  llvm::SmallString<128> root;
};

inline std::string fixture(llvm::StringRef name) {
  return std::string(QOPT_TEST_DIR "/fixtures/frontend/") + name.str();
}

inline std::string readFile(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, false, false);
  EXPECT_TRUE(static_cast<bool>(buffer)) << path;
  return buffer ? (*buffer)->getBuffer().str() : "";
}

template <typename T> std::string littleEndian(T value) {
  return std::string(reinterpret_cast<const char *>(&value), sizeof(T));
}

/// The bytes of a .safetensors file with this header and data.
inline std::string safeTensors(const std::string &header, const std::string &data) {
  return littleEndian<uint64_t>(header.size()) + header + data;
}

inline std::string floatBytes(const std::vector<float> &values) {
  return std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
}

/// Fails unless `result` is an error whose text has `part` in it.
template <typename T> void expectError(llvm::Expected<T> result, llvm::StringRef part) {
  ASSERT_FALSE(static_cast<bool>(result)) << "expected the error: " << part.str();
  std::string text = llvm::toString(result.takeError());
  EXPECT_NE(text.find(part.str()), std::string::npos) << "found: " << text;
}
inline void expectError(llvm::Error error, llvm::StringRef part) {
  std::string text = llvm::toString(std::move(error));
  EXPECT_NE(text.find(part.str()), std::string::npos) << "found: " << text;
}

/// The value, or a failure that shows the error.
template <typename T> T unwrap(llvm::Expected<T> result) {
  if (!result) {
    ADD_FAILURE() << llvm::toString(result.takeError());
    std::abort();
  }
  return std::move(*result);
}
inline void expectOk(llvm::Error error) { EXPECT_EQ(llvm::toString(std::move(error)), ""); }

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_FRONTEND_TESTFILES_H
