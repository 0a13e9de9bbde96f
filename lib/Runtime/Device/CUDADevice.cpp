//===- CUDADevice.cpp - Plans on an NVIDIA GPU ----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Artifact/Format.h"
#include "CUDACode.h"
#include "CUDAUpload.h"
#include <algorithm>
#include <cstring>
#include <mutex>
#include <tuple>

using namespace qopt;
using namespace qopt::cuda;

namespace {

constexpr uint64_t memoryAlignment = 256;
/// Zeros behind a launch's parameters, for a kernel that has more than the plan says.
constexpr size_t spareParameters = 512;

/// A graph, or the launches themselves where each is to be waited for.
class CUDARecording : public Recording {
public:
  explicit CUDARecording(const CUDAContext &context) : context(context) {}
  ~CUDARecording() override {
    if (graph && context.enter())
      context.driver().cuGraphExecDestroy(graph);
  }

  const CUDAContext &context;
  CUgraphExec graph = nullptr;
  CUDACode *code = nullptr;
  std::vector<LaunchCommand> line;
};

/// Two events around some work.
class Stopwatch {
public:
  explicit Stopwatch(const CUDAContext &context) : context(context), driver(context.driver()) {}
  ~Stopwatch() {
    for (CUevent event : {start, end})
      if (event)
        driver.cuEventDestroy(event);
  }

  template <typename Work> Result<double> time(const Work &work) {
    for (CUevent *event : {&start, &end})
      if (Status status = driver.check(driver.cuEventCreate(event, 0), "cuEventCreate"); !status)
        return status;
    Status status = driver.check(driver.cuEventRecord(start, context.stream()), "cuEventRecord");
    if (status)
      status = work();
    if (status)
      status = driver.check(driver.cuEventRecord(end, context.stream()), "cuEventRecord");
    if (status)
      status = driver.check(driver.cuEventSynchronize(end), "the GPU's work");
    float milliseconds = 0;
    if (status)
      status =
          driver.check(driver.cuEventElapsedTime(&milliseconds, start, end), "cuEventElapsedTime");
    if (!status)
      return status;
    return milliseconds * 1e-3;
  }

private:
  const CUDAContext &context;
  const CUDADriver &driver;
  CUevent start = nullptr, end = nullptr;
};

/// What waiting for the GPU's work found.
Status withHint(const Status &status, bool debugSync) {
  if (status || debugSync)
    return status;
  return Status(status.code(),
                status.message() + "; with QOPT_DEBUG_SYNC=1 the error names the kernel");
}

/// A copy to the host, and an event behind it.
class CUDACopy : public PendingCopy {
public:
  CUDACopy(const CUDAContext &context, bool debugSync) : context(context), debugSync(debugSync) {}
  ~CUDACopy() override {
    if (event && context.enter())
      context.driver().cuEventDestroy(event);
  }

  Status wait() override {
    if (Status status = context.enter(); !status)
      return status;
    return withHint(
        context.driver().check(context.driver().cuEventSynchronize(event), "the GPU's work"),
        debugSync);
  }

  const CUDAContext &context;
  bool debugSync;
  CUevent event = nullptr;
};

/// Which of a kernel's code the GPU runs, and how it is launched.
struct CodeUse {
  std::string name;             ///< of the architecture, sm_90a
  bool isTranslated = false;    ///< from PTX, by the driver
  GPUArchitecture architecture; ///< that the code was written for

  /// Kernels of sm_90 and later wait for their predecessors themselves.
  bool mayOverlap() const { return architecture.major >= 9; }
};

class CUDADevice : public Device {
public:
  CUDADevice(std::unique_ptr<CUDAContext> context, CodeUse use, bool debugSync)
      : context_(std::move(context)), driver_(context_->driver()), use_(std::move(use)),
        debugSync_(debugSync) {}
  ~CUDADevice() override {
    if (!context_->enter())
      return;
    (void)context_->synchronize();
    for (CUdeviceptr address : adopted_)
      driver_.cuMemFree(address);
  }

  std::string describe() const override {
    return "cuda, " + context_->name() + " (sm_" + std::to_string(context_->major()) +
           std::to_string(context_->minor()) +
           (use_.isTranslated ? ", from PTX of " + use_.name + ")" : ")");
  }

  std::optional<uint64_t> freeBytes() const override;
  Result<DeviceMemory> allocate(uint64_t bytes) override;
  Result<HostMemory> allocateHost(uint64_t bytes) override;
  Result<std::vector<uint64_t>> adopt(std::span<const std::span<const std::byte>> pieces) override;
  Status copyToDevice(uint64_t to, std::span<const std::byte> from) override;
  Status copyRowsToDevice(uint64_t to, const std::byte *from, uint64_t rows, uint64_t rowBytes,
                          uint64_t stride) override;
  Status copyToHost(std::span<std::byte> to, uint64_t from) override;
  Result<std::unique_ptr<PendingCopy>> startCopyToHost(std::span<std::byte> to,
                                                       uint64_t from) override;
  Status copy(uint64_t to, uint64_t from, uint64_t bytes) override;
  Status zero(uint64_t address, uint64_t bytes) override;
  const std::byte *hostView(uint64_t) const override { return nullptr; }
  Result<std::unique_ptr<DeviceCode>> load(std::span<const std::byte> bytes,
                                           const std::string &hash,
                                           const std::vector<KernelEntry> &entries) override;
  Status launch(const DeviceCode &code, std::span<const LaunchCommand> line) override;
  Result<std::unique_ptr<Recording>> record(const DeviceCode &code,
                                            std::vector<LaunchCommand> line) override;
  Status replay(const Recording &recording) override;
  Result<double> time(const Recording &recording) override;
  Result<double> timeCopy(uint64_t to, uint64_t from, uint64_t bytes) override;
  uint64_t cacheBytes() const override { return context_->l2Bytes(); }
  Status synchronize() override;

private:
  void free(uint64_t address, uint64_t bytes) override;
  void freeHost(std::span<std::byte> bytes) override;

  Status launchLine(CUDACode &code, std::span<const LaunchCommand> line, bool wait);
  Status launchOne(CUDACode &code, const LaunchCommand &command);
  Status encode(const TensorMap &map, EncodedTensorMap &encoded) const;
  Result<CUgraph> capture(CUDACode &code, std::span<const LaunchCommand> line);
  Status replayLocked(const CUDARecording &recording);
  Status waitLocked();
  Status copyToHostLocked(std::span<std::byte> to, uint64_t from);

  std::unique_ptr<CUDAContext> context_;
  const CUDADriver &driver_;
  CodeUse use_;
  bool debugSync_;
  std::mutex mutex_; ///< one thread at a time gives the stream work
  std::vector<CUdeviceptr> adopted_;
};

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

std::optional<uint64_t> CUDADevice::freeBytes() const {
  // For cubins that are loaded later, graphs, and stacks of kernels.
  constexpr uint64_t reserve = uint64_t(256) << 20;
  size_t free = 0, total = 0;
  if (!context_->enter() || driver_.cuMemGetInfo(&free, &total) != success)
    return 0;
  return free - std::min<uint64_t>(free, reserve);
}

Result<DeviceMemory> CUDADevice::allocate(uint64_t bytes) {
  Result<CUdeviceptr> address = context_->allocate(bytes);
  if (!address)
    return address.status();
  DeviceMemory memory(*this, *address, bytes);
  if (Status status = zero(*address, bytes); !status)
    return status;
  return memory;
}

void CUDADevice::free(uint64_t address, uint64_t) {
  if (context_->enter())
    driver_.cuMemFree(address); // waits for the work that uses it
}

Result<HostMemory> CUDADevice::allocateHost(uint64_t bytes) {
  if (Status status = context_->enter(); !status)
    return status;
  void *memory = nullptr;
  CUresult result = driver_.cuMemHostAlloc(&memory, std::max<uint64_t>(bytes, 1), 0);
  if (result != success)
    return Status::unavailable("can't allocate " + std::to_string(bytes) +
                               " bytes of pinned memory: " + driver_.describe(result));
  std::memset(memory, 0, bytes);
  return HostMemory(*this, {static_cast<std::byte *>(memory), bytes});
}

void CUDADevice::freeHost(std::span<std::byte> bytes) {
  if (context_->enter())
    driver_.cuMemFreeHost(bytes.data());
}

/// One allocation holds all pieces, each aligned.
Result<std::vector<uint64_t>>
CUDADevice::adopt(std::span<const std::span<const std::byte>> pieces) {
  std::vector<uint64_t> addresses;
  uint64_t bytes = 0;
  for (std::span<const std::byte> piece : pieces) {
    addresses.push_back(bytes);
    bytes += (piece.size() + memoryAlignment - 1) / memoryAlignment * memoryAlignment;
  }
  Result<CUdeviceptr> memory = context_->allocate(bytes);
  if (!memory)
    return memory.status();
  std::lock_guard lock(mutex_);
  adopted_.push_back(*memory);
  std::vector<Transfer> transfers;
  for (size_t i = 0; i < pieces.size(); ++i) {
    addresses[i] += *memory;
    transfers.push_back({addresses[i], pieces[i]});
  }
  if (Status status = upload(*context_, transfers); !status)
    return status;
  return addresses;
}

Status CUDADevice::copyToDevice(uint64_t to, std::span<const std::byte> from) {
  if (from.empty())
    return Status::ok();
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  return driver_.check(driver_.cuMemcpyHtoDAsync(to, from.data(), from.size(), context_->stream()),
                       "cuMemcpyHtoDAsync");
}

Status CUDADevice::copyRowsToDevice(uint64_t to, const std::byte *from, uint64_t rows,
                                    uint64_t rowBytes, uint64_t stride) {
  if (rows <= 1)
    return copyToDevice(to, {from, rows * rowBytes});
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  CopyOfRows copy = {};
  copy.fromType = memoryTypeHost;
  copy.fromHost = from;
  copy.toType = memoryTypeDevice;
  copy.toDevice = to;
  copy.fromStride = copy.toStride = stride;
  copy.rowBytes = rowBytes;
  copy.rows = rows;
  return driver_.check(driver_.cuMemcpy2DAsync(&copy, context_->stream()), "cuMemcpy2DAsync");
}

Status CUDADevice::copyToHost(std::span<std::byte> to, uint64_t from) {
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  if (Status status = copyToHostLocked(to, from); !status)
    return status;
  return waitLocked();
}

Status CUDADevice::copyToHostLocked(std::span<std::byte> to, uint64_t from) {
  if (to.empty())
    return Status::ok();
  return driver_.check(driver_.cuMemcpyDtoHAsync(to.data(), from, to.size(), context_->stream()),
                       "cuMemcpyDtoHAsync");
}

Result<std::unique_ptr<PendingCopy>> CUDADevice::startCopyToHost(std::span<std::byte> to,
                                                                 uint64_t from) {
  constexpr unsigned withoutTiming = 2;
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  auto copy = std::make_unique<CUDACopy>(*context_, debugSync_);
  if (Status status =
          driver_.check(driver_.cuEventCreate(&copy->event, withoutTiming), "cuEventCreate");
      !status)
    return status;
  if (Status status = copyToHostLocked(to, from); !status)
    return status;
  if (Status status =
          driver_.check(driver_.cuEventRecord(copy->event, context_->stream()), "cuEventRecord");
      !status)
    return status;
  return std::unique_ptr<PendingCopy>(std::move(copy));
}

Status CUDADevice::copy(uint64_t to, uint64_t from, uint64_t bytes) {
  if (bytes == 0)
    return Status::ok();
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  return driver_.check(driver_.cuMemcpyDtoDAsync(to, from, bytes, context_->stream()),
                       "cuMemcpyDtoDAsync");
}

Result<double> CUDADevice::timeCopy(uint64_t to, uint64_t from, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  return Stopwatch(*context_).time([&] {
    return driver_.check(driver_.cuMemcpyDtoDAsync(to, from, bytes, context_->stream()),
                         "cuMemcpyDtoDAsync");
  });
}

Status CUDADevice::zero(uint64_t address, uint64_t bytes) {
  if (bytes == 0)
    return Status::ok();
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  return driver_.check(driver_.cuMemsetD8Async(address, 0, bytes, context_->stream()),
                       "cuMemsetD8Async");
}

Status CUDADevice::synchronize() {
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  return waitLocked();
}

Status CUDADevice::waitLocked() { return withHint(context_->synchronize(), debugSync_); }

//===----------------------------------------------------------------------===//
// Code and launches
//===----------------------------------------------------------------------===//

Result<std::unique_ptr<DeviceCode>> CUDADevice::load(std::span<const std::byte> bytes,
                                                     const std::string &hash,
                                                     const std::vector<KernelEntry> &entries) {
  // A copy, because cubins are read when they are first used.
  std::vector<std::byte> section(bytes.begin(), bytes.end());
  Hash found = hashOf(section);
  if (hash.size() != found.size() || std::memcmp(hash.data(), found.data(), found.size()) != 0)
    return Status::invalid(
        "the code section is damaged: it has another hash than the manifest says");
  std::vector<KernelEntry> used = entries;
  if (use_.isTranslated)
    for (KernelEntry &entry : used) {
      if (entry.ptxSize == 0)
        return Status::unavailable("kernel " + quoted(entry.name) + " has no PTX, which " +
                                   context_->name() + " needs to run code of " + use_.name);
      entry.offset = entry.ptxOffset;
      entry.size = entry.ptxSize;
    }
  return std::unique_ptr<DeviceCode>(
      std::make_unique<CUDACode>(*context_, std::move(section), std::move(used)));
}

Status CUDADevice::encode(const TensorMap &map, EncodedTensorMap &encoded) const {
  const uint64_t dimensions[] = {map.rowBytes, map.rows};
  const uint64_t strides[] = {map.stride};
  const uint32_t box[] = {128, map.boxRows};
  const uint32_t elementStrides[] = {1, 1};
  return driver_.check(driver_.cuTensorMapEncodeTiled(
                           &encoded, tensorUInt8, 2, reinterpret_cast<void *>(map.address),
                           dimensions, strides, box, elementStrides, tensorInterleaveNone,
                           tensorSwizzle128B, tensorL2Promotion128B, tensorFillZero),
                       "cuTensorMapEncodeTiled");
}

Status CUDADevice::launchOne(CUDACode &code, const LaunchCommand &command) {
  Result<CUfunction> function = code.prepare(command);
  if (!function)
    return function.status();
  std::vector<EncodedTensorMap> maps(command.maps.size());
  std::vector<void *> parameters;
  parameters.reserve(command.args.size() + maps.size() + spareParameters);
  for (const uint64_t &arg : command.args)
    parameters.push_back(const_cast<uint64_t *>(&arg));
  for (size_t i = 0; i < maps.size(); ++i) {
    if (Status status = encode(command.maps[i], maps[i]); !status)
      return status;
    parameters.push_back(&maps[i]);
  }
  static const EncodedTensorMap zeros = {};
  parameters.insert(parameters.end(), spareParameters,
                    const_cast<EncodedTensorMap *>(&zeros)); // the driver only reads them
  // The kernel may start while its predecessor ends, where it waits for it itself.
  LaunchAttribute overlap{};
  overlap.id = launchProgrammaticSerialization;
  overlap.value = 1;
  const LaunchGrid &grid = command.grid;
  LaunchConfig config{grid.x,
                      grid.y,
                      grid.z,
                      grid.threads,
                      1,
                      1,
                      grid.sharedBytes,
                      context_->stream(),
                      &overlap,
                      use_.mayOverlap() ? 1u : 0u};
  return driver_.check(driver_.cuLaunchKernelEx(&config, *function, parameters.data(), nullptr),
                       "cuLaunchKernelEx");
}

Status CUDADevice::launchLine(CUDACode &code, std::span<const LaunchCommand> line, bool wait) {
  for (const LaunchCommand &command : line) {
    if (command.grid.x == 0)
      continue;
    Status status = launchOne(code, command);
    if (status && wait)
      status = context_->synchronize();
    if (status)
      continue;
    if (command.entry >= code.size())
      return status;
    return Status(status.code(), "kernel " + quoted(code.nameOf(command)) + " of " +
                                     quoted(std::string(command.name)) + ": " + status.message());
  }
  return Status::ok();
}

Status CUDADevice::launch(const DeviceCode &code, std::span<const LaunchCommand> line) {
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  // Cubins are loaded lazily, which changes nothing that a caller can see.
  return launchLine(const_cast<CUDACode &>(static_cast<const CUDACode &>(code)), line, debugSync_);
}

Result<CUgraph> CUDADevice::capture(CUDACode &code, std::span<const LaunchCommand> line) {
  // Nothing may be loaded during a capture.
  for (const LaunchCommand &command : line)
    if (Result<CUfunction> function = code.prepare(command); !function)
      return function.status();
  if (Status status =
          driver_.check(driver_.cuStreamBeginCapture(context_->stream(), captureThreadLocal),
                        "cuStreamBeginCapture");
      !status)
    return status;
  Status launched = launchLine(code, line, /*wait=*/false);
  CUgraph graph = nullptr;
  Status ended =
      driver_.check(driver_.cuStreamEndCapture(context_->stream(), &graph), "cuStreamEndCapture");
  if (launched && ended)
    return graph;
  if (graph)
    driver_.cuGraphDestroy(graph);
  return launched ? ended : launched;
}

Result<std::unique_ptr<Recording>> CUDADevice::record(const DeviceCode &code,
                                                      std::vector<LaunchCommand> line) {
  auto recording = std::make_unique<CUDARecording>(*context_);
  recording->code = const_cast<CUDACode *>(static_cast<const CUDACode *>(&code));
  recording->line = std::move(line);
  if (debugSync_)
    return std::unique_ptr<Recording>(std::move(recording));
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  Result<CUgraph> graph = capture(*recording->code, recording->line);
  if (!graph)
    return graph.status();
  CUresult result = driver_.cuGraphInstantiateWithFlags(&recording->graph, *graph, 0);
  driver_.cuGraphDestroy(*graph);
  if (result != success) {
    recording->graph = nullptr;
    return driver_.check(result, "cuGraphInstantiateWithFlags");
  }
  if (Status status = driver_.check(driver_.cuGraphUpload(recording->graph, context_->stream()),
                                    "cuGraphUpload");
      !status)
    return status;
  return std::unique_ptr<Recording>(std::move(recording));
}

Status CUDADevice::replayLocked(const CUDARecording &recording) {
  if (recording.graph)
    return driver_.check(driver_.cuGraphLaunch(recording.graph, context_->stream()),
                         "cuGraphLaunch");
  return launchLine(*recording.code, recording.line, debugSync_);
}

Status CUDADevice::replay(const Recording &recording) {
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  return replayLocked(static_cast<const CUDARecording &>(recording));
}

Result<double> CUDADevice::time(const Recording &recording) {
  std::lock_guard lock(mutex_);
  if (Status status = context_->enter(); !status)
    return status;
  return Stopwatch(*context_).time(
      [&] { return replayLocked(static_cast<const CUDARecording &>(recording)); });
}

/// How a GPU runs code of an architecture.
enum class Fit { none, translated, own, exact };

/// Code of an architecture with a letter runs on this one only. Other code runs as it is on
/// later ones of the same major version, and on those of later ones from PTX.
Fit fitOf(const CUDAContext &gpu, const GPUArchitecture &code) {
  if (code.exact)
    return gpu.major() == code.major && gpu.minor() == code.minor ? Fit::exact : Fit::none;
  if (gpu.major() == code.major)
    return gpu.minor() >= code.minor ? Fit::own : Fit::none;
  return gpu.major() > code.major ? Fit::translated : Fit::none;
}

Status whyNone(const CUDAContext &gpu, const std::string &name) {
  std::optional<GPUArchitecture> code = parseArchitecture(name);
  return Status::unavailable("the code is for " + quoted(name) +
                             (code && !code->exact ? " and later GPUs, but " : ", but ") +
                             gpu.name() + " is sm_" + std::to_string(gpu.major()) +
                             std::to_string(gpu.minor()));
}

} // namespace

Result<std::unique_ptr<Device>> qopt::createCUDADevice(const CUDADeviceOptions &options) {
  auto context = CUDAContext::create(options.driver, options.ordinal);
  if (!context)
    return context.status();
  std::optional<GPUArchitecture> code = parseArchitecture(options.architecture);
  Fit fit = code ? fitOf(**context, *code) : Fit::none;
  if (fit == Fit::none)
    return whyNone(**context, options.architecture);
  return std::unique_ptr<Device>(std::make_unique<CUDADevice>(
      std::move(*context), CodeUse{options.architecture, fit == Fit::translated, *code},
      options.debugSync));
}

Result<size_t> qopt::bestArchitecture(std::span<const std::string> architectures, unsigned ordinal,
                                      const std::string &driver) {
  auto gpu = CUDAContext::find(driver, ordinal);
  if (!gpu)
    return gpu.status();
  std::optional<size_t> best;
  std::tuple<Fit, int, int> rankOfBest;
  for (size_t i = 0; i < architectures.size(); ++i) {
    std::optional<GPUArchitecture> code = parseArchitecture(architectures[i]);
    Fit fit = code ? fitOf(**gpu, *code) : Fit::none;
    if (fit == Fit::none)
      continue;
    std::tuple rank(fit, code->major, code->minor);
    if (!best || rank > rankOfBest) {
      best = i;
      rankOfBest = rank;
    }
  }
  if (best)
    return *best;
  return whyNone(**gpu, architectures.empty() ? "" : architectures.front());
}
