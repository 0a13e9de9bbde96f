//===- CompileKernels.cpp - From CUDA C++ to cubins -----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../ObjectCache.h"
#include "NVRTC.h"
#include "PtxasLog.h"
#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Threading.h"
#include <atomic>
#include <thread>

using namespace qopt;
using llvm::StringRef;

/// What the options below and the checks of the log do: goes up when they change.
constexpr StringRef codegenVersion = "1";
constexpr const char *options[] = {"--gpu-architecture=sm_90a", "--std=c++20",
                                   "--ptxas-options=-v",
                                   "--no-cache"}; // of NVRTC: it drops the log
/// Of a cubin in the code section.
constexpr uint64_t alignment = 64;

namespace {

struct Compiled {
  std::string cubin;
  KernelResources resources;
};

} // namespace

/// A cached object: registers, spilled and shared bytes, then the cubin.
static llvm::SmallVector<char, 0> serialize(const Compiled &compiled) {
  llvm::SmallVector<char, 0> bytes(12);
  llvm::support::endian::write32le(bytes.data(), compiled.resources.registers);
  llvm::support::endian::write32le(bytes.data() + 4, compiled.resources.spillBytes);
  llvm::support::endian::write32le(bytes.data() + 8, compiled.resources.sharedBytes);
  bytes.append(compiled.cubin.begin(), compiled.cubin.end());
  return bytes;
}

static std::optional<Compiled> deserialize(llvm::ArrayRef<char> bytes) {
  if (bytes.size() <= 12)
    return std::nullopt;
  auto word = [&](size_t at) { return llvm::support::endian::read32le(bytes.data() + at); };
  return Compiled{std::string(bytes.begin() + 12, bytes.end()), {word(0), word(4), word(8)}};
}

static llvm::Expected<Compiled> compile(const KernelSource &source, const NVRTC &nvrtc,
                                        const ObjectCache &cache, std::atomic<unsigned> &cached) {
  std::vector<DeviceHeader> headers = includedHeaders(source.text);
  std::string version = nvrtc.version();
  std::vector<StringRef> parts{codegenVersion, version, source.entry, source.text};
  for (const DeviceHeader &header : headers) {
    parts.push_back(header.name);
    parts.push_back(header.text);
  }
  for (const char *option : options)
    parts.push_back(option);
  std::string key = ObjectCache::key(parts);
  if (cache.isEnabled())
    if (auto object = cache.find(key))
      if (std::optional<Compiled> compiled = deserialize(*object)) {
        ++cached;
        return std::move(*compiled);
      }
  llvm::Expected<Cubin> cubin = nvrtc.compile(source.text, source.entry, headers, options);
  if (!cubin)
    return cubin.takeError();
  llvm::Expected<KernelResources> resources = readPtxasLog(cubin->log, source.entry);
  if (!resources)
    return resources.takeError();
  Compiled compiled{std::move(cubin->bytes), *resources};
  cache.insert(key, serialize(compiled));
  return compiled;
}

/// `make(i)` for every i below `count`, on all cores.
static void forEach(size_t count, llvm::function_ref<void(size_t)> make) {
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i = next++; i < count; i = next++)
      make(i);
  };
  std::vector<std::thread> workers;
  size_t threads = std::min<size_t>(count, llvm::hardware_concurrency().compute_thread_count());
  for (size_t i = 1; i < threads; ++i)
    workers.emplace_back(work);
  work();
  for (std::thread &worker : workers)
    worker.join();
}

llvm::Expected<CompiledCode> qopt::compileCUDA(llvm::ArrayRef<KernelSource> sources,
                                               StringRef cacheFolder,
                                               std::vector<std::string> &errors) {
  llvm::Expected<const NVRTC *> nvrtc = NVRTC::get();
  if (!nvrtc)
    return nvrtc.takeError();
  ObjectCache cache(cacheFolder);
  std::vector<Compiled> kernels(sources.size());
  errors.assign(sources.size(), "");
  std::atomic<unsigned> cached = 0;
  forEach(sources.size(), [&](size_t i) {
    if (llvm::Expected<Compiled> compiled = compile(sources[i], **nvrtc, cache, cached))
      kernels[i] = std::move(*compiled);
    else
      errors[i] = llvm::toString(compiled.takeError());
  });
  if (cached < sources.size())
    cache.prune();

  CompiledCode code;
  code.cached = cached;
  for (size_t i = 0; i < sources.size(); ++i) {
    code.bytes.resize(llvm::alignTo(code.bytes.size(), alignment));
    const KernelResources &resources = kernels[i].resources;
    code.kernels.push_back({sources[i].entry, code.bytes.size(), kernels[i].cubin.size(),
                            resources.registers, resources.spillBytes, resources.sharedBytes});
    code.bytes += kernels[i].cubin;
  }
  return code;
}

llvm::Expected<CompiledCode> qopt::compileCUDA(llvm::ArrayRef<KernelSource> sources,
                                               StringRef cacheFolder) {
  std::vector<std::string> errors;
  llvm::Expected<CompiledCode> code = compileCUDA(sources, cacheFolder, errors);
  llvm::erase(errors, "");
  if (!code || errors.empty())
    return code;
  return llvm::createStringError(llvm::join(errors, "\n"));
}
