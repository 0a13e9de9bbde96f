//===- CPUFeatures.cpp - Whether this machine can run the code ------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Artifact/Format.h"
#include "qopt/Runtime/Device.h"
#include <fstream>
#include <set>
#include <sstream>
#include <sys/utsname.h>

using namespace qopt;

namespace {

/// The kernel's list, because it leaves out what the system hasn't enabled.
std::set<std::string> machineFeatures() {
  std::ifstream file("/proc/cpuinfo");
  std::set<std::string> features;
  for (std::string line; std::getline(file, line);) {
    size_t colon = line.find(':');
    if (colon == std::string::npos ||
        (line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0))
      continue;
    std::istringstream words(line.substr(colon + 1));
    for (std::string word; words >> word;)
      features.insert(word);
    return features;
  }
  return features;
}

/// LLVM's spellings of some features, and the kernel's.
std::string kernelName(const std::string &feature) {
  static const std::pair<const char *, const char *> names[] = {{"sse3", "pni"},
                                                                {"sse4.1", "sse4_1"},
                                                                {"sse4.2", "sse4_2"},
                                                                {"lzcnt", "abm"},
                                                                {"cmpxchg16b", "cx16"},
                                                                {"sahf", "lahf_lm"},
                                                                {"avxvnni", "avx_vnni"},
                                                                {"avx512vnni", "avx512_vnni"},
                                                                {"avx512bf16", "avx512_bf16"},
                                                                {"avx512fp16", "avx512_fp16"}};
  for (auto [llvm, kernel] : names)
    if (feature == llvm)
      return kernel;
  return feature;
}

std::string architecture(std::string triple) {
  std::string name = triple.substr(0, triple.find('-'));
  return name == "arm64" ? "aarch64" : name;
}

} // namespace

Status qopt::checkCPU(const std::string &triple, std::span<const std::string> features) {
  utsname system;
  if (::uname(&system) == 0 && architecture(triple) != architecture(system.machine))
    return Status::invalid("the code is for " + quoted(architecture(triple)) +
                           ", this machine is " + quoted(architecture(system.machine)));
  std::set<std::string> have = machineFeatures();
  for (const std::string &feature : features)
    if (!have.count(kernelName(feature)))
      return Status::invalid("the code needs the CPU feature " + quoted(feature) +
                             ", which this machine doesn't have");
  return Status::ok();
}
