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
constexpr StringRef codegenVersion = "2";
constexpr const char *commonOptions[] = {"--std=c++20", "--ptxas-options=-v",
                                         "--no-cache"}; // of NVRTC: it drops the log
/// Of a cubin, or PTX, in the code section.
constexpr uint64_t alignment = 64;

namespace {

struct Compiled {
  std::string cubin;
  std::string ptx; ///< empty unless it is asked for
  KernelResources resources;
};

/// One compile's share of what all kernels have in common.
struct Settings {
  const NVRTC &nvrtc;
  const ObjectCache &cache;
  std::vector<const char *> options;
  bool keepsPTX;
};

} // namespace

/// A cached object: registers, spilled and shared bytes, bytes of the cubin; then the
/// cubin, then PTX.
static llvm::SmallVector<char, 0> serialize(const Compiled &compiled) {
  llvm::SmallVector<char, 0> bytes(16);
  llvm::support::endian::write32le(bytes.data(), compiled.resources.registers);
  llvm::support::endian::write32le(bytes.data() + 4, compiled.resources.spillBytes);
  llvm::support::endian::write32le(bytes.data() + 8, compiled.resources.sharedBytes);
  llvm::support::endian::write32le(bytes.data() + 12, uint32_t(compiled.cubin.size()));
  bytes.append(compiled.cubin.begin(), compiled.cubin.end());
  bytes.append(compiled.ptx.begin(), compiled.ptx.end());
  return bytes;
}

static std::optional<Compiled> deserialize(llvm::ArrayRef<char> bytes) {
  constexpr size_t head = 16;
  if (bytes.size() <= head)
    return std::nullopt;
  auto word = [&](size_t at) { return llvm::support::endian::read32le(bytes.data() + at); };
  size_t cubin = word(12);
  if (cubin == 0 || cubin > bytes.size() - head)
    return std::nullopt;
  const char *begin = bytes.data() + head;
  return Compiled{std::string(begin, cubin),
                  std::string(begin + cubin, bytes.size() - head - cubin),
                  {word(0), word(4), word(8)}};
}

static llvm::Expected<Compiled> compile(const KernelSource &source, const Settings &settings,
                                        std::atomic<unsigned> &cached) {
  const ObjectCache &cache = settings.cache;
  std::vector<DeviceHeader> headers = includedHeaders(source.text);
  std::string version = settings.nvrtc.version();
  std::vector<StringRef> parts{codegenVersion, version, source.entry, source.text};
  for (const DeviceHeader &header : headers) {
    parts.push_back(header.name);
    parts.push_back(header.text);
  }
  for (const char *option : settings.options)
    parts.push_back(option);
  std::string key = ObjectCache::key(parts);
  if (cache.isEnabled())
    if (auto object = cache.find(key))
      if (std::optional<Compiled> compiled = deserialize(*object)) {
        ++cached;
        return std::move(*compiled);
      }
  llvm::Expected<Cubin> cubin =
      settings.nvrtc.compile(source.text, source.entry, headers, settings.options);
  if (!cubin)
    return cubin.takeError();
  llvm::Expected<KernelResources> resources = readPtxasLog(cubin->log, source.entry);
  if (!resources)
    return resources.takeError();
  Compiled compiled{std::move(cubin->bytes), "", *resources};
  if (settings.keepsPTX)
    compiled.ptx = std::move(cubin->ptx);
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

/// Puts `bytes` behind `code`, aligned; returns where.
static uint64_t append(std::string &code, StringRef bytes) {
  code.resize(llvm::alignTo(code.size(), alignment));
  uint64_t offset = code.size();
  code += bytes;
  return offset;
}

static KernelCode appendKernel(std::string &code, const std::string &entry,
                               const Compiled &compiled) {
  const KernelResources &resources = compiled.resources;
  KernelCode kernel{entry,
                    append(code, compiled.cubin),
                    compiled.cubin.size(),
                    resources.registers,
                    resources.spillBytes,
                    resources.sharedBytes};
  if (!compiled.ptx.empty())
    kernel.ptxOffset = append(code, compiled.ptx);
  kernel.ptxSize = compiled.ptx.size();
  return kernel;
}

llvm::Expected<CompiledCode> qopt::compileCUDA(llvm::ArrayRef<KernelSource> sources,
                                               StringRef architecture, StringRef cacheFolder,
                                               std::vector<std::string> &errors) {
  llvm::Expected<const NVRTC *> nvrtc = NVRTC::get();
  if (!nvrtc)
    return nvrtc.takeError();
  ObjectCache cache(cacheFolder);
  std::string option = ("--gpu-architecture=" + architecture).str();
  Settings settings{**nvrtc, cache, {option.c_str()}, isPortableArchitecture(architecture)};
  llvm::append_range(settings.options, commonOptions);
  std::vector<Compiled> kernels(sources.size());
  errors.assign(sources.size(), "");
  std::atomic<unsigned> cached = 0;
  forEach(sources.size(), [&](size_t i) {
    if (llvm::Expected<Compiled> compiled = compile(sources[i], settings, cached))
      kernels[i] = std::move(*compiled);
    else
      errors[i] = llvm::toString(compiled.takeError());
  });
  if (cached < sources.size())
    cache.prune();

  CompiledCode code;
  code.cached = cached;
  for (size_t i = 0; i < sources.size(); ++i)
    code.kernels.push_back(appendKernel(code.bytes, sources[i].entry, kernels[i]));
  return code;
}

llvm::Expected<CompiledCode> qopt::compileCUDA(llvm::ArrayRef<KernelSource> sources,
                                               StringRef architecture, StringRef cacheFolder) {
  std::vector<std::string> errors;
  llvm::Expected<CompiledCode> code = compileCUDA(sources, architecture, cacheFolder, errors);
  llvm::erase(errors, "");
  if (!code || errors.empty())
    return code;
  return llvm::createStringError(llvm::join(errors, "\n"));
}

std::string qopt::cubinsOf(const CompiledCode &code) {
  std::string bytes;
  for (const KernelCode &kernel : code.kernels)
    append(bytes, StringRef(code.bytes).substr(kernel.offset, kernel.size));
  return bytes;
}

std::string qopt::ptxOf(const CompiledCode &code) {
  std::string text;
  for (const KernelCode &kernel : code.kernels)
    text += StringRef(code.bytes).substr(kernel.ptxOffset, kernel.ptxSize).rtrim('\0');
  return text;
}
