//===- Format.h - The bytes around an artifact's manifest -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The header of an artifact (docs/artifact.md) and the hash of its parts.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ARTIFACT_FORMAT_H
#define QOPT_RUNTIME_ARTIFACT_FORMAT_H

#include "qopt/Runtime/Status.h"
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace qopt {

namespace artifact {
class Manifest;
class Target;
} // namespace artifact

constexpr uint64_t sectionAlignment = 4096;
constexpr uint64_t maxManifestSize = uint64_t(256) << 20;
/// Raised whenever an older reader would misread a newer file.
constexpr uint32_t formatVersion = 2;

/// XXH3-128 in its canonical (big-endian) form.
using Hash = std::array<std::byte, 16>;

class Hasher {
public:
  Hasher();
  void reset();
  void update(std::span<const std::byte> bytes);
  Hash finish() const;

private:
  struct Free {
    void operator()(void *state) const;
  };
  std::unique_ptr<void, Free> state_;
};

Hash hashOf(std::span<const std::byte> bytes);

/// The first 4096 bytes of the file.
struct Header {
  uint64_t manifestOffset = 0; ///< a multiple of 4096, behind the last section
  uint64_t manifestSize = 0;   ///< the file ends with the manifest
  Hash manifestHash{};

  std::array<std::byte, sectionAlignment> encode() const;
  /// \p file is the whole file; messages name \p path.
  static Result<Header> decode(std::span<const std::byte> file, const std::string &path);
};

/// Checks everything of \p manifest that the runtime relies on; sections must
/// lie in [4096, \p sectionsEnd) without overlap.
Status verifyManifest(const artifact::Manifest &manifest, uint64_t sectionsEnd);

/// Whether the code is for NVIDIA GPUs: the triple says so.
bool isCUDA(const artifact::Target &target);

/// A GPU architecture, "sm_90a": code with a letter runs on this one only.
struct GPUArchitecture {
  int major = 0, minor = 0;
  bool exact = false;
};

/// Nothing where \p name is not of the form sm_<major><minor digit>[a].
std::optional<GPUArchitecture> parseArchitecture(const std::string &name);

/// Text of a file for a message: quoted, cut, control characters escaped.
std::string quoted(const std::string &text);

} // namespace qopt

#endif // QOPT_RUNTIME_ARTIFACT_FORMAT_H
