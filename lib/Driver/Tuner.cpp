//===- Tuner.cpp - Tunes the linear layers of plans -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Tuner.h"
#include "../Runtime/Artifact/Format.h"
#include "StatusError.h"
#include "TuneMeasure.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MathExtras.h"
#include <future>

using namespace mlir;
using namespace qopt;

namespace {

/// What is faster than the cost model's choice by less than a measurement may err does not
/// take its place.
constexpr double worthAChange = 0.99;

/// Weights of a recording: more than the second-level cache (60 MB) holds.
constexpr uint64_t rotatingBytes = 200 << 20;
constexpr uint64_t alignment = 256; // of weights
constexpr uint64_t fewestLaunches = 4, mostLaunches = 1024;
/// A recording: long beside what starts it (some microseconds); and where the launches
/// are long, the time in which each shall have a weight of its own.
constexpr double recordingSeconds = 1e-3, rotatingSeconds = 5e-3;

/// Bytes of `rows` rows of a buffer, as far as they are apart.
uint64_t bufferElements(Value buffer, int64_t rows) {
  auto type = cast<MemRefType>(buffer.getType());
  if (type.getRank() == 1)
    return type.isDynamicDim(0) ? rows : type.getDimSize(0);
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return rows * type.getShape().back();
  return rows * strides.front();
}

uint64_t elementBytes(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getElementTypeBitWidth() / 8;
}

/// The kernels of all layers of an image: layers of different rows share some.
struct Build {
  ArrayRef<TuningTask> tasks;
  std::vector<KernelSource> sources;
  std::vector<std::vector<size_t>> sourceOf; // of a task's candidate
  std::vector<std::string> errors;           // of a source
  CompiledCode code;
};

llvm::Expected<Build> build(ArrayRef<TuningTask> tasks, const std::string &cacheFolder) {
  Build result;
  result.tasks = tasks;
  llvm::StringMap<size_t> known; // by text
  for (const TuningTask &task : tasks) {
    std::vector<size_t> &sources = result.sourceOf.emplace_back();
    for (const TuningCandidate &candidate : task.candidates) {
      auto [found, isNew] = known.try_emplace(candidate.source.text, result.sources.size());
      if (isNew)
        result.sources.push_back(candidate.source);
      sources.push_back(found->second);
    }
  }
  llvm::Expected<CompiledCode> code =
      compileCUDA(result.sources, hopperArchitecture, cacheFolder, result.errors);
  if (!code)
    return code.takeError();
  result.code = std::move(*code);
  return result;
}

/// The layers of one image on the device.
class ImageTuner {
public:
  ImageTuner(Device &device, const Build &build, const TunerOptions &options)
      : device(device), build(build), options(options) {}

  llvm::Error run() {
    if (Status status = load(); !status)
      return toError(status);
    if (Status status = uploadWeights(); !status)
      return toError(status);
    for (size_t i = 0; i < build.tasks.size() && options.goOn(); ++i)
      if (llvm::Error error = tune(build.tasks[i], build.sourceOf[i]))
        return error;
    return llvm::Error::success();
  }

private:
  Status load() {
    std::vector<KernelEntry> entries;
    for (const KernelCode &kernel : build.code.kernels)
      entries.push_back({kernel.entry, kernel.offset, kernel.size});
    auto bytes = std::as_bytes(std::span<const char>(build.code.bytes));
    Hash hash = hashOf(bytes);
    Result<std::unique_ptr<DeviceCode>> loaded =
        device.load(bytes, {reinterpret_cast<const char *>(hash.data()), hash.size()}, entries);
    if (!loaded)
      return loaded.status();
    code = std::move(*loaded);
    return Status::ok();
  }

  /// Copies of one random image.
  Status uploadWeights() {
    const TuningTask &task = build.tasks.front();
    kernel::GemmOp op = task.op;
    std::vector<std::byte> image = randomImage(op.getWeight().getType());
    uint64_t distance = llvm::alignTo(image.size(), alignment);
    uint64_t copies =
        std::clamp<uint64_t>(llvm::divideCeil(rotatingBytes, distance), 1, mostLaunches);
    Result<DeviceMemory> memory = device.allocate(copies * distance);
    if (!memory)
      return memory.status();
    weightMemory = std::move(*memory);
    for (uint64_t i = 0; i < copies; ++i) {
      weights.push_back(weightMemory.address() + i * distance);
      if (Status status = device.copyToDevice(weights.back(), image); !status)
        return status;
    }
    return device.synchronize(); // the image may go
  }

  /// Launches of a recording, of `predicted` seconds each.
  uint64_t launchesOf(double predicted) const {
    auto in = [&](double seconds) {
      return static_cast<uint64_t>(seconds / std::max(predicted, 1e-7));
    };
    uint64_t rotating = std::min<uint64_t>(weights.size(), in(rotatingSeconds));
    return std::clamp(std::max(in(recordingSeconds), rotating), fewestLaunches, mostLaunches);
  }

  /// Operands on the device: the output zero, what is read random.
  Result<TuneWork> prepare(const TuningTask &task, std::vector<DeviceMemory> &buffers,
                           uint64_t &input) {
    TuneWork work;
    kernel::GemmOp op = task.op;
    for (Value operand : op->getOperands()) {
      if (operand == op.getWeight()) {
        work.weightArg = work.args.size();
        work.args.push_back(0);
        continue;
      }
      bool isOutput = operand == op.getOuts()[0];
      uint64_t count = bufferElements(operand, task.rows);
      uint64_t bytes = count * elementBytes(operand);
      Result<DeviceMemory> memory = device.allocate(bytes);
      if (!memory)
        return memory.status();
      uint64_t address = memory->address();
      buffers.push_back(std::move(*memory));
      work.args.push_back(address);
      if (operand == op.getInput())
        input = address;
      if (isOutput) {
        work.output = address;
        work.outputBytes = bytes;
        continue;
      }
      std::vector<std::byte> values =
          randomNumbers(cast<MemRefType>(operand.getType()).getElementType(), count);
      Status status = device.copyToDevice(address, values);
      if (status)
        status = device.synchronize();
      if (!status)
        return status;
    }
    work.args.push_back(task.rows);
    uint64_t launches = launchesOf(task.candidates.front().predicted);
    for (uint64_t i = 0; i < launches; ++i)
      work.weights.push_back(weights[i % weights.size()]);
    return work;
  }

  Contender contender(const TuningTask &task, const TuningCandidate &candidate, size_t source,
                      uint64_t input) const {
    kernel::GemmOp op = task.op;
    const GridForm &grid = *candidate.form.grid;
    Contender result;
    result.name = candidate.name;
    result.entry = source;
    result.grid = {static_cast<uint32_t>(llvm::divideCeil(task.rows, grid.rowsPerBlock)),
                   static_cast<uint32_t>(grid.y), static_cast<uint32_t>(grid.z),
                   static_cast<uint32_t>(grid.threads), static_cast<uint32_t>(grid.sharedBytes)};
    uint64_t bytes = elementBytes(op.getInput());
    uint64_t stride = bufferElements(op.getInput(), 1) * bytes;
    uint64_t columns = cast<MemRefType>(op.getInput().getType()).getShape().back();
    for (const LaunchMap &map : candidate.form.maps)
      result.maps.push_back({input, stride, static_cast<uint32_t>(columns * bytes),
                             static_cast<uint32_t>(task.rows), static_cast<uint32_t>(map.boxRows)});
    return result;
  }

  llvm::Error tune(const TuningTask &task, ArrayRef<size_t> sources) {
    std::vector<DeviceMemory> buffers;
    uint64_t input = 0;
    Result<TuneWork> work = prepare(task, buffers, input);
    if (!work)
      return toError(work.status());
    TuneOutcome outcome;
    std::vector<Contender> contenders;
    std::vector<size_t> candidates; // of the contenders
    for (size_t i = 0; i < task.candidates.size(); ++i) {
      const std::string &error = build.errors[sources[i]];
      if (!error.empty()) {
        outcome.refused.push_back(task.candidates[i].name + ": " + error);
        continue;
      }
      contenders.push_back(contender(task, task.candidates[i], sources[i], input));
      candidates.push_back(i);
    }
    if (contenders.empty())
      return llvm::createStringError(
          task.name + ": no candidate can be built: " + llvm::join(outcome.refused, "; "));
    Result<std::vector<Measurement>> measured =
        measureContenders(device, *code, *work, contenders, options.goOn);
    if (!measured)
      return llvm::createStringError(task.name + ": " + measured.status().message());
    outcome.timed = measured->size();
    outcome.result.task = &task;
    outcome.result.seconds = outcome.result.modelSeconds = measured->front().seconds;
    outcome.result.best = candidates.front();
    double bound = worthAChange * outcome.result.seconds;
    for (auto [i, measurement] : llvm::enumerate(*measured)) {
      outcome.differs |= !measurement.agrees;
      if (!measurement.agrees)
        outcome.refused.push_back(contenders[i].name + ": its bits differ from those of " +
                                  contenders.front().name);
      else if (measurement.finished && measurement.seconds < bound) {
        bound = outcome.result.seconds = measurement.seconds;
        outcome.result.best = candidates[i];
      }
    }
    outcome.bestName = task.candidates[outcome.result.best].name;
    outcome.modelName = contenders.front().name;
    return options.report(outcome);
  }

  Device &device;
  const Build &build;
  const TunerOptions &options;
  std::unique_ptr<DeviceCode> code;
  DeviceMemory weightMemory;
  std::vector<uint64_t> weights;
};

/// The first of `tasks`, as far as they have the same image.
ArrayRef<TuningTask> takeImage(ArrayRef<TuningTask> &tasks) {
  StringRef image = tasks.front().image;
  ArrayRef<TuningTask> taken =
      tasks.take_while([&](const TuningTask &task) { return task.image == image; });
  tasks = tasks.drop_front(taken.size());
  return taken;
}

} // namespace

llvm::Error qopt::tune(Device &device, ArrayRef<TuningTask> tasks, const TunerOptions &options) {
  auto start = [&](ArrayRef<TuningTask> image) {
    return std::async(std::launch::async, [image, &options] {
      return std::make_unique<llvm::Expected<Build>>(build(image, options.cacheFolder));
    });
  };
  std::future<std::unique_ptr<llvm::Expected<Build>>> next;
  if (!tasks.empty())
    next = start(takeImage(tasks));
  while (next.valid()) {
    std::unique_ptr<llvm::Expected<Build>> built = next.get();
    if (!*built)
      return built->takeError();
    if (!tasks.empty() && options.goOn())
      next = start(takeImage(tasks));
    llvm::Error error = ImageTuner(device, **built, options).run();
    if (!error)
      continue;
    if (next.valid())
      if (auto other = next.get(); !*other)
        llvm::consumeError(other->takeError());
    return error;
  }
  return llvm::Error::success();
}
