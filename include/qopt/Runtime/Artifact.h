//===- Artifact.h - Opens .qopt files ---------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// An artifact, mapped into memory and checked. Nothing in the file is trusted:
/// after open() succeeds, every index, offset, length and enum of the manifest
/// is in range, so that code that walks it needs no checks of its own.
///
///   Result<Artifact> artifact = Artifact::open("smol.qopt");
///   if (!artifact)
///     return report(artifact.status().message());
///   for (const artifact::Weight &weight : artifact->manifest().weights())
///     use(artifact->bytes(weight.section()));
///
/// Opening never runs code of the file. The file must not change while it is
/// open: the weights are read from the mapping.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ARTIFACT_H
#define QOPT_RUNTIME_ARTIFACT_H

#include "qopt/Runtime/Status.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace qopt {

namespace artifact {
class Manifest;
class Program;
class Section;
} // namespace artifact

class Artifact {
public:
  /// Maps \p path and checks header, manifest hash and manifest. Sections are
  /// not read. Errors name the file, the field, what was expected and found; a
  /// file of another format version names both versions.
  static Result<Artifact> open(const std::string &path);

  /// The same for bytes in memory, which must outlive the artifact; \p name
  /// stands for the path in messages.
  static Result<Artifact> fromBytes(std::span<const std::byte> bytes, const std::string &name);

  Artifact(Artifact &&) noexcept;
  Artifact &operator=(Artifact &&) noexcept;
  ~Artifact();

  const std::string &path() const { return path_; }
  uint64_t fileSize() const { return bytes_.size(); }
  const artifact::Manifest &manifest() const { return *manifest_; }

  /// The bytes of a section of manifest(), aligned to 4096.
  std::span<const std::byte> bytes(const artifact::Section &section) const;

  /// Reads every section and compares its hash. Takes as long as the disk does.
  Status verifySections() const;

private:
  Artifact();
  Status parse();

  std::string path_;
  std::span<const std::byte> bytes_; ///< the whole file
  bool mapped_ = false;              ///< bytes_ is a mapping of ours
  std::unique_ptr<artifact::Manifest> manifest_;
};

} // namespace qopt

#endif // QOPT_RUNTIME_ARTIFACT_H
