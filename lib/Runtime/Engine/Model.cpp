//===- Model.cpp - A loaded artifact --------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Model.h"
#include "Timer.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <sys/mman.h>

using namespace qopt;

struct Model::State {
  explicit State(Artifact artifact) : artifact(std::move(artifact)) {}

  // Freed in reverse: code and memory before the device, all before the mapping.
  Artifact artifact;
  std::unique_ptr<Device> device;
  std::vector<DeviceMemory> copies;
  std::vector<uint64_t> weights; ///< addresses, as manifest.weights
  std::unique_ptr<DeviceCode> code;
  std::vector<StartupPhase> startup;

  Status load(const ModelOptions &options);
  Status loadCode();
  Status placeWeights(WeightMemory memory);
};

namespace {

/// Reads the pages of \p bytes from disk.
void prefault(std::span<const std::byte> bytes) {
#ifdef MADV_POPULATE_READ
  if (::madvise(const_cast<std::byte *>(bytes.data()), bytes.size(), MADV_POPULATE_READ) == 0)
    return;
#endif
  for (size_t i = 0; i < bytes.size(); i += 4096)
    (void)*static_cast<const volatile std::byte *>(&bytes[i]);
}

} // namespace

Status Model::State::load(const ModelOptions &options) {
  const artifact::Manifest &manifest = artifact.manifest();
  std::vector<std::string> features(manifest.target().features().begin(),
                                    manifest.target().features().end());
  if (Status status = checkCPU(manifest.target().triple(), features); !status)
    return status;
  Timer timer;
  Result<std::unique_ptr<Device>> created = createCPUDevice({options.threads, options.pinThreads});
  if (!created)
    return created.status();
  device = std::move(*created);
  startup.push_back({"start threads", timer.lap()});
  if (Status status = loadCode(); !status)
    return status;
  startup.push_back({"load code", timer.lap()});
  if (Status status = placeWeights(options.weights); !status)
    return status;
  startup.push_back({"place weights", timer.lap()});
  return Status::ok();
}

Status Model::State::loadCode() {
  const artifact::Manifest &manifest = artifact.manifest();
  std::vector<std::string> entries;
  for (const artifact::Kernel &kernel : manifest.kernels())
    entries.push_back(kernel.entry());
  auto loaded = device->load(artifact.bytes(manifest.code()), manifest.code().hash(), entries);
  if (!loaded)
    return loaded.status();
  code = std::move(*loaded);
  return Status::ok();
}

Status Model::State::placeWeights(WeightMemory memory) {
  for (const artifact::Weight &weight : artifact.manifest().weights()) {
    std::span<const std::byte> bytes = artifact.bytes(weight.section());
    if (memory == WeightMemory::copied) {
      Result<DeviceMemory> copy = device->allocate(bytes.size());
      if (!copy)
        return copy.status();
      if (Status status = device->copyToDevice(copy->address(), bytes); !status)
        return status;
      weights.push_back(copy->address());
      copies.push_back(std::move(*copy));
      continue;
    }
    if (memory == WeightMemory::prefaulted)
      prefault(bytes);
    else
      ::madvise(const_cast<std::byte *>(bytes.data()), bytes.size(), MADV_WILLNEED);
    Result<uint64_t> address = device->adopt(bytes);
    if (!address)
      return address.status();
    weights.push_back(*address);
  }
  return Status::ok();
}

Result<Model> Model::load(const std::string &path, const ModelOptions &options) {
  Timer timer;
  Result<Artifact> artifact = Artifact::open(path);
  if (!artifact)
    return artifact.status();
  double seconds = timer.lap();
  Result<Model> model = load(std::move(*artifact), options);
  if (model)
    model->state_->startup.insert(model->state_->startup.begin(), {"open and check", seconds});
  return model;
}

Result<Model> Model::load(Artifact artifact, const ModelOptions &options) {
  auto state = std::make_shared<State>(std::move(artifact));
  if (options.verify) {
    Timer timer;
    if (Status status = state->artifact.verifySections(); !status)
      return status;
    state->startup.push_back({"verify every section", timer.lap()});
  }
  if (Status status = state->load(options); !status)
    return Status(status.code(), "artifact '" + state->artifact.path() + "': " + status.message());
  return Model(std::move(state));
}

const Artifact &Model::artifact() const { return state_->artifact; }
uint32_t Model::vocabularySize() const { return manifest().model().vocab_size(); }
uint32_t Model::maxContext() const { return manifest().model().max_context(); }
const std::vector<StartupPhase> &Model::startup() const { return state_->startup; }
Device &Model::device() const { return *state_->device; }
const DeviceCode &Model::code() const { return *state_->code; }
uint64_t Model::weightAddress(uint32_t index) const { return state_->weights[index]; }
