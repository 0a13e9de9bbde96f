//===- ArtifactWriter.cpp - Writes .qopt files ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/ArtifactWriter.h"
#include "Format.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace qopt;

struct ArtifactWriter::State {
  std::string path;
  std::string temporary; ///< empty while the file has no name, and once renamed or removed
  std::FILE *file = nullptr;
  uint64_t position = 0;     ///< bytes written so far
  uint64_t sectionStart = 0; ///< of the open section
  bool inSection = false;
  Hasher hasher;
  Status failure;

  ~State() { discard(); }

  void discard() {
    if (file)
      std::fclose(file);
    file = nullptr;
    if (!temporary.empty())
      ::unlink(temporary.c_str());
    temporary.clear();
  }

  /// Keeps the first failure and removes what was written.
  Status fail(Status status) {
    if (failure.isOk())
      failure = std::move(status);
    discard();
    return failure;
  }

  Status failWithErrno(const std::string &what) {
    int error = errno;
    std::string message = "can't " + what + " artifact '" + path + "': ";
    // What the caller chose is wrong: a disk without room, a limit, a path.
    if (error == ENOSPC || error == EDQUOT)
      return fail(Status::invalid(message + "the disk is full after " + std::to_string(position) +
                                  " bytes"));
    if (error == EFBIG)
      return fail(Status::invalid(message + "the limit on the size of files is met after " +
                                  std::to_string(position) + " bytes"));
    message += std::strerror(error);
    bool wrongPath = error == ENOENT || error == ENOTDIR || error == EISDIR || error == EACCES ||
                     error == ENAMETOOLONG;
    return fail(wrongPath ? Status::invalid(std::move(message))
                          : Status::unavailable(std::move(message)));
  }

  Status write(std::span<const std::byte> bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size())
      return failWithErrno("write");
    position += bytes.size();
    return Status::ok();
  }

  Status align() {
    static constexpr std::byte zeros[sectionAlignment] = {};
    uint64_t padding = (sectionAlignment - position % sectionAlignment) % sectionAlignment;
    return write(std::span(zeros).first(padding));
  }

  /// Fails unless the writer is usable and a section is open or not, as asked.
  Status expect(bool open) {
    if (!failure.isOk())
      return failure;
    if (!file)
      return Status::usage("artifact '" + path + "' is already finished");
    if (open != inSection)
      return Status::usage(open ? "no section is open" : "a section is still open");
    return Status::ok();
  }
};

/// A new file in the folder of `path` that goes with the process, even a killed
/// one, unless it gets a name. Not every file system has it.
static int openUnnamed(const std::string &path) {
#ifdef O_TMPFILE
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
#else
  return -1;
#endif
}

/// Calls `make` with names beside `path` until one is free, and gives it; empty
/// with errno set otherwise.
template <typename Make> static std::string makeTemporary(const std::string &path, Make make) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string name = path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
    if (make(name.c_str()))
      return name;
    if (errno != EEXIST)
      break;
  }
  return "";
}

ArtifactWriter::ArtifactWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
ArtifactWriter::ArtifactWriter(ArtifactWriter &&) noexcept = default;
ArtifactWriter &ArtifactWriter::operator=(ArtifactWriter &&) noexcept = default;
ArtifactWriter::~ArtifactWriter() = default;

Result<ArtifactWriter> ArtifactWriter::create(const std::string &path) {
  auto state = std::make_unique<State>();
  state->path = path;
  // What is renamed to the path would replace a device or a pipe.
  struct stat existing;
  if (::stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode))
    return Status::invalid("can't create artifact '" + path +
                           "': something that is not a file is there");
  int fd = openUnnamed(path);
  // Not mkstemp: its files are private to the user, whatever the umask.
  if (fd < 0)
    state->temporary = makeTemporary(path, [&](const char *name) {
      fd = ::open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      return fd >= 0;
    });
  if (fd < 0)
    return state->failWithErrno("create");
  state->file = ::fdopen(fd, "wb");
  if (!state->file) {
    ::close(fd);
    return state->failWithErrno("create");
  }
  std::setvbuf(state->file, nullptr, _IOFBF, size_t(1) << 20);
  // The header's place: its contents are known at the end.
  if (Status status = state->write(std::vector<std::byte>(sectionAlignment)); !status)
    return status;
  return ArtifactWriter(std::move(state));
}

Status ArtifactWriter::beginSection() {
  if (Status status = state_->expect(/*open=*/false); !status)
    return status;
  if (Status status = state_->align(); !status)
    return status;
  state_->inSection = true;
  state_->sectionStart = state_->position;
  state_->hasher.reset();
  return Status::ok();
}

Status ArtifactWriter::append(std::span<const std::byte> bytes) {
  if (Status status = state_->expect(/*open=*/true); !status)
    return status;
  state_->hasher.update(bytes);
  return state_->write(bytes);
}

Result<artifact::Section> ArtifactWriter::endSection() {
  if (Status status = state_->expect(/*open=*/true); !status)
    return status;
  state_->inSection = false;
  Hash hash = state_->hasher.finish();
  artifact::Section section;
  section.set_offset(state_->sectionStart);
  section.set_size(state_->position - state_->sectionStart);
  section.set_hash(hash.data(), hash.size());
  return section;
}

Status ArtifactWriter::finish(const artifact::Manifest &manifest) {
  if (Status status = state_->expect(/*open=*/false); !status)
    return status;
  if (Status status = state_->align(); !status)
    return status;
  if (Status status = verifyManifest(manifest, state_->position); !status)
    return state_->fail(Status::invalid("artifact '" + state_->path + "': " + status.message()));

  std::string text;
  {
    google::protobuf::io::StringOutputStream stream(&text);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    manifest.SerializeToCodedStream(&coded);
  }
  if (text.size() > maxManifestSize)
    return state_->fail(Status::invalid(
        "artifact '" + state_->path + "' would have a manifest of " + std::to_string(text.size()) +
        " bytes, expected at most " + std::to_string(maxManifestSize)));

  auto bytes = std::as_bytes(std::span<const char>(text));
  Header header{state_->position, text.size(), hashOf(bytes)};
  if (Status status = state_->write(bytes); !status)
    return status;
  auto encoded = header.encode();
  if (std::fseek(state_->file, 0, SEEK_SET) != 0 ||
      std::fwrite(encoded.data(), 1, encoded.size(), state_->file) != encoded.size() ||
      std::fflush(state_->file) != 0)
    return state_->failWithErrno("write");
  if (state_->temporary.empty()) {
    std::string unnamed = "/proc/self/fd/" + std::to_string(::fileno(state_->file));
    state_->temporary = makeTemporary(state_->path, [&](const char *name) {
      return ::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
    });
    if (state_->temporary.empty())
      return state_->failWithErrno("create");
  }
  int closed = std::fclose(std::exchange(state_->file, nullptr));
  if (closed != 0)
    return state_->failWithErrno("write");
  if (std::rename(state_->temporary.c_str(), state_->path.c_str()) != 0)
    return state_->failWithErrno("create");
  state_->temporary.clear();
  return Status::ok();
}
