//===- ObjectCache.cpp - Objects made before, by content ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ObjectCache.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"
#include <array>
#include <tuple>
#include <unistd.h>

using namespace llvm;
using namespace qopt;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

constexpr size_t hashBytes = 32;
constexpr StringRef ending = ".o", temporaryEnding = ".tmp";

static std::array<uint8_t, hashBytes> hashOf(StringRef bytes) {
  return SHA256::hash(arrayRefFromStringRef(bytes));
}

/// The user's own, and nobody else's to write.
static bool isPrivate(StringRef folder) {
  fs::file_status status;
  return !fs::status(folder, status) && fs::is_directory(status) && status.getUser() == geteuid() &&
         (status.permissions() & (fs::group_write | fs::others_write)) == 0;
}

ObjectCache::ObjectCache(StringRef folder, uint64_t maxBytes) : maxBytes(maxBytes) {
  if (folder.empty() || !path::is_absolute(folder) ||
      fs::create_directories(folder, /*IgnoreExisting=*/true, fs::owner_all) || !isPrivate(folder))
    return;
  this->folder = folder.str();
}

std::string ObjectCache::key(ArrayRef<StringRef> parts) {
  SHA256 hash;
  for (StringRef part : parts) {
    uint8_t size[8];
    support::endian::write64le(size, part.size());
    hash.update(size);
    hash.update(part);
  }
  return toHex(hash.final(), /*LowerCase=*/true);
}

std::string ObjectCache::pathOf(StringRef key) const {
  SmallString<128> result(folder);
  path::append(result, key + ending);
  return result.str().str();
}

std::optional<SmallVector<char, 0>> ObjectCache::find(StringRef key) const {
  if (!isEnabled())
    return std::nullopt;
  std::string file = pathOf(key);
  auto buffer = MemoryBuffer::getFile(file, /*IsText=*/false, /*RequiresNullTerminator=*/false,
                                      /*IsVolatile=*/true);
  if (!buffer)
    return std::nullopt;
  StringRef bytes = (*buffer)->getBuffer();
  if (bytes.size() <= hashBytes ||
      toStringRef(hashOf(bytes.drop_front(hashBytes))) != bytes.take_front(hashBytes))
    return std::nullopt;
  // The time of its last use, for prune().
  int fd;
  if (!fs::openFileForRead(file, fd)) {
    (void)fs::setLastAccessAndModificationTime(fd, std::chrono::system_clock::now());
    ::close(fd);
  }
  bytes = bytes.drop_front(hashBytes);
  return SmallVector<char, 0>(bytes.begin(), bytes.end());
}

void ObjectCache::insert(StringRef key, ArrayRef<char> object) const {
  if (!isEnabled())
    return;
  Expected<fs::TempFile> file = fs::TempFile::create(folder + "/%%%%%%%%%%%%" + temporaryEnding);
  if (!file)
    return consumeError(file.takeError());
  StringRef bytes(object.data(), object.size());
  raw_fd_ostream os(file->FD, /*shouldClose=*/false);
  os << toStringRef(hashOf(bytes)) << bytes;
  os.flush();
  bool isWritten = !os.has_error();
  os.clear_error();
  consumeError(isWritten ? file->keep(pathOf(key)) : file->discard());
}

void ObjectCache::prune() const {
  if (!isEnabled())
    return;
  std::vector<std::tuple<sys::TimePoint<>, std::string, uint64_t>> files;
  uint64_t total = 0;
  std::error_code code;
  for (fs::directory_iterator file(folder, code), end; !code && file != end; file.increment(code)) {
    ErrorOr<fs::basic_file_status> status = file->status();
    StringRef type = path::extension(file->path());
    if (!status || !fs::is_regular_file(*status) || (type != ending && type != temporaryEnding))
      continue;
    files.emplace_back(status->getLastModificationTime(), file->path(), status->getSize());
    total += status->getSize();
  }
  llvm::sort(files);
  for (const auto &[time, name, size] : files) {
    if (total <= maxBytes)
      return;
    if (!fs::remove(name))
      total -= size;
  }
}
