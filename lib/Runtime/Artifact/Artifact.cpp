//===- Artifact.cpp - Opens .qopt files -----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Artifact.h"
#include "Format.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#if GOOGLE_PROTOBUF_VERSION < 4000000
#include <google/protobuf/stubs/logging.h>
#endif

using namespace qopt;

Artifact::Artifact() : manifest_(std::make_unique<artifact::Manifest>()) {}

Artifact::Artifact(Artifact &&other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})),
      mapped_(std::exchange(other.mapped_, false)), manifest_(std::move(other.manifest_)) {}

Artifact &Artifact::operator=(Artifact &&other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  std::swap(manifest_, other.manifest_);
  return *this;
}

Artifact::~Artifact() {
  if (mapped_)
    ::munmap(const_cast<std::byte *>(bytes_.data()), bytes_.size());
}

Result<Artifact> Artifact::open(const std::string &path) {
  auto failure = [&](const char *what) {
    return Status::invalid("artifact '" + path + "' can't be " + what + ": " +
                           std::strerror(errno));
  };
  // Opening a pipe would wait for its writer.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return failure("opened");
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Status::invalid("artifact '" + path + "' is not a file");
  }
  Artifact artifact;
  artifact.path_ = path;
  if (info.st_size > 0) {
    size_t size = static_cast<size_t>(info.st_size);
    void *bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
      Status status = failure("mapped");
      ::close(fd);
      return status;
    }
    artifact.bytes_ = {static_cast<const std::byte *>(bytes), size};
    artifact.mapped_ = true;
  }
  ::close(fd);
  if (Status status = artifact.parse(); !status)
    return status;
  return artifact;
}

Result<Artifact> Artifact::fromBytes(std::span<const std::byte> bytes, const std::string &name) {
  Artifact artifact;
  artifact.path_ = name;
  artifact.bytes_ = bytes;
  if (Status status = artifact.parse(); !status)
    return status;
  return artifact;
}

/// Without what older versions of protobuf print of text that is no UTF-8: the caller
/// says what is wrong.
static bool parseQuietly(std::span<const std::byte> text, artifact::Manifest &manifest) {
#if GOOGLE_PROTOBUF_VERSION < 4000000
  google::protobuf::LogSilencer silencer;
#endif
  return manifest.ParseFromArray(text.data(), static_cast<int>(text.size()));
}

Status Artifact::parse() {
  Result<Header> header = Header::decode(bytes_, path_);
  if (!header)
    return header.status();
  auto text = bytes_.subspan(header->manifestOffset, header->manifestSize);
  if (hashOf(text) != header->manifestHash)
    return Status::invalid("artifact '" + path_ +
                           "' is damaged: its manifest has another hash than "
                           "its header says");
  if (!parseQuietly(text, *manifest_))
    return Status::invalid("artifact '" + path_ + "' has a manifest that is not valid protobuf");
  if (Status status = verifyManifest(*manifest_, header->manifestOffset); !status)
    return Status::invalid("artifact '" + path_ + "': " + status.message());
  return Status::ok();
}

std::span<const std::byte> Artifact::bytes(const artifact::Section &section) const {
  return bytes_.subspan(section.offset(), section.size());
}

Status Artifact::verifySections() const {
  auto verify = [&](const artifact::Section &section, const std::string &name) {
    Hash hash = hashOf(bytes(section));
    if (std::memcmp(hash.data(), section.hash().data(), hash.size()) == 0)
      return Status::ok();
    return Status::invalid("artifact '" + path_ + "' is damaged: " + name +
                           " has another hash than its manifest says");
  };
  std::set<std::pair<uint64_t, std::string>> seen; // programs share weights
  for (const artifact::Program &program : manifest_->programs()) {
    if (Status status = verify(program.code(), "the code section"); !status)
      return status;
    for (const artifact::Weight &weight : program.weights())
      if (seen.emplace(weight.section().offset(), weight.section().hash()).second)
        if (Status status = verify(weight.section(), "weight " + quoted(weight.name())); !status)
          return status;
  }
  return Status::ok();
}
