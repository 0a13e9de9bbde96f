//===- CUDACode.cpp - Cubins and the kernels in them ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CUDACode.h"
#include "../Artifact/Format.h"
#include <cstring>
#include <span>

using namespace qopt;
using namespace qopt::cuda;

namespace {

// Above this a kernel must be told how much shared memory it may ask for.
constexpr uint32_t defaultSharedBytes = 48 << 10;

bool isELF(std::span<const std::byte> object) {
  constexpr unsigned char magic[] = {0x7f, 'E', 'L', 'F'};
  return object.size() > sizeof(magic) && std::memcmp(object.data(), magic, sizeof(magic)) == 0;
}

} // namespace

CUDACode::CUDACode(const CUDAContext &context, std::vector<std::byte> section,
                   std::vector<KernelEntry> entries)
    : context_(context), driver_(context.driver()), section_(std::move(section)),
      entries_(std::move(entries)), kernels_(entries_.size()) {}

CUDACode::~CUDACode() {
  if (!context_.enter())
    return;
  (void)context_.synchronize(); // no kernel may run any more
  for (auto [offset, module] : modules_)
    driver_.cuModuleUnload(module);
}

Result<CUfunction> CUDACode::prepare(const LaunchCommand &command) {
  if (command.entry >= entries_.size())
    return Status::usage("launch of kernel " + std::to_string(command.entry) +
                         ", expected less than " + std::to_string(entries_.size()));
  Kernel &kernel = kernels_[command.entry];
  if (!kernel.function)
    if (Status status = load(kernel, entries_[command.entry]); !status)
      return status;
  if (Status status = checkParameters(kernel, command); !status)
    return status;
  uint32_t shared = command.grid.sharedBytes;
  if (shared > defaultSharedBytes && shared > kernel.sharedBytes) {
    CUresult result = driver_.cuFuncSetAttribute(kernel.function, functionMaxDynamicSharedBytes,
                                                 static_cast<int>(shared));
    if (result != success)
      return Status::unavailable("kernel " + quoted(nameOf(command)) + " can't have " +
                                 std::to_string(shared) +
                                 " bytes of shared memory: " + driver_.describe(result));
    kernel.sharedBytes = shared;
  }
  return kernel.function;
}

Status CUDACode::load(Kernel &kernel, const KernelEntry &entry) {
  Result<CUmodule> module = this->module(entry);
  if (!module)
    return module.status();
  CUfunction function = nullptr;
  CUresult result = driver_.cuModuleGetFunction(&function, *module, entry.name.c_str());
  if (result != success)
    return Status::invalid("the code section has no kernel " + quoted(entry.name) + ": " +
                           driver_.describe(result));
  kernel.function = function;
  return Status::ok();
}

Result<CUmodule> CUDACode::module(const KernelEntry &entry) {
  auto found = modules_.find(entry.offset);
  if (found != modules_.end())
    return found->second;
  // The driver reads a cubin by its own sizes, and anything else as text up to a 0.
  std::span<const std::byte> object(section_.data() + entry.offset, entry.size);
  bool isText = !isELF(object);
  if (isText && (object.empty() || object.back() != std::byte(0)))
    return Status::invalid("the code of kernel " + quoted(entry.name) +
                           " is neither a cubin nor PTX");
  CUmodule module = nullptr;
  CUresult result = driver_.cuModuleLoadData(&module, section_.data() + entry.offset);
  if (result != success)
    return Status::invalid("the code of kernel " + quoted(entry.name) + " can't be " +
                           (isText ? "translated from PTX: " : "loaded: ") +
                           driver_.describe(result));
  return modules_[entry.offset] = module;
}

/// The driver reads as many parameters as the kernel has: a kernel with others
/// than the plan says would read beyond them. Its number isn't known, and asking for one too
/// many is an error that tools report: a kernel with more finds zeros (CUDADevice::launchOne).
Status CUDACode::checkParameters(Kernel &kernel, const LaunchCommand &command) {
  size_t args = command.args.size(), maps = command.maps.size();
  if (!driver_.cuFuncGetParamInfo || (kernel.args == args && kernel.maps == maps && args > 0))
    return Status::ok();
  for (size_t i = 0; i < args + maps; ++i) {
    // Offsets are the driver's matter: it pads so that a map is aligned in its bank.
    size_t offset = 0, size = 0;
    bool exists = driver_.cuFuncGetParamInfo(kernel.function, i, &offset, &size) == success;
    size_t expected = i < args ? sizeof(uint64_t) : sizeof(EncodedTensorMap);
    if (!exists || size != expected)
      return Status::invalid("kernel " + quoted(nameOf(command)) +
                             " has other parameters than the " + std::to_string(args) +
                             " arguments and " + std::to_string(maps) +
                             " tensor maps of its launch");
  }
  kernel.args = args;
  kernel.maps = maps;
  return Status::ok();
}
