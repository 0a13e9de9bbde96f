//===- ThreadPool.cpp - Workers that run one job together -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ThreadPool.h"
#include <cfenv>
#include <cstdio>
#include <pthread.h>
#include <sched.h>

using namespace qopt;

namespace {

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns when \p value is no longer \p old.
void waitForChange(const std::atomic<uint32_t> &value, uint32_t old) {
  constexpr int spins = 2000; // a pause takes 10 to 140 cycles
  for (int i = 0; i < spins; ++i) {
    if (value.load(std::memory_order_acquire) != old)
      return;
    relax();
  }
  while (value.load(std::memory_order_acquire) == old)
    value.wait(old, std::memory_order_acquire);
}

} // namespace

ThreadPool::ThreadPool(unsigned threads, const std::vector<int> &cpus) : size_(threads) {
  try {
    for (unsigned worker = 0; worker < threads; ++worker)
      threads_.emplace_back(&ThreadPool::work, this, worker,
                            worker < cpus.size() ? cpus[worker] : -1);
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stop_.store(true, std::memory_order_relaxed);
  jobs_.fetch_add(1, std::memory_order_release);
  jobs_.notify_all();
  for (std::thread &thread : threads_)
    thread.join();
}

void ThreadPool::run(const Job &job) {
  std::lock_guard lock(callers_);
  job_ = &job;
  unfinished_.store(size_, std::memory_order_relaxed);
  jobs_.fetch_add(1, std::memory_order_release);
  jobs_.notify_all();
  // Asleep, not spinning: the workers have a core each, the caller has none.
  for (uint32_t left; (left = unfinished_.load(std::memory_order_acquire)) != 0;)
    unfinished_.wait(left, std::memory_order_acquire);
}

void ThreadPool::barrier() {
  uint32_t generation = generation_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < size_) {
    waitForChange(generation_, generation);
    return;
  }
  arrived_.store(0, std::memory_order_relaxed);
  generation_.store(generation + 1, std::memory_order_release);
  generation_.notify_all();
}

void ThreadPool::work(unsigned worker, int cpu) {
  char name[16]; // the kernel's limit
  std::snprintf(name, sizeof(name), "qopt-cpu-%u", worker);
  pthread_setname_np(pthread_self(), name);
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    // Best effort: where it is refused the thread runs unbound.
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
  }
  // A thread inherits rounding and denormal modes; results may not depend on them.
  std::fesetenv(FE_DFL_ENV);

  for (uint32_t seen = 0;; ++seen) {
    waitForChange(jobs_, seen);
    if (stop_.load(std::memory_order_relaxed))
      return;
    (*job_)(worker);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      unfinished_.notify_all();
  }
}
