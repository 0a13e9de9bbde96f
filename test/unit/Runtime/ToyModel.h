//===- ToyModel.h - An artifact without a compiler --------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A model of two tables whose logits can be computed by hand: a token's row is
/// kept in the cache, and the logits are a decaying sum of the rows so far,
/// times a matrix. Its vocabulary is the 256 bytes and an end token, so that it
/// has a tokenizer too.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_RUNTIME_TOYMODEL_H
#define QOPT_TEST_UNIT_RUNTIME_TOYMODEL_H

#include "qopt/Runtime/Artifact/manifest.pb.h"
#include "qopt/Runtime/Model.h"
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace qopt::toy {

constexpr uint32_t vocabulary = 257;
constexpr uint32_t endToken = 256;
constexpr uint32_t hidden = 16;
constexpr uint32_t pageTokens = 4;
constexpr uint64_t pageBytes = 2 * pageTokens * hidden * sizeof(float);
constexpr uint32_t maxContext = 96;
constexpr uint32_t maxStepTokens = 32;

/// Everything but the sections.
artifact::Manifest manifest();

/// The machine code of the toy for the fake CUDA driver.
std::string fakeCubin();

/// As write(), for the fake CUDA driver's GPU: with decode plans of 1, 4 and 16
/// tokens, query tiles, state and a tensor map.
std::string writeForGPU(const std::string &name,
                        const std::function<void(artifact::Manifest &)> &change = {},
                        const std::string &cubin = fakeCubin());

/// As write(), with a program for the CPU and one for the fake driver's GPU, which share
/// the weights.
std::string writeForBoth(const std::string &name,
                         const std::function<void(artifact::Manifest &)> &change = {});

/// The same with a program for GPUs since sm_80, too, as cubins and PTX.
std::string writeForAll(const std::string &name);

/// Writes the artifact into the test's temporary folder, its manifest changed
/// by \p change; returns its path.
std::string write(const std::string &name,
                  const std::function<void(artifact::Manifest &)> &change = {});

/// The bytes of a file; empty when there is none.
std::string read(const std::string &path);

/// Loads a fresh toy artifact with \p threads threads, or fails the test.
Model load(unsigned threads = 2);

/// The logits [vocabulary] behind \p tokens, in the kernels' order of sums.
std::vector<float> logits(std::span<const int32_t> tokens);

/// \p count tokens that depend on \p seed.
std::vector<int32_t> tokens(size_t count, uint32_t seed);

} // namespace qopt::toy

#endif // QOPT_TEST_UNIT_RUNTIME_TOYMODEL_H
