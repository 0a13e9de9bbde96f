//===- CPUTarget.cpp - The processors that code is made for ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/CPU/CPUTarget.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace qopt;

namespace {

/// Levels of the x86-64 psABI; features as /proc/cpuinfo spells them.
enum Level { v2 = 2, v3 = 3, v4 = 4 };

} // namespace

static void addLevel(CPUTarget &target, Level level) {
  auto add = [&](std::initializer_list<const char *> names) {
    target.features.insert(target.features.end(), names.begin(), names.end());
  };
  target.triple = "x86_64-unknown-linux-gnu";
  target.cpu = "x86-64-v" + std::to_string(level);
  target.vectorLanes = 4;
  add({"cx16", "lahf_lm", "popcnt", "pni", "ssse3", "sse4_1", "sse4_2"});
  if (level < v3)
    return;
  target.avx2 = true;
  target.vectorLanes = 8;
  add({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"});
  if (level < v4)
    return;
  target.avx512 = true;
  target.vectorLanes = 16;
  add({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"});
}

static void addVNNI(CPUTarget &target) {
  target.vnni = true;
  target.features.push_back("avx512_vnni");
}

/// What LLVM may use beyond a level is what a kernel asks for by name, so that
/// `features` is all that the code needs.
static llvm::Error addNative(CPUTarget &target) {
  if (llvm::Triple(llvm::sys::getProcessTriple()).getArch() != llvm::Triple::x86_64)
    return llvm::createStringError("target '" + target.name + "' is not an x86-64 processor");
  llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
  auto hasAll = [&](std::initializer_list<const char *> names) {
    return llvm::all_of(names, [&](const char *name) { return host.lookup(name); });
  };
  if (!hasAll({"sse4.2", "popcnt", "cx16"}))
    return llvm::createStringError("this processor lacks sse4_2, which code of '" + target.name +
                                   "' needs");
  Level level = v2;
  if (hasAll({"avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"}))
    level = v3;
  if (level == v3 && hasAll({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}))
    level = v4;
  addLevel(target, level);
  if (level == v4 && host.lookup("avx512vnni"))
    addVNNI(target);
  return llvm::Error::success();
}

llvm::Expected<CPUTarget> CPUTarget::parse(llvm::StringRef name) {
  CPUTarget target;
  target.name = name.str();
  llvm::StringRef cpu = name;
  bool isCPU = cpu.consume_front("cpu") && (cpu.empty() || cpu.consume_front(":"));
  if (isCPU && (cpu == "native" || name == "cpu")) {
    if (llvm::Error error = addNative(target))
      return error;
    return target;
  }
  int level = llvm::StringSwitch<int>(isCPU ? cpu : "")
                  .Case("x86-64-v2", v2)
                  .Case("x86-64-v3", v3)
                  .Cases({"x86-64-v4", "znver4"}, v4)
                  .Default(0);
  if (level == 0)
    return llvm::createStringError(
        "unknown target '" + name +
        "', expected cpu, cpu:native, cpu:x86-64-v2, cpu:x86-64-v3, cpu:x86-64-v4 or cpu:znver4");
  addLevel(target, static_cast<Level>(level));
  if (cpu == "znver4")
    addVNNI(target);
  return target;
}
