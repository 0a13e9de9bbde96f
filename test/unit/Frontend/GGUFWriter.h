//===- GGUFWriter.h - GGUF files for tests -------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_FRONTEND_GGUFWRITER_H
#define QOPT_TEST_UNIT_FRONTEND_GGUFWRITER_H

#include "TestFiles.h"

namespace qopt::test {

inline std::string ggufText(llvm::StringRef text) {
  return littleEndian<uint64_t>(text.size()) + text.str();
}

/// Writes files that can be wrong in any way that a test wants.
class GGUFWriter {
public:
  uint32_t version = 3;
  uint64_t alignment = 32;

  void key(llvm::StringRef name, uint32_t type, const std::string &bytes) {
    keys += ggufText(name) + littleEndian(type) + bytes;
    ++numKeys;
  }
  void integer(llvm::StringRef name, uint32_t value) { key(name, 4, littleEndian(value)); }
  void number(llvm::StringRef name, float value) { key(name, 6, littleEndian(value)); }
  void string(llvm::StringRef name, llvm::StringRef value) { key(name, 8, ggufText(value)); }
  void flag(llvm::StringRef name, bool value) { key(name, 7, std::string(1, value)); }
  void strings(llvm::StringRef name, const std::vector<std::string> &values) {
    std::string bytes = littleEndian<uint32_t>(8) + littleEndian<uint64_t>(values.size());
    for (const std::string &value : values)
      bytes += ggufText(value);
    key(name, 9, bytes);
  }
  /// `shape` innermost first, as in the file.
  void tensorAt(uint64_t offset, llvm::StringRef name, const std::vector<uint64_t> &shape,
                uint32_t type) {
    descriptions += ggufText(name) + littleEndian<uint32_t>(shape.size());
    for (uint64_t dim : shape)
      descriptions += littleEndian(dim);
    descriptions += littleEndian(type) + littleEndian(offset);
    ++numTensors;
  }
  void tensor(llvm::StringRef name, const std::vector<uint64_t> &shape, uint32_t type,
              const std::string &bytes) {
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    tensorAt(data.size(), name, shape, type);
    data += bytes;
  }
  std::string file() const {
    std::string header = "GGUF" + littleEndian(version) + littleEndian(numTensors) +
                         littleEndian(numKeys) + keys + descriptions;
    header.resize((header.size() + alignment - 1) / alignment * alignment);
    return header + data;
  }

  uint64_t numKeys = 0, numTensors = 0;
  std::string data;

private:
  std::string keys, descriptions;
};

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_FRONTEND_GGUFWRITER_H
