//===- NpyTest.cpp - .npy files -------------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Support/Npy.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

std::string tempFile(const char *name) { return ::testing::TempDir() + "qopt-" + name + ".npy"; }

void writeBytes(const std::string &path, const std::string &bytes) {
  npy_detail::File file(std::fopen(path.c_str(), "wb"));
  std::fwrite(bytes.data(), 1, bytes.size(), file.get());
}

std::string npyText(const std::string &header, size_t dataBytes) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 0xff);
  text += static_cast<char>(header.size() >> 8);
  return text + header + std::string(dataBytes, '\0');
}

TEST(Npy, RoundTrip) {
  std::string path = tempFile("roundtrip");
  std::vector<float> values = {1.5f, -2.0f, 0.1f, 4.0f, 5.0f, 6.0f};
  for (std::vector<int64_t> shape : {std::vector<int64_t>{2, 3}, {6}, {1, 6, 1}}) {
    ASSERT_TRUE(writeNpy(path, shape, values.data()).isOk());
    NpyArray<float> array;
    Status status = readNpy(path, array);
    ASSERT_TRUE(status.isOk()) << status.message();
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(array.data, values);
  }
  std::vector<int64_t> ids = {-1, int64_t(1) << 50};
  ASSERT_TRUE(writeNpy(path, {2}, ids.data()).isOk());
  NpyArray<int64_t> array;
  ASSERT_TRUE(readNpy(path, array).isOk());
  EXPECT_EQ(array.data, ids);
  NpyArray<float> wrong;
  EXPECT_EQ(readNpy(path, wrong).message(), "file '" + path + "' has elements '<i8', expected '<f4'");
}

TEST(Npy, ScalarHasAnEmptyShape) {
  std::string path = tempFile("scalar");
  float value = 3.0f;
  ASSERT_TRUE(writeNpy(path, {}, &value).isOk());
  NpyArray<float> array;
  ASSERT_TRUE(readNpy(path, array).isOk());
  EXPECT_TRUE(array.shape.empty());
  EXPECT_EQ(array.data, std::vector<float>{3.0f});
}

TEST(Npy, NegativeHostileFiles) {
  std::string path = tempFile("hostile");
  NpyArray<float> array;
  EXPECT_FALSE(readNpy(path + ".none", array).isOk());
  auto fails = [&](const std::string &bytes, const char *expected) {
    writeBytes(path, bytes);
    Status status = readNpy(path, array);
    EXPECT_FALSE(status.isOk());
    EXPECT_NE(status.message().find(expected), std::string::npos) << status.message();
  };
  std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  fails("", "is not a .npy file");
  fails("\x93NUMPX\x01\x00\x10\x00", "is not a .npy file");
  fails(npyText(good, 24).substr(0, 30), "ends in its header");
  fails(npyText(good, 23), "has 23 bytes of data, expected 24");
  fails(npyText(good, 25), "has 25 bytes of data, expected 24");
  fails(npyText("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", 24), "Fortran");
  fails(npyText("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", 48), "'<f8'");
  for (const char *shape : {"(99999999999999999999,)", "(-1,)", "(1000000,1000000,1000000)", "2", "(2"})
    fails(npyText(std::string("{'descr': '<f4', 'fortran_order': False, 'shape': ") + shape, 0),
          "has no valid shape");
}

} // namespace
