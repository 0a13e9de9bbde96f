//===- Model.h - A loaded artifact ------------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A model that is ready to run: the artifact mapped and checked, its code
/// loaded, its device started.
///
///   Result<Model> model = Model::load("smol.qopt", {.threads = 8});
///   if (!model)
///     return report(model.status().message());
///   Result<Generator> generator = Generator::create(*model);
///
/// With QOPT_DEBUG_SYNC=1 in the environment a GPU's launches are waited for one by
/// one, so that an error names the kernel; nothing is recorded then.
///
/// A Model is a handle: copies share one loaded model, which is freed with the
/// last of them. It never changes and may be used from any thread.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_MODEL_H
#define QOPT_RUNTIME_MODEL_H

#include "qopt/Runtime/Artifact.h"
#include "qopt/Runtime/Device.h"
#include "qopt/Runtime/Status.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace qopt {

/// Where the weights are while the model runs on the CPU. A GPU copies them.
enum class WeightMemory {
  mapped,     ///< in the file's mapping, read from disk when first used
  prefaulted, ///< in the file's mapping, read from disk while loading
  copied,     ///< copied to memory of ours, in huge pages where the system has them
};

struct ModelOptions {
  /// "auto": the GPU where the artifact has a program for it and one is there, else the CPU;
  /// "cpu", "cuda" or "cuda:N".
  std::string device = "auto";
  unsigned threads = 0; ///< 0: one for each core that the process may use
  bool pinThreads = true;
  WeightMemory weights = WeightMemory::mapped;
  bool verify = false;    ///< compare the hash of every section, not only the code's
  std::string cudaDriver; ///< library of the CUDA driver; empty: libcuda.so.1
};

/// What loading did and how long it took.
struct StartupPhase {
  std::string name;
  double seconds = 0;
};

class Model {
public:
  /// Opens and loads the artifact at \p path. Fails with
  /// StatusCode::unavailable when this machine can't run it.
  static Result<Model> load(const std::string &path, const ModelOptions &options = {});
  static Result<Model> load(Artifact artifact, const ModelOptions &options = {});

  const Artifact &artifact() const;
  const artifact::Manifest &manifest() const { return artifact().manifest(); }
  /// What runs: the program of the manifest that is for device().
  const artifact::Program &program() const;
  /// For people: "the program for 'cpu' on cpu, 8 threads", and why no GPU was taken if
  /// there is a program for one.
  std::string placement() const;
  uint32_t vocabularySize() const;
  uint32_t maxContext() const; ///< tokens

  const std::vector<StartupPhase> &startup() const;

  /// For the executor.
  Device &device() const;
  const DeviceCode &code() const;
  uint64_t weightAddress(uint32_t index) const;

private:
  struct State;
  explicit Model(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

} // namespace qopt

#endif // QOPT_RUNTIME_MODEL_H
