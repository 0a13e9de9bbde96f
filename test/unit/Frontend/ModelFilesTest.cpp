//===- ModelFilesTest.cpp - Files that can't be trusted ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/ModelFiles.h"
#include "TestFiles.h"
#include <nlohmann/json.hpp>

using namespace qopt;
using namespace qopt::test;

namespace {

TEST(ModelFiles, staysInTheFolder) {
  TempFolder folder, outside;
  folder.write("a/b.txt", "b");
  std::string secret = outside.write("secret", "s");
  EXPECT_TRUE(
      llvm::StringRef(unwrap(resolveInFolder(folder.path(), "a/b.txt"))).ends_with("a/b.txt"));
  expectError(resolveInFolder(folder.path(), "../x"), "must be relative and without '..'");
  expectError(resolveInFolder(folder.path(), "a/../../x"), "must be relative and without '..'");
  expectError(resolveInFolder(folder.path(), secret), "must be relative and without '..'");
  expectError(resolveInFolder(folder.path(), ""), "must be relative");
  expectError(resolveInFolder(folder.path(), "nothing"), "no such file");
  ASSERT_FALSE(llvm::sys::fs::create_link(secret, folder.path("link")));
  expectError(resolveInFolder(folder.path(), "link"), "leads out of the model's folder");
  ASSERT_FALSE(llvm::sys::fs::create_link(folder.path("a/b.txt"), folder.path("inner")));
  unwrap(resolveInFolder(folder.path(), "inner"));
  ASSERT_FALSE(llvm::sys::fs::create_hard_link(secret, folder.path("hard")));
  expectError(resolveInFolder(folder.path(), "hard"), "hard: has 2 hard links, expected 1");
  EXPECT_EQ(unwrap(readOptionalFile(folder.path(), "hard", 10)), "s"); // nothing named it
}

TEST(ModelFiles, snapshotsLeadToTheirBlobs) {
  TempFolder cache;
  std::string blob = cache.write("models--o--m/blobs/1", "x");
  std::string other = cache.write("models--o--n/blobs/1", "x");
  cache.write("models--o--m/snapshots/r/config.json", "{}");
  std::string snapshot = cache.path("models--o--m/snapshots/r");
  ASSERT_FALSE(llvm::sys::fs::create_link(blob, snapshot + "/model"));
  ASSERT_FALSE(llvm::sys::fs::create_link(other, snapshot + "/other"));
  unwrap(resolveInFolder(snapshot, "model"));
  expectError(resolveInFolder(snapshot, "other"), "leads out of the model's folder");
}

TEST(ModelFiles, opensRegularFilesOfBoundedSize) {
  TempFolder folder;
  std::string file = folder.write("f", "12345");
  EXPECT_EQ(unwrap(openModelFile(file))->getBuffer(), "12345");
  expectError(openModelFile(file, 4), "has 5 bytes, expected at most 4");
  expectError(openModelFile(folder.path()), "expected a regular file");
  expectError(openModelFile(folder.path("none")), "no such file");
  EXPECT_EQ(unwrap(readOptionalFile(folder.path(), "none", 10)), std::nullopt);
  EXPECT_EQ(unwrap(readOptionalFile(folder.path(), "f", 10)), "12345");
}

TEST(ModelFiles, parsesBoundedJson) {
  EXPECT_EQ(unwrap(parseJson(R"({"a": [1, {"a": 2}]})", "f"))["a"][0], 1);
  expectError(parseJson(R"({"a": 1, "b": 2, "a": 3})", "f"), "f: key 'a' stands twice");
  expectError(parseJson(std::string(65, '['), "f"), "f: nested deeper than 64");
  expectError(parseJson("{", "f"), "f: ");
  std::string list = "[0";
  for (int i = 0; i < 1 << 18; ++i)
    list += ",0";
  expectError(parseJson(list + "]", "f"), "f: more than 262144 values");
  expectError(parseJson("\xff", "f"), "f: ");
}

TEST(ModelFiles, escapesAndCutsText) {
  EXPECT_EQ(printable("a\x1b[0m"), "a\\x1b[0m");
  EXPECT_EQ(printable(std::string(300, 'x')).size(), 203u);
}

} // namespace
