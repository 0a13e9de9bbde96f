//===- Device.h - What runs a plan ------------------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What a target offers to the runtime: allocate, adopt, copy, load, launch,
/// record and replay. Adding a target means a code generator and
/// one of these.
///
///   Result<std::unique_ptr<Device>> device = createCPUDevice({.threads = 8});
///   Result<std::unique_ptr<DeviceCode>> code = (*device)->load(bytes, hash, {{"add"}});
///   Result<DeviceMemory> x = (*device)->allocate(4096);
///   Status status = (*device)->launch(**code, {{0, {x->address(), 16}, 1}});
///   status = (*device)->copyToHost(result, x->address());
///
/// A device may be used from any thread; what different threads ask for runs one
/// after the other. Launches, replays, copies and zeroing are done
/// in their order, and may still run when the call returns: their host bytes must
/// stay unchanged until copyToHost() or synchronize() returns, and errors may
/// only show there.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_DEVICE_H
#define QOPT_RUNTIME_DEVICE_H

#include "qopt/Runtime/Status.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt {

class Device;

/// Memory of a device, freed with the object. The device must outlive it.
class DeviceMemory {
public:
  DeviceMemory() = default;
  DeviceMemory(Device &device, uint64_t address, uint64_t size)
      : device_(&device), address_(address), size_(size) {}
  DeviceMemory(DeviceMemory &&other) noexcept { swap(other); }
  DeviceMemory &operator=(DeviceMemory &&other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceMemory();

  uint64_t address() const { return address_; }
  uint64_t size() const { return size_; } ///< bytes

private:
  void swap(DeviceMemory &other) {
    std::swap(device_, other.device_);
    std::swap(address_, other.address_);
    std::swap(size_, other.size_);
  }

  Device *device_ = nullptr;
  uint64_t address_ = 0;
  uint64_t size_ = 0;
};

/// Host memory that the device copies fast, freed with the object. The device
/// must outlive it.
class HostMemory {
public:
  HostMemory() = default;
  HostMemory(Device &device, std::span<std::byte> bytes) : device_(&device), bytes_(bytes) {}
  HostMemory(HostMemory &&other) noexcept { swap(other); }
  HostMemory &operator=(HostMemory &&other) noexcept {
    swap(other);
    return *this;
  }
  ~HostMemory();

  std::span<std::byte> bytes() const { return bytes_; }

private:
  void swap(HostMemory &other) {
    std::swap(device_, other.device_);
    std::swap(bytes_, other.bytes_);
  }

  Device *device_ = nullptr;
  std::span<std::byte> bytes_;
};

/// A kernel of a code section.
struct KernelEntry {
  std::string name;
  /// GPUs: its code object in the section, in bytes.
  uint64_t offset = 0, size = 0;
  /// GPUs: its PTX, for later ones; size 0: there is none.
  uint64_t ptxOffset = 0, ptxSize = 0;
};

/// Machine code on a device, with its entries resolved.
class DeviceCode {
public:
  virtual ~DeviceCode() = default;
};

/// The blocks of a launch on a GPU.
struct LaunchGrid {
  uint32_t x = 1, y = 1, z = 1; ///< blocks; x = 0: nothing to do
  uint32_t threads = 1;         ///< of a block
  uint32_t sharedBytes = 0;     ///< of a block, dynamic
};

/// Memory that the tensor copy engine of a GPU reads in boxes of [boxRows, 128]
/// bytes, in the 128-byte swizzle, zero outside.
struct TensorMap {
  uint64_t address = 0;
  uint64_t stride = 0; ///< bytes from row to row
  uint32_t rowBytes = 0, rows = 0, boxRows = 0;
};

/// One call of a kernel.
struct LaunchCommand {
  uint32_t entry = 0;               ///< index into the entries given to Device::load
  std::vector<uint64_t> args;       ///< addresses and scalars
  uint64_t units = 1;               ///< CPU: units of work that can run at once; 0: nothing to do
  LaunchGrid grid = {};             ///< GPU
  std::vector<TensorMap> maps = {}; ///< GPU, behind the args
  std::string_view name = {};       ///< for messages; must outlive the command
};

/// A line of launches that is ready to run again.
class Recording {
public:
  virtual ~Recording() = default;
};

/// A copy to the host that is under way.
class PendingCopy {
public:
  virtual ~PendingCopy() = default;
  /// Returns when the bytes are there, though later work may still run.
  virtual Status wait() = 0;
};

class Device {
public:
  virtual ~Device() = default;

  /// For people: "cpu, 8 threads".
  virtual std::string describe() const = 0;

  /// Memory that is not in use; nothing where it is the host's.
  virtual std::optional<uint64_t> freeBytes() const = 0;

  /// Zeroed memory, aligned to 256 bytes, on the CPU to 4096.
  virtual Result<DeviceMemory> allocate(uint64_t bytes) = 0;

  virtual Result<HostMemory> allocateHost(uint64_t bytes) = 0;

  /// Makes host bytes readable by kernels: where they are when the device can
  /// read host memory (then they must outlive their use), else as copies that
  /// live as long as the device. Returns their addresses.
  virtual Result<std::vector<uint64_t>>
  adopt(std::span<const std::span<const std::byte>> pieces) = 0;

  /// Copies within the device; returns the seconds by the device's clock.
  virtual Result<double> timeCopy(uint64_t to, uint64_t from, uint64_t bytes) = 0;
  /// Of the last level before memory; 0: unknown.
  virtual uint64_t cacheBytes() const = 0;

  virtual Status copyToDevice(uint64_t to, std::span<const std::byte> from) = 0;
  /// \p rows rows of \p rowBytes bytes each, which start every \p stride bytes on both sides.
  virtual Status copyRowsToDevice(uint64_t to, const std::byte *from, uint64_t rows,
                                  uint64_t rowBytes, uint64_t stride) = 0;
  virtual Status copyToHost(std::span<std::byte> to, uint64_t from) = 0;
  /// As copyToHost(), to memory of allocateHost(), but returns at once.
  virtual Result<std::unique_ptr<PendingCopy>> startCopyToHost(std::span<std::byte> to,
                                                               uint64_t from) = 0;
  /// Within the device, in the order of launches.
  virtual Status copy(uint64_t to, uint64_t from, uint64_t bytes) = 0;
  virtual Status zero(uint64_t address, uint64_t bytes) = 0;

  /// Device memory as the host sees it, or null where it can't: then copy.
  virtual const std::byte *hostView(uint64_t address) const = 0;

  /// Loads machine code after comparing its XXH3-128 \p hash (16 bytes,
  /// canonical). Fails when an entry is missing.
  virtual Result<std::unique_ptr<DeviceCode>> load(std::span<const std::byte> bytes,
                                                   const std::string &hash,
                                                   const std::vector<KernelEntry> &entries) = 0;

  /// Runs the launches in order, each complete before the next starts.
  virtual Status launch(const DeviceCode &code, std::span<const LaunchCommand> line) = 0;

  /// Prepares a line that will run many times. \p code must outlive it.
  virtual Result<std::unique_ptr<Recording>> record(const DeviceCode &code,
                                                    std::vector<LaunchCommand> line) = 0;
  virtual Status replay(const Recording &recording) = 0;
  /// Replays, and returns the seconds from start to end by the device's clock.
  virtual Result<double> time(const Recording &recording) = 0;

  /// Returns when everything is done, with the first error since the last call.
  virtual Status synchronize() = 0;

private:
  friend class DeviceMemory;
  friend class HostMemory;
  virtual void free(uint64_t address, uint64_t bytes) = 0;
  virtual void freeHost(std::span<std::byte> bytes) = 0;
};

inline DeviceMemory::~DeviceMemory() {
  if (device_)
    device_->free(address_, size_);
}

inline HostMemory::~HostMemory() {
  if (device_)
    device_->freeHost(bytes_);
}

struct CPUDeviceOptions {
  unsigned threads = 0; ///< 0: one for each core that the process may use
  /// Binds each thread to a core when the threads take every core that the
  /// process may use. Fewer threads are left to the system, so that two
  /// processes don't share the first cores.
  bool pin = true;
};

/// Kernels are functions `void entry(const uint64_t *args, uint64_t worker,
/// uint64_t workers)`: worker w of n always does the same share, so that results
/// don't depend on which thread is free. Fails when the system refuses a thread.
Result<std::unique_ptr<Device>> createCPUDevice(const CPUDeviceOptions &options = {});

struct CUDADeviceOptions {
  unsigned ordinal = 0;     ///< which GPU, as the driver counts them
  std::string architecture; ///< of the code: sm_90a, or sm_80, which later GPUs run, too
  std::string driver;       ///< library of the driver; empty: libcuda.so.1
  /// Waits for each launch, so that an error names its kernel. Slow.
  bool debugSync = false;
};

/// A GPU through the CUDA driver, which is opened when this is called: no
/// toolkit is needed. Fails with StatusCode::unavailable when there is no driver,
/// no such GPU, or the GPU can't run code for the architecture.
Result<std::unique_ptr<Device>> createCUDADevice(const CUDADeviceOptions &options);

/// Which of the \p architectures that there is code for the GPU runs best: its own, else the
/// latest. Fails as createCUDADevice does where it runs none.
Result<size_t> bestArchitecture(std::span<const std::string> architectures, unsigned ordinal,
                                const std::string &driver);

/// Fails, naming the first feature that is missing, unless this machine has the
/// CPU \p features (names as in Linux's /proc/cpuinfo) and runs \p triple.
Status checkCPU(const std::string &triple, std::span<const std::string> features);

} // namespace qopt

#endif // QOPT_RUNTIME_DEVICE_H
