//===- ObjectCacheTest.cpp - Objects made before, by content --------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ObjectCache.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace qopt;
namespace fs = std::filesystem;

namespace {

class ObjectCacheTest : public testing::Test {
protected:
  ObjectCacheTest() {
    std::string pattern = fs::temp_directory_path() / "qopt-test.XXXXXX";
    root = mkdtemp(pattern.data());
  }
  ~ObjectCacheTest() override { fs::remove_all(root); }

  std::string folder() const { return root / "objects"; }
  fs::path fileOf(const std::string &key) const { return fs::path(folder()) / (key + ".o"); }

  static std::string text(const std::optional<llvm::SmallVector<char, 0>> &object) {
    return object ? std::string(object->begin(), object->end()) : "none";
  }
  static llvm::ArrayRef<char> bytes(llvm::StringRef text) { return {text.data(), text.size()}; }

  fs::path root;
};

TEST_F(ObjectCacheTest, FindsWhatWasInserted) {
  std::string a = ObjectCache::key({"a", "b"}), other = ObjectCache::key({"ab", ""});
  EXPECT_EQ(a.size(), 64u);
  EXPECT_NE(a, other);
  ObjectCache cache(folder());
  EXPECT_EQ(text(cache.find(a)), "none");
  cache.insert(a, bytes("object"));
  EXPECT_EQ(text(cache.find(a)), "object");
  EXPECT_EQ(text(ObjectCache(folder()).find(a)), "object");
  EXPECT_EQ(text(cache.find(other)), "none");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder()), {}), 1);
}

TEST_F(ObjectCacheTest, DamagedFilesAreNotFound) {
  std::string key = ObjectCache::key({"a"});
  ObjectCache cache(folder());
  cache.insert(key, bytes("object"));
  std::string whole;
  {
    std::ifstream file(fileOf(key), std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(file), {});
  }
  ASSERT_EQ(whole.size(), 38u);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] ^= 16;
    std::ofstream(fileOf(key), std::ios::binary) << damaged;
    EXPECT_EQ(text(cache.find(key)), "none") << i;
    std::ofstream(fileOf(key), std::ios::binary) << whole.substr(0, i);
    EXPECT_EQ(text(cache.find(key)), "none") << i;
  }
  cache.insert(key, bytes("object"));
  EXPECT_EQ(text(cache.find(key)), "object");
}

TEST_F(ObjectCacheTest, TheOldestGoBeyondTheBound) {
  ObjectCache cache(folder(), /*maxBytes=*/3 * 132);
  std::vector<std::string> keys;
  for (int i = 0; i < 6; ++i) {
    keys.push_back(ObjectCache::key({std::to_string(i)}));
    cache.insert(keys.back(), bytes(std::string(100, 'x'))); // 132 bytes with the hash
    fs::last_write_time(fileOf(keys.back()),
                        fs::file_time_type::clock::now() - std::chrono::hours(10 - i));
  }
  std::ofstream(fs::path(folder()) / "notes.txt") << "of someone else";
  EXPECT_NE(text(cache.find(keys[0])), "none"); // which makes it the youngest
  cache.prune();
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(fs::exists(fileOf(keys[i])), i == 0 || i >= 4) << i;
  EXPECT_TRUE(fs::exists(fs::path(folder()) / "notes.txt"));
}

TEST_F(ObjectCacheTest, WithoutAFolderThereIsNone) {
  std::ofstream(root / "file") << "a file";
  fs::create_directory(root / "open");
  fs::permissions(root / "open", fs::perms::all);
  for (std::string folder : {std::string(), std::string("relative"), (root / "file").string(),
                             (root / "file/below").string(), (root / "open").string()}) {
    ObjectCache cache(folder);
    EXPECT_FALSE(cache.isEnabled()) << folder;
    cache.insert("key", bytes("object"));
    EXPECT_EQ(text(cache.find("key")), "none");
    cache.prune();
  }
  EXPECT_FALSE(fs::exists("relative"));
  EXPECT_TRUE(fs::is_empty(root / "open"));
}

} // namespace
