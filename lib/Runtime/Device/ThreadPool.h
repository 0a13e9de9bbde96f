//===- ThreadPool.h - Workers that run one job together ---------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A fixed team of named threads. run() gives every worker the same job, and
/// inside it the workers meet at a barrier as often as they like: a step of a
/// model is one job with a barrier after each launch.
///
/// Waiting spins for about 100 us, longer than the gap between two launches or
/// two steps, and then sleeps, so that an idle pool costs nothing.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_DEVICE_THREADPOOL_H
#define QOPT_RUNTIME_DEVICE_THREADPOOL_H

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace qopt {

class ThreadPool {
public:
  using Job = std::function<void(unsigned worker)>;

  /// Starts \p threads >= 1 workers; worker w is bound to CPU cpus[w] when
  /// \p cpus is not empty. Throws std::system_error, with none left running,
  /// when the system refuses a thread.
  explicit ThreadPool(unsigned threads, const std::vector<int> &cpus = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  unsigned size() const { return static_cast<unsigned>(threads_.size()); }

  /// Runs \p job on every worker and returns when all are done. Jobs of
  /// different callers run one after the other; a job may not call run().
  void run(const Job &job);

  /// Waits, inside a job, until every worker has called it as often.
  void barrier();

private:
  void stop();
  void work(unsigned worker, int cpu);

  std::mutex callers_; ///< held for the length of a job
  const Job *job_ = nullptr;
  // A line of its own for each counter that workers write at once.
  alignas(64) std::atomic<uint32_t> jobs_{0}; ///< jobs started; a change wakes the workers
  alignas(64) std::atomic<uint32_t> unfinished_{0};
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0}; ///< barriers passed
  std::atomic<bool> stop_{false};
  unsigned size_;
  std::vector<std::thread> threads_;
};

/// The CPUs that this process may use.
struct CPUSet {
  std::vector<int> cpus; ///< one of each core first
  unsigned cores = 1;    ///< how many of them are cores
  unsigned threads = 1;  ///< cores, or fewer where the control group has a quota
};
CPUSet usableCPUs();

} // namespace qopt

#endif // QOPT_RUNTIME_DEVICE_THREADPOOL_H
