//===- CPUDevice.cpp - Plans on the CPU -----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Artifact/Format.h"
#include "ThreadPool.h"
#include "qopt/Runtime/Device.h"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

using namespace qopt;

namespace {

using Entry = void (*)(const uint64_t *args, uint64_t worker, uint64_t workers);

Status systemError(const std::string &what) {
  return Status::unavailable(what + ": " + std::strerror(errno));
}

/// A shared object in anonymous memory, loaded by the system's loader.
class CPUCode : public DeviceCode {
public:
  ~CPUCode() override {
    if (library)
      ::dlclose(library);
    if (fd >= 0)
      ::close(fd);
  }

  // Stays open while the library is loaded: the loader knows libraries by path,
  // and would take the next one on the same descriptor for this one.
  int fd = -1;
  void *library = nullptr;
  std::vector<Entry> entries;
};

class CPURecording : public Recording {
public:
  CPURecording(const DeviceCode &code, std::vector<LaunchCommand> line)
      : code(code), line(std::move(line)) {}
  const DeviceCode &code;
  std::vector<LaunchCommand> line;
};

int anonymousFile() {
#ifdef MFD_EXEC
  // Systems that forbid executable memory files by default want it said.
  int fd = ::memfd_create("qopt-code", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  if (fd >= 0 || errno != EINVAL)
    return fd;
#endif
  return ::memfd_create("qopt-code", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

Status writeAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return systemError("can't copy the code section");
    bytes = bytes.subspan(written);
  }
  return Status::ok();
}

/// Hashes the sealed copy, which nobody can change any more, not its source.
Status verifyCopy(int fd, size_t size, const std::string &hash) {
  void *copy = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (copy == MAP_FAILED)
    return systemError("can't map the code section");
  Hash found = hashOf({static_cast<const std::byte *>(copy), size});
  ::munmap(copy, size);
  if (hash.size() != found.size() || std::memcmp(hash.data(), found.data(), found.size()) != 0)
    return Status::invalid(
        "the code section is damaged: it has another hash than the manifest says");
  return Status::ok();
}

template <typename Work> Result<double> seconds(const Work &work) {
  auto start = std::chrono::steady_clock::now();
  if (Status status = work(); !status)
    return status;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class CopyDone : public PendingCopy {
public:
  Status wait() override { return Status::ok(); }
};

class CPUDevice : public Device {
public:
  CPUDevice(unsigned threads, const std::vector<int> &cpus) : pool_(threads, cpus) {}

  std::string describe() const override {
    return "cpu, " + std::to_string(pool_.size()) + (pool_.size() == 1 ? " thread" : " threads");
  }

  Result<DeviceMemory> allocate(uint64_t bytes) override {
    // Pages are taken when first touched: a pool may be larger than what is used.
    void *memory = ::mmap(nullptr, std::max<uint64_t>(bytes, 1), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      return systemError("can't allocate " + std::to_string(bytes) + " bytes");
    ::madvise(memory, bytes, MADV_HUGEPAGE); // best effort
    return DeviceMemory(*this, reinterpret_cast<uint64_t>(memory), bytes);
  }

  std::optional<uint64_t> freeBytes() const override { return std::nullopt; }

  Result<HostMemory> allocateHost(uint64_t bytes) override {
    return HostMemory(*this, {new std::byte[bytes](), bytes});
  }

  Result<std::vector<uint64_t>> adopt(std::span<const std::span<const std::byte>> pieces) override {
    std::vector<uint64_t> addresses;
    for (std::span<const std::byte> piece : pieces)
      addresses.push_back(reinterpret_cast<uint64_t>(piece.data()));
    return addresses;
  }

  Status copyToDevice(uint64_t to, std::span<const std::byte> from) override {
    if (!from.empty())
      std::memcpy(reinterpret_cast<void *>(to), from.data(), from.size());
    return Status::ok();
  }

  Status copyRowsToDevice(uint64_t to, const std::byte *from, uint64_t rows, uint64_t rowBytes,
                          uint64_t stride) override {
    for (uint64_t row = 0; row < rows; ++row)
      std::memcpy(reinterpret_cast<void *>(to + row * stride), from + row * stride, rowBytes);
    return Status::ok();
  }

  Status copyToHost(std::span<std::byte> to, uint64_t from) override {
    if (!to.empty())
      std::memcpy(to.data(), reinterpret_cast<const void *>(from), to.size());
    return Status::ok();
  }

  Result<std::unique_ptr<PendingCopy>> startCopyToHost(std::span<std::byte> to,
                                                       uint64_t from) override {
    if (Status status = copyToHost(to, from); !status)
      return status;
    return std::unique_ptr<PendingCopy>(std::make_unique<CopyDone>());
  }

  Status copy(uint64_t to, uint64_t from, uint64_t bytes) override {
    std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
    return Status::ok();
  }

  Status zero(uint64_t address, uint64_t bytes) override {
    std::memset(reinterpret_cast<void *>(address), 0, bytes);
    return Status::ok();
  }

  const std::byte *hostView(uint64_t address) const override {
    return reinterpret_cast<const std::byte *>(address);
  }

  Result<std::unique_ptr<DeviceCode>> load(std::span<const std::byte> bytes,
                                           const std::string &hash,
                                           const std::vector<KernelEntry> &entries) override;

  Status launch(const DeviceCode &code, std::span<const LaunchCommand> line) override;

  Result<std::unique_ptr<Recording>> record(const DeviceCode &code,
                                            std::vector<LaunchCommand> line) override {
    return std::unique_ptr<Recording>(std::make_unique<CPURecording>(code, std::move(line)));
  }

  Status replay(const Recording &recording) override {
    auto &line = static_cast<const CPURecording &>(recording);
    return launch(line.code, line.line);
  }

  Result<double> time(const Recording &recording) override {
    return seconds([&] { return replay(recording); });
  }

  Result<double> timeCopy(uint64_t to, uint64_t from, uint64_t bytes) override {
    std::span source(reinterpret_cast<const std::byte *>(from), bytes);
    return seconds([&] { return copyToDevice(to, source); });
  }

  uint64_t cacheBytes() const override { return 0; }

  Status synchronize() override { return Status::ok(); }

private:
  void freeHost(std::span<std::byte> bytes) override { delete[] bytes.data(); }

  void free(uint64_t address, uint64_t bytes) override {
    ::munmap(reinterpret_cast<void *>(address), std::max<uint64_t>(bytes, 1));
  }

  ThreadPool pool_;
};

Result<std::unique_ptr<DeviceCode>> CPUDevice::load(std::span<const std::byte> bytes,
                                                    const std::string &hash,
                                                    const std::vector<KernelEntry> &entries) {
  auto code = std::make_unique<CPUCode>();
  code->fd = anonymousFile();
  if (code->fd < 0)
    return systemError("can't create a memory file for the code section");
  if (Status status = writeAll(code->fd, bytes); !status)
    return status;
  if (::fcntl(code->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
    return systemError("can't seal the code section");
  if (Status status = verifyCopy(code->fd, bytes.size(), hash); !status)
    return status;

  std::string path = "/proc/self/fd/" + std::to_string(code->fd);
  code->library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!code->library)
    return Status::invalid(std::string("the code section can't be loaded: ") + ::dlerror());
  for (const KernelEntry &kernel : entries) {
    void *entry = ::dlsym(code->library, kernel.name.c_str());
    if (!entry)
      return Status::invalid("the code section has no kernel " + quoted(kernel.name));
    code->entries.push_back(reinterpret_cast<Entry>(entry));
  }
  return std::unique_ptr<DeviceCode>(std::move(code));
}

Status CPUDevice::launch(const DeviceCode &code, std::span<const LaunchCommand> line) {
  const std::vector<Entry> &entries = static_cast<const CPUCode &>(code).entries;
  for (const LaunchCommand &launch : line)
    if (launch.entry >= entries.size())
      return Status::usage("launch of kernel " + std::to_string(launch.entry) +
                           ", expected less than " + std::to_string(entries.size()));
  pool_.run([&](unsigned worker) {
    for (size_t i = 0; i < line.size(); ++i) {
      uint64_t workers = std::min<uint64_t>(line[i].units, pool_.size());
      if (worker < workers)
        entries[line[i].entry](line[i].args.data(), worker, workers);
      // One worker's launches in a row need no meeting.
      bool alone = workers <= 1 && i + 1 < line.size() && line[i + 1].units <= 1;
      if (!alone && i + 1 < line.size())
        pool_.barrier();
    }
  });
  return Status::ok();
}

} // namespace

Result<std::unique_ptr<Device>> qopt::createCPUDevice(const CPUDeviceOptions &options) {
  CPUSet set = usableCPUs();
  constexpr unsigned maxThreads = 1024;
  unsigned threads = std::min(options.threads ? options.threads : set.threads, maxThreads);
  bool whole = threads >= set.cores && threads <= set.cpus.size();
  try {
    return std::unique_ptr<Device>(
        std::make_unique<CPUDevice>(threads, options.pin && whole ? set.cpus : std::vector<int>()));
  } catch (const std::system_error &error) {
    return Status::unavailable("can't start " + std::to_string(threads) +
                               " threads: " + error.code().message());
  }
}
