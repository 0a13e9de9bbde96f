//===- Model.cpp - A loaded artifact --------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Model.h"
#include "../Artifact/Format.h"
#include "Timer.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <charconv>
#include <cstdlib>
#include <sys/mman.h>

using namespace qopt;

struct Model::State {
  explicit State(Artifact artifact) : artifact(std::move(artifact)) {}

  // Freed in reverse: code and memory before the device, all before the mapping.
  Artifact artifact;
  const artifact::Program *program = nullptr; ///< that runs, of the artifact
  std::string whyNoGPU;                       ///< why "auto" didn't take the program for one
  std::unique_ptr<Device> device;
  std::vector<DeviceMemory> copies;
  std::vector<uint64_t> weights; ///< addresses, as program->weights
  std::unique_ptr<DeviceCode> code;
  std::vector<StartupPhase> startup;

  Status load(const ModelOptions &options);
  std::vector<const artifact::Program *> find(bool cuda) const;
  Status createDevice(const ModelOptions &options);
  Status takeGPU(std::span<const artifact::Program *const> programs, const ModelOptions &options,
                 unsigned ordinal);
  Status takeCPU(const artifact::Program &cpu, const ModelOptions &options);
  Status loadCode();
  Status placeWeights(WeightMemory memory);
  Status copyWeights();
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

/// What ModelOptions::device says.
struct DeviceChoice {
  bool cpu = true, cuda = true; ///< which may be taken
  unsigned ordinal = 0;         ///< of the GPU
};

Result<DeviceChoice> parseDevice(const std::string &text) {
  if (text == "auto")
    return DeviceChoice{};
  if (text == "cpu")
    return DeviceChoice{.cuda = false};
  DeviceChoice choice{.cpu = false};
  if (text == "cuda")
    return choice;
  const char *end = text.data() + text.size();
  if (text.rfind("cuda:", 0) == 0) {
    auto [rest, error] = std::from_chars(text.data() + 5, end, choice.ordinal);
    if (rest == end && error == std::errc())
      return choice;
  }
  return Status::usage("device is " + quoted(text) + ", expected auto, cpu, cuda or cuda:N");
}

/// 'cuda:sm_80', 'cuda:sm_90a'
std::string namesOf(std::span<const artifact::Program *const> programs) {
  std::string names;
  for (const artifact::Program *program : programs)
    names += (names.empty() ? "" : ", ") + quoted(program->target().name());
  return names;
}

bool environmentSays(const char *name) {
  const char *value = std::getenv(name);
  return value && *value && std::string(value) != "0";
}

} // namespace

/// The programs for GPUs, or for the CPU.
std::vector<const artifact::Program *> Model::State::find(bool cuda) const {
  std::vector<const artifact::Program *> programs;
  for (const artifact::Program &candidate : artifact.manifest().programs())
    if (isCUDA(candidate.target()) == cuda)
      programs.push_back(&candidate);
  return programs;
}

Status Model::State::createDevice(const ModelOptions &options) {
  Result<DeviceChoice> choice = parseDevice(options.device);
  if (!choice)
    return choice.status();
  const std::vector<const artifact::Program *> cuda = find(true), cpu = find(false);
  if (choice->cuda && !cuda.empty()) {
    Status status = takeGPU(cuda, options, choice->ordinal);
    bool tryCPU = choice->cpu && !cpu.empty() && status.code() == StatusCode::unavailable;
    if (status.isOk())
      return status;
    if (!tryCPU)
      return Status(status.code(),
                    "it was compiled for " + namesOf(cuda) + ": " + status.message());
    whyNoGPU = status.message();
  }
  if (choice->cpu && !cpu.empty())
    return takeCPU(*cpu.front(), options);
  return Status::usage("it was compiled for " + namesOf(cuda.empty() ? cpu : cuda) +
                       ", which device " + quoted(options.device) +
                       " can't run: compile the model with --target " +
                       (cuda.empty() ? "cuda:sm_90a" : "cpu") + ", or cpu,cuda:sm_90a for both");
}

/// Takes the program that suits the GPU best.
Status Model::State::takeGPU(std::span<const artifact::Program *const> programs,
                             const ModelOptions &options, unsigned ordinal) {
  std::vector<std::string> architectures;
  for (const artifact::Program *candidate : programs)
    architectures.push_back(candidate->target().features(0));
  Result<size_t> best = bestArchitecture(architectures, ordinal, options.cudaDriver);
  if (!best)
    return best.status();
  auto created = createCUDADevice({.ordinal = ordinal,
                                   .architecture = architectures[*best],
                                   .driver = options.cudaDriver,
                                   .debugSync = environmentSays("QOPT_DEBUG_SYNC")});
  if (!created)
    return created.status();
  device = std::move(*created);
  program = programs[*best];
  return Status::ok();
}

Status Model::State::takeCPU(const artifact::Program &cpu, const ModelOptions &options) {
  std::vector<std::string> features(cpu.target().features().begin(), cpu.target().features().end());
  if (Status status = checkCPU(cpu.target().triple(), features); !status)
    return whyNoGPU.empty() ? status
                            : Status::unavailable("no GPU: " + whyNoGPU + "; no CPU: " + status.message());
  auto created = createCPUDevice({options.threads, options.pinThreads});
  if (!created)
    return created.status();
  device = std::move(*created);
  program = &cpu;
  return Status::ok();
}

Status Model::State::load(const ModelOptions &options) {
  Timer timer;
  if (Status status = createDevice(options); !status)
    return status;
  startup.push_back({"start device", timer.lap()});
  if (Status status = loadCode(); !status)
    return status;
  startup.push_back({"load code", timer.lap()});
  if (Status status = placeWeights(options.weights); !status)
    return status;
  startup.push_back({"place weights", timer.lap()});
  return Status::ok();
}

Status Model::State::loadCode() {
  std::vector<KernelEntry> entries;
  for (const artifact::Kernel &kernel : program->kernels())
    entries.push_back({kernel.entry(), kernel.object().offset(), kernel.object().size(),
                       kernel.object().ptx_offset(), kernel.object().ptx_size()});
  auto loaded = device->load(artifact.bytes(program->code()), program->code().hash(), entries);
  if (!loaded)
    return loaded.status();
  code = std::move(*loaded);
  return Status::ok();
}

Status Model::State::placeWeights(WeightMemory memory) {
  bool onHost = !isCUDA(program->target());
  if (onHost && memory == WeightMemory::copied)
    return copyWeights();
  std::vector<std::span<const std::byte>> pieces;
  for (const artifact::Weight &weight : program->weights())
    pieces.push_back(artifact.bytes(weight.section()));
  for (std::span<const std::byte> bytes : pieces) {
    if (onHost && memory == WeightMemory::prefaulted)
      prefault(bytes);
    else
      ::madvise(const_cast<std::byte *>(bytes.data()), bytes.size(), MADV_WILLNEED);
  }
  auto addresses = device->adopt(pieces);
  if (!addresses)
    return addresses.status();
  weights = std::move(*addresses);
  return Status::ok();
}

Status Model::State::copyWeights() {
  for (const artifact::Weight &weight : program->weights()) {
    std::span<const std::byte> bytes = artifact.bytes(weight.section());
    Result<DeviceMemory> copy = device->allocate(bytes.size());
    if (!copy)
      return copy.status();
    if (Status status = device->copyToDevice(copy->address(), bytes); !status)
      return status;
    weights.push_back(copy->address());
    copies.push_back(std::move(*copy));
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
const artifact::Program &Model::program() const { return *state_->program; }

std::string Model::placement() const {
  std::string text = "the program for " + quoted(program().target().name()) + " on " +
                     state_->device->describe();
  return state_->whyNoGPU.empty() ? text : text + " (no GPU: " + state_->whyNoGPU + ")";
}

uint32_t Model::vocabularySize() const { return manifest().model().vocab_size(); }
uint32_t Model::maxContext() const { return manifest().model().max_context(); }
const std::vector<StartupPhase> &Model::startup() const { return state_->startup; }
Device &Model::device() const { return *state_->device; }
const DeviceCode &Model::code() const { return *state_->code; }
uint64_t Model::weightAddress(uint32_t index) const { return state_->weights[index]; }
