//===- CPUSet.cpp - The cores that a process may use ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ThreadPool.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <sched.h>
#ifdef QOPT_HAVE_HWLOC
#include <hwloc.h>
#endif

using namespace qopt;

namespace {

std::vector<int> allowedCPUs() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set))
        cpus.push_back(cpu);
  if (cpus.empty())
    cpus.push_back(0);
  return cpus;
}

#ifdef QOPT_HAVE_HWLOC
/// Puts one CPU of each core first; returns the number of cores, 0 if unknown.
unsigned coresFirst(std::vector<int> &cpus) {
  hwloc_topology_t topology;
  if (hwloc_topology_init(&topology) != 0)
    return 0;
  unsigned cores = 0;
  std::vector<int> first, rest;
  if (hwloc_topology_load(topology) == 0) {
    hwloc_obj_t core = nullptr;
    while ((core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core))) {
      bool taken = false;
      for (int cpu : cpus) {
        if (!hwloc_bitmap_isset(core->cpuset, cpu))
          continue;
        (taken ? rest : first).push_back(cpu);
        taken = true;
      }
    }
  }
  hwloc_topology_destroy(topology);
  if (first.size() + rest.size() != cpus.size())
    return 0;
  cores = first.size();
  cpus = std::move(first);
  cpus.insert(cpus.end(), rest.begin(), rest.end());
  return cores;
}
#else
unsigned coresFirst(std::vector<int> &) { return 0; }
#endif

/// The CPU quota of the process's control group (version 2) in cores, 0 if none.
unsigned quotaCores() {
  std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen("/sys/fs/cgroup/cpu.max", "r"),
                                                        &std::fclose);
  double quota = 0, period = 0;
  if (!file || std::fscanf(file.get(), "%lf %lf", &quota, &period) != 2 || period <= 0)
    return 0; // "max" is not a number: no quota
  return std::max(1u, static_cast<unsigned>(std::lround(std::min(quota / period, 4096.0))));
}

} // namespace

CPUSet qopt::usableCPUs() {
  CPUSet set;
  set.cpus = allowedCPUs();
  unsigned cores = coresFirst(set.cpus);
  set.cores = cores ? cores : static_cast<unsigned>(set.cpus.size());
  unsigned quota = quotaCores();
  set.threads = quota ? std::min(set.cores, quota) : set.cores;
  return set;
}
