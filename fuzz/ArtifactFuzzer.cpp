//===- ArtifactFuzzer.cpp - Hostile artifacts -----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Opens the input as a file, and as the manifest of a file whose hashes are
// right, which random bytes would never reach. What is accepted must be safe to
// read: every section is hashed.
//
//===----------------------------------------------------------------------===//

#include "../lib/Runtime/Artifact/Format.h"
#include "AllocationBound.h"
#include "qopt/Runtime/Artifact.h"
#include <cstring>
#include <vector>

using namespace qopt;

static void open(std::span<const std::byte> bytes) {
  Result<Artifact> artifact = Artifact::fromBytes(bytes, "fuzz");
  if (artifact)
    (void)artifact->verifySections();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fuzz::AllocationBound bound(size);
  std::span input = std::as_bytes(std::span(data, size));
  open(input);

  constexpr size_t sections = 4 * sectionAlignment;
  std::vector<std::byte> file(sectionAlignment + sections + size);
  auto header = Header{sectionAlignment + sections, size, hashOf(input)}.encode();
  std::memcpy(file.data(), header.data(), header.size());
  if (size > 0)
    std::memcpy(file.data() + sectionAlignment + sections, data, size);
  open(file);
  return 0;
}
