//===- FakeCUDADriver.cpp - A CUDA driver without a GPU -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FakeCUDADriver.h"
#include "Runtime/Device/CUDADriver.h"
#include "Target/CUDA/device/sample_config.h"
#include "qopt/Runtime/Sampler.h"
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>

using namespace qopt;
using namespace qopt::cuda;

#define QOPT_TOY_KERNEL(name)                                                                      \
  extern "C" void name(const uint64_t *args, uint64_t worker, uint64_t workers);
QOPT_TOY_KERNEL(toy_embed)
QOPT_TOY_KERNEL(toy_append)
QOPT_TOY_KERNEL(toy_attend)
QOPT_TOY_KERNEL(toy_project)
QOPT_TOY_KERNEL(toy_attend_tiles)
QOPT_TOY_KERNEL(toy_check_state)
QOPT_TOY_KERNEL(toy_project_map)

/// The kernel's steps by the host's sampler: logits [R, V], sampling [R], tokens [R],
/// log-probabilities [R], R, V.
static void toy_sample(const uint64_t *args, uint64_t, uint64_t) {
  auto logits = reinterpret_cast<const float *>(args[0]);
  auto rows = reinterpret_cast<const cuda::SamplingRow *>(args[1]);
  Sampler sampler;
  for (uint64_t r = 0; r < args[4]; ++r) {
    const cuda::SamplingRow &row = rows[r];
    if (!row.is_used)
      continue;
    SamplingParams params{row.temperature,        row.top_k, row.top_p,        row.min_p,
                          row.repetition_penalty, row.seed,  row.wants_logprob};
    Result<SampledToken> sampled =
        sampler.sample({logits + r * args[5], args[5]}, params,
                       {row.history, size_t(row.history_length)}, row.position);
    reinterpret_cast<int32_t *>(args[2])[r] = sampled ? sampled->token : -1;
    if (row.wants_logprob)
      reinterpret_cast<float *>(args[3])[r] = sampled ? static_cast<float>(sampled->logprob) : 0;
  }
}

namespace qopt::cuda {

struct CUfunc_st {
  std::string name;
  size_t args, maps;
  int maxSharedBytes = 48 << 10;
  void (*run)(const uint64_t *, uint64_t, uint64_t);
};

struct CUmod_st {
  std::map<std::string, CUfunc_st> functions;
};

using Work = std::vector<std::function<void()>>;

struct CUstream_st {
  Work queue;
  uint64_t given = 0; ///< work, ever
  bool capturing = false;
  Work captured;
};

struct CUgraph_st {
  Work work;
};
struct CUgraphExec_st {
  Work work;
};
struct CUevent_st {
  CUstream stream = nullptr;
  uint64_t number = 0; ///< of the work that was given to the stream before
};
struct CUctx_st {};

} // namespace qopt::cuda

namespace {

constexpr CUresult errorInvalidImage = 200;
constexpr CUresult errorNotFound = 500;
constexpr CUresult errorIllegalAddress = 700;

struct State {
  toy::FakeDriver driver;
  std::recursive_mutex mutex;
  std::map<CUdeviceptr, size_t> memories;
  std::set<CUstream> streams;
  CUresult sticky = success; ///< of a kernel that failed
  CUctx_st context;
};

State &state() {
  static State state;
  return state;
}

thread_local CUcontext current = nullptr;

/// What the call named \p name begins with.
CUresult begin(const char *name, bool needsContext = true) {
  State &s = state();
  if (s.driver.failingCall == name)
    return s.driver.failure;
  if (needsContext && !current)
    return 201; // CUDA_ERROR_INVALID_CONTEXT
  return s.sticky;
}

#define QOPT_FAKE(name, ...)                                                                       \
  std::lock_guard lock(state().mutex);                                                             \
  if (CUresult result = begin(#name, ##__VA_ARGS__); result != success)                            \
  return result

/// Does what the stream was given, but for the last \p later.
void flush(CUstream stream, size_t later = 0) {
  if (later >= stream->queue.size())
    return;
  Work left(stream->queue.end() - later, stream->queue.end());
  Work work = std::move(stream->queue);
  work.resize(work.size() - later);
  stream->queue = std::move(left);
  for (auto &step : work)
    step();
}

CUresult enqueue(CUstream stream, std::function<void()> step) {
  stream->given += !stream->capturing;
  (stream->capturing ? stream->captured : stream->queue).push_back(std::move(step));
  return success;
}

void runKernel(const CUfunc_st &function, const toy::FakeLaunch &launch,
               const std::vector<EncodedTensorMap> &maps) {
  State &s = state();
  if (s.sticky != success)
    return;
  if (s.driver.failingKernel == function.name) {
    s.sticky = errorIllegalAddress;
    return;
  }
  s.driver.ran.push_back(launch);
  std::vector<uint64_t> args = launch.args;
  for (const EncodedTensorMap &map : maps)
    args.push_back(reinterpret_cast<uint64_t>(&map));
  function.run(args.data(), 0, 1);
}

CUresult fake_cuInit(unsigned) {
  QOPT_FAKE(cuInit, false);
  return state().driver.devices ? success : errorNoDevice;
}
CUresult fake_cuDriverGetVersion(int *version) {
  *version = 13000;
  return success;
}
CUresult fake_cuGetErrorName(CUresult error, const char **name) {
  static const std::map<CUresult, const char *> names = {{2, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                         {200, "CUDA_ERROR_INVALID_IMAGE"},
                                                         {500, "CUDA_ERROR_NOT_FOUND"},
                                                         {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}};
  auto found = names.find(error);
  *name = found == names.end() ? "CUDA_ERROR_UNKNOWN" : found->second;
  return success;
}
CUresult fake_cuGetErrorString(CUresult, const char **text) {
  *text = "as the test wants";
  return success;
}
CUresult fake_cuDeviceGetCount(int *count) {
  QOPT_FAKE(cuDeviceGetCount, false);
  *count = state().driver.devices;
  return success;
}
CUresult fake_cuDeviceGet(CUdevice *device, int ordinal) {
  *device = ordinal;
  return ordinal < state().driver.devices ? success : errorInvalidDevice;
}
CUresult fake_cuDeviceGetName(char *name, int size, CUdevice device) {
  std::strncpy(name, "Fake GPU", static_cast<size_t>(size));
  return success;
}
CUresult fake_cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  const toy::FakeDriver &driver = state().driver;
  *value = attribute == attributeMajor   ? driver.major
           : attribute == attributeMinor ? driver.minor
                                         : 1 << 20;
  return success;
}
CUresult fake_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  QOPT_FAKE(cuDevicePrimaryCtxRetain, false);
  ++state().driver.contexts;
  *context = &state().context;
  return success;
}
CUresult fake_cuDevicePrimaryCtxRelease(CUdevice) {
  --state().driver.contexts;
  return success;
}
CUresult fake_cuCtxSetCurrent(CUcontext context) {
  current = context;
  return success;
}
CUresult fake_cuMemGetInfo(size_t *free, size_t *total) {
  std::lock_guard lock(state().mutex);
  *total = state().driver.totalBytes;
  *free = *total - state().driver.usedBytes;
  return success;
}
CUresult fake_cuMemAlloc(CUdeviceptr *address, size_t bytes) {
  QOPT_FAKE(cuMemAlloc);
  State &s = state();
  if (bytes > s.driver.totalBytes - s.driver.usedBytes)
    return errorOutOfMemory;
  void *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!memory)
    return errorOutOfMemory;
  std::memset(memory, 0xa5, bytes); // a GPU's memory isn't zero
  *address = reinterpret_cast<CUdeviceptr>(memory);
  s.memories[*address] = bytes;
  s.driver.usedBytes += bytes;
  ++s.driver.memories;
  return success;
}
CUresult fake_cuMemFree(CUdeviceptr address) {
  std::lock_guard lock(state().mutex);
  State &s = state();
  for (CUstream stream : s.streams) // the driver waits for the memory's users
    flush(stream);
  auto found = s.memories.find(address);
  if (found == s.memories.end())
    return errorInvalidValue;
  s.driver.usedBytes -= found->second;
  s.memories.erase(found);
  std::free(reinterpret_cast<void *>(address));
  --s.driver.memories;
  return success;
}
CUresult fake_cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  QOPT_FAKE(cuMemHostAlloc);
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  ++state().driver.hostMemories;
  return success;
}
CUresult fake_cuMemFreeHost(void *memory) {
  std::lock_guard lock(state().mutex);
  std::free(memory);
  --state().driver.hostMemories;
  return success;
}
CUresult fake_cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  QOPT_FAKE(cuMemcpyHtoDAsync);
  ++state().driver.copiesToDevice;
  return enqueue(stream, [=] { std::memcpy(reinterpret_cast<void *>(to), from, bytes); });
}
CUresult fake_cuMemcpy2DAsync(const CopyOfRows *copy, CUstream stream) {
  QOPT_FAKE(cuMemcpy2DAsync);
  if (copy->fromType != memoryTypeHost || copy->toType != memoryTypeDevice ||
      copy->rowBytes > copy->fromStride || copy->rowBytes > copy->toStride)
    return errorInvalidValue;
  ++state().driver.copiesToDevice;
  return enqueue(stream, [c = *copy] {
    for (size_t row = 0; row < c.rows; ++row)
      std::memcpy(reinterpret_cast<char *>(c.toDevice) + row * c.toStride,
                  static_cast<const char *>(c.fromHost) + row * c.fromStride, c.rowBytes);
  });
}
CUresult fake_cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  QOPT_FAKE(cuMemcpyDtoHAsync);
  ++state().driver.copiesToHost;
  return enqueue(stream, [=] { std::memcpy(to, reinterpret_cast<const void *>(from), bytes); });
}
CUresult fake_cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  QOPT_FAKE(cuMemcpyDtoDAsync);
  ++state().driver.copiesInside;
  return enqueue(stream, [=] {
    std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
  });
}
CUresult fake_cuMemsetD8Async(CUdeviceptr address, unsigned char value, size_t count,
                              CUstream stream) {
  QOPT_FAKE(cuMemsetD8Async);
  return enqueue(stream, [=] { std::memset(reinterpret_cast<void *>(address), value, count); });
}
CUresult fake_cuStreamCreate(CUstream *stream, unsigned) {
  QOPT_FAKE(cuStreamCreate);
  *stream = new CUstream_st;
  state().streams.insert(*stream);
  ++state().driver.streams;
  return success;
}
CUresult fake_cuStreamDestroy(CUstream stream) {
  std::lock_guard lock(state().mutex);
  state().streams.erase(stream);
  delete stream;
  --state().driver.streams;
  return success;
}
CUresult fake_cuStreamSynchronize(CUstream stream) {
  QOPT_FAKE(cuStreamSynchronize);
  flush(stream);
  return state().sticky;
}
CUresult fake_cuStreamBeginCapture(CUstream stream, int) {
  QOPT_FAKE(cuStreamBeginCapture);
  ++state().driver.captures;
  stream->capturing = true;
  return success;
}
CUresult fake_cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  std::lock_guard lock(state().mutex);
  stream->capturing = false;
  *graph = new CUgraph_st{std::move(stream->captured)};
  stream->captured.clear();
  ++state().driver.graphs;
  return begin("cuStreamEndCapture");
}
CUresult fake_cuEventCreate(CUevent *event, unsigned) {
  QOPT_FAKE(cuEventCreate);
  *event = new CUevent_st;
  ++state().driver.events;
  return success;
}
CUresult fake_cuEventDestroy(CUevent event) {
  std::lock_guard lock(state().mutex);
  delete event;
  --state().driver.events;
  return success;
}
CUresult fake_cuEventRecord(CUevent event, CUstream stream) {
  QOPT_FAKE(cuEventRecord);
  event->stream = stream;
  event->number = stream->given;
  return success;
}
CUresult fake_cuEventSynchronize(CUevent event) {
  QOPT_FAKE(cuEventSynchronize);
  if (event->stream) // what was given later may still wait
    flush(event->stream, event->stream->given - event->number);
  return state().sticky;
}
CUresult fake_cuEventElapsedTime(float *milliseconds, CUevent, CUevent) {
  std::vector<float> &elapsed = state().driver.elapsed;
  *milliseconds = elapsed.empty() ? 2 : elapsed.front();
  if (!elapsed.empty())
    elapsed.erase(elapsed.begin());
  return success;
}
CUresult fake_cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                          unsigned long long) {
  QOPT_FAKE(cuGraphInstantiateWithFlags);
  *executable = new CUgraphExec_st{graph->work};
  ++state().driver.executables;
  return success;
}
CUresult fake_cuGraphUpload(CUgraphExec, CUstream) {
  QOPT_FAKE(cuGraphUpload);
  return success;
}
CUresult fake_cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  QOPT_FAKE(cuGraphLaunch);
  ++state().driver.graphLaunches;
  for (auto &step : executable->work)
    enqueue(stream, step);
  return success;
}
CUresult fake_cuGraphExecDestroy(CUgraphExec executable) {
  std::lock_guard lock(state().mutex);
  delete executable;
  --state().driver.executables;
  return success;
}
CUresult fake_cuGraphDestroy(CUgraph graph) {
  std::lock_guard lock(state().mutex);
  delete graph;
  --state().driver.graphs;
  return success;
}

/// "fake cubin", then lines of a kernel's name, arguments and tensor maps, then "end".
CUresult fake_cuModuleLoadData(CUmodule *module, const void *image) {
  QOPT_FAKE(cuModuleLoadData);
  static const std::map<std::string, decltype(CUfunc_st::run)> kernels = {
      {"toy_embed", toy_embed},
      {"toy_append", toy_append},
      {"toy_attend", toy_attend},
      {"toy_project", toy_project},
      {"toy_attend_tiles", toy_attend_tiles},
      {"toy_check_state", toy_check_state},
      {"toy_project_map", toy_project_map},
      {"toy_sample", toy_sample}};
  const char *text = static_cast<const char *>(image);
  const char *end =
      std::strncmp(text, "fake cubin\n", 11) == 0 ? std::strstr(text, "end\n") : nullptr;
  if (!end)
    return errorInvalidImage;
  auto result = std::make_unique<CUmod_st>();
  std::istringstream lines(std::string(text + 11, end));
  CUfunc_st function;
  while (lines >> function.name >> function.args >> function.maps) {
    function.run = kernels.at(function.name);
    result->functions[function.name] = function;
  }
  *module = result.release();
  ++state().driver.modules;
  return success;
}
CUresult fake_cuModuleUnload(CUmodule module) {
  std::lock_guard lock(state().mutex);
  delete module;
  --state().driver.modules;
  return success;
}
CUresult fake_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  QOPT_FAKE(cuModuleGetFunction);
  auto found = module->functions.find(name);
  if (found == module->functions.end())
    return errorNotFound;
  *function = &found->second;
  return success;
}
CUresult fake_cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  QOPT_FAKE(cuFuncSetAttribute);
  if (attribute == functionMaxDynamicSharedBytes)
    function->maxSharedBytes = value;
  return success;
}
CUresult fake_cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *size) {
  bool isMap = index >= function->args;
  if (index >= function->args + function->maps) {
    ++state().driver.missingParameters;
    return errorInvalidValue;
  }
  constexpr size_t bank = 0x210; // where parameters begin; maps are aligned there
  size_t mapsAt = (bank + function->args * 8 + 63) / 64 * 64 - bank;
  *offset = isMap ? mapsAt + (index - function->args) * 128 : index * 8;
  *size = isMap ? 128 : 8;
  return success;
}
CUresult fake_cuLaunchKernelEx(const LaunchConfig *config, CUfunction function, void **parameters,
                               void **) {
  QOPT_FAKE(cuLaunchKernelEx);
  if (static_cast<int>(config->sharedBytes) > function->maxSharedBytes || config->gridX == 0)
    return errorInvalidValue;
  toy::FakeLaunch launch;
  launch.kernel = function->name;
  launch.grid[0] = config->gridX;
  launch.grid[1] = config->gridY;
  launch.grid[2] = config->gridZ;
  launch.threads = config->blockX;
  launch.sharedBytes = config->sharedBytes;
  launch.overlaps = config->numAttributes == 1 && config->attributes[0].value == 1 &&
                    config->attributes[0].id == launchProgrammaticSerialization;
  for (size_t i = 0; i < function->args; ++i)
    launch.args.push_back(*static_cast<const uint64_t *>(parameters[i]));
  std::vector<EncodedTensorMap> maps;
  for (size_t i = 0; i < function->maps; ++i) {
    maps.push_back(*static_cast<const EncodedTensorMap *>(parameters[function->args + i]));
    launch.maps.emplace_back(maps.back().words, maps.back().words + 6);
  }
  ++state().driver.kernelLaunches;
  return enqueue(config->stream, [=, copy = *function] { runKernel(copy, launch, maps); });
}
CUresult fake_cuTensorMapEncodeTiled(EncodedTensorMap *map, int type, uint32_t rank, void *address,
                                     const uint64_t *dimensions, const uint64_t *strides,
                                     const uint32_t *box, const uint32_t *, int, int swizzle, int,
                                     int) {
  QOPT_FAKE(cuTensorMapEncodeTiled, false);
  uint64_t at = reinterpret_cast<uint64_t>(address);
  if (type != tensorUInt8 || rank != 2 || at % 16 || strides[0] % 16 || box[0] != 128 ||
      box[1] > 256)
    return errorInvalidValue;
  *map = {{at, dimensions[0], dimensions[1], strides[0], box[1], uint64_t(swizzle)}};
  return success;
}

} // namespace

extern "C" CUresult cuGetProcAddress_v2(const char *name, void **address, int, uint64_t, int *) {
  static const std::map<std::string, void *> calls = {
#define QOPT_FAKE_CALL(name, version, parameters)                                                  \
  {#name, reinterpret_cast<void *>(static_cast<CUresult(*) parameters>(fake_##name))},
      QOPT_CUDA_DRIVER_CALLS(QOPT_FAKE_CALL){"cuFuncGetParamInfo",
                                             reinterpret_cast<void *>(fake_cuFuncGetParamInfo)}};
  auto found = calls.find(name);
  if (found == calls.end() || state().driver.missingCall == name)
    return errorNotFound;
  *address = found->second;
  return success;
}

extern "C" toy::FakeDriver *qopt_fake_driver() { return &state().driver; }

extern "C" void qopt_fake_driver_reset() {
  std::lock_guard lock(state().mutex);
  state().driver = {};
  state().sticky = success;
}
