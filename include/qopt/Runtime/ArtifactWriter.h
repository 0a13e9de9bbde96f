//===- ArtifactWriter.h - Writes .qopt files --------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Writes an artifact front to back, one section at a time, so that a weight
/// need never be whole in memory. docs/artifact.md describes the bytes.
///
///   Result<ArtifactWriter> writer = ArtifactWriter::create("smol.qopt");
///   Status status = writer->beginSection();
///   status = writer->append(bytes);                 // any number of times
///   Result<artifact::Section> section = writer->endSection();
///   *manifest.add_weights()->mutable_section() = *section;
///   status = writer->finish(manifest);              // now the file is there
///
/// The bytes go to a temporary file beside the target, which finish() renames;
/// a writer that is destroyed before leaves nothing behind. Equal calls write
/// equal bytes. The first failure is kept: every later call returns it.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_ARTIFACTWRITER_H
#define QOPT_RUNTIME_ARTIFACTWRITER_H

#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "qopt/Runtime/Status.h"
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace qopt {

class ArtifactWriter {
public:
  /// Opens the temporary file. Fails when the folder can't be written.
  static Result<ArtifactWriter> create(const std::string &path);

  ArtifactWriter(ArtifactWriter &&) noexcept;
  ArtifactWriter &operator=(ArtifactWriter &&) noexcept;
  ~ArtifactWriter();

  /// Starts a section at the next multiple of 4096 bytes.
  Status beginSection();
  /// Adds bytes to the open section. A full disk is an error that says so.
  Status append(std::span<const std::byte> bytes);
  /// Closes the section: where it is, its size and the hash of its bytes.
  Result<artifact::Section> endSection();

  /// Writes \p manifest and the header, then renames the file to its path.
  /// Fails, and leaves no file, when the manifest would be refused by
  /// Artifact::open.
  Status finish(const artifact::Manifest &manifest);

private:
  struct State;
  explicit ArtifactWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace qopt

#endif // QOPT_RUNTIME_ARTIFACTWRITER_H
