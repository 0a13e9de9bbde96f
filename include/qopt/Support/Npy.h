//===- Npy.h - Arrays in NumPy's .npy format ---------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Reads and writes .npy files (NEP 1): little-endian float32 and int64, C
/// order. Files are not trusted: the sizes are checked before anything is
/// allocated for them.
///
///   NpyArray<float> logits;
///   if (Status status = readNpy("logits.npy", logits); !status)
///     return status;
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_NPY_H
#define QOPT_SUPPORT_NPY_H

#include "qopt/Runtime/Status.h"
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

namespace qopt {

/// A dense row-major array; data.size() is the product of the shape.
template <typename T> struct NpyArray {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, int64_t>);
  std::vector<int64_t> shape;
  std::vector<T> data;

  static const char *descr() { return std::is_same_v<T, float> ? "<f4" : "<i8"; }
};

namespace npy_detail {

struct Close {
  void operator()(std::FILE *file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

/// The text behind `'key':` in a header, or empty.
inline std::string_view field(std::string_view header, std::string_view key) {
  size_t at = header.find(key);
  if (at == std::string_view::npos)
    return {};
  std::string_view rest = header.substr(at + key.size());
  size_t first = rest.find_first_not_of(" :");
  return first == std::string_view::npos ? std::string_view() : rest.substr(first);
}

/// Parses `(2, 3)`; false when it is not a shape or its product overflows.
inline bool parseShape(std::string_view text, std::vector<int64_t> &shape, int64_t &count) {
  constexpr int64_t most = int64_t(1) << 40;
  if (text.empty() || text.front() != '(')
    return false;
  count = 1;
  size_t i = 1;
  while (true) {
    while (i < text.size() && (text[i] == ' ' || text[i] == ','))
      ++i;
    if (i >= text.size())
      return false;
    if (text[i] == ')')
      return true;
    if (text[i] < '0' || text[i] > '9')
      return false;
    int64_t dim = 0;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
      dim = dim * 10 + (text[i] - '0');
      if (dim > most)
        return false;
    }
    if (dim != 0 && count > most / dim)
      return false;
    count *= dim;
    shape.push_back(dim);
  }
}

} // namespace npy_detail

/// Fails when the file can't be read, holds another type or Fortran order, or
/// is shorter or longer than its shape says.
template <typename T> Status readNpy(const std::string &path, NpyArray<T> &array) {
  auto invalid = [&](const std::string &what) {
    return Status::invalid("file '" + path + "' " + what);
  };
  npy_detail::File file(std::fopen(path.c_str(), "rb"));
  if (!file)
    return invalid(std::string("can't be opened: ") + std::strerror(errno));
  unsigned char preamble[12];
  if (std::fread(preamble, 1, 10, file.get()) != 10 || std::memcmp(preamble, "\x93NUMPY", 6) != 0)
    return invalid("is not a .npy file");
  size_t headerSize = preamble[8] | (preamble[9] << 8);
  if (preamble[6] >= 2) { // version 2 has a four-byte length
    if (std::fread(preamble + 10, 1, 2, file.get()) != 2)
      return invalid("ends in its header");
    headerSize |= (size_t(preamble[10]) << 16) | (size_t(preamble[11]) << 24);
  }
  if (headerSize > (1u << 20))
    return invalid("has a header of " + std::to_string(headerSize) +
                   " bytes, expected at most 1 MiB");
  std::string header(headerSize, '\0');
  if (std::fread(header.data(), 1, headerSize, file.get()) != headerSize)
    return invalid("ends in its header");

  std::string_view descr = npy_detail::field(header, "'descr'");
  std::string expected = std::string("'") + NpyArray<T>::descr() + "'";
  if (descr.substr(0, expected.size()) != expected)
    return invalid("has elements " + std::string(descr.substr(0, descr.find(','))) + ", expected " +
                   expected);
  if (npy_detail::field(header, "'fortran_order'").substr(0, 5) != "False")
    return invalid("is in Fortran order, expected C order");
  array.shape.clear();
  int64_t count = 0;
  if (!npy_detail::parseShape(npy_detail::field(header, "'shape'"), array.shape, count))
    return invalid("has no valid shape");

  long start = std::ftell(file.get());
  std::fseek(file.get(), 0, SEEK_END);
  int64_t bytes = std::ftell(file.get()) - start;
  if (start < 0 || bytes != count * static_cast<int64_t>(sizeof(T)))
    return invalid("has " + std::to_string(bytes) + " bytes of data, expected " +
                   std::to_string(count * sizeof(T)));
  std::fseek(file.get(), start, SEEK_SET);
  array.data.resize(count);
  if (std::fread(array.data.data(), sizeof(T), count, file.get()) != static_cast<size_t>(count))
    return invalid("can't be read");
  return Status::ok();
}

/// Writes version 1.0; the data starts at a multiple of 64 bytes. Leaves no file
/// that is cut short.
template <typename T>
Status writeNpy(const std::string &path, const std::vector<int64_t> &shape, const T *data) {
  std::string header =
      std::string("{'descr': '") + NpyArray<T>::descr() + "', 'fortran_order': False, 'shape': (";
  size_t count = 1;
  for (int64_t dim : shape) {
    header += std::to_string(dim) + ", ";
    count *= dim;
  }
  if (shape.size() > 1) // (3,) keeps its comma, (2, 3) has none at the end
    header.resize(header.size() - 2);
  header += "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  unsigned char preamble[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  preamble[8] = header.size() & 0xff;
  preamble[9] = (header.size() >> 8) & 0xff;
  npy_detail::File file(std::fopen(path.c_str(), "wb"));
  auto failure = [&] { return "file '" + path + "' can't be written: " + std::strerror(errno); };
  if (!file)
    return Status::invalid(failure());
  if (std::fwrite(preamble, 1, 10, file.get()) == 10 &&
      std::fwrite(header.data(), 1, header.size(), file.get()) == header.size() &&
      std::fwrite(data, sizeof(T), count, file.get()) == count && std::fflush(file.get()) == 0)
    return Status::ok();
  Status status = Status::unavailable(failure());
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) // not a device or a pipe
    std::filesystem::remove(path, ignored);
  return status;
}

} // namespace qopt

#endif // QOPT_SUPPORT_NPY_H
