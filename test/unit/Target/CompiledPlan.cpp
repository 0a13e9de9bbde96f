//===- CompiledPlan.cpp - Kernels of a module, loaded and called ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompiledPlan.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Target/CPU/Passes.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;
using namespace qopt;
using namespace qopt::test;

static void loadDialects(MLIRContext &context) {
  context.loadDialect<QOptDialect, kernel::KernelDialect, arith::ArithDialect,
                      cf::ControlFlowDialect, func::FuncDialect, LLVM::LLVMDialect,
                      math::MathDialect, scf::SCFDialect, vector::VectorDialect>();
}

CompiledPlan::CompiledPlan(const std::string &text, const std::string &targetName) {
  llvm::Expected<CPUTarget> target = CPUTarget::parse(targetName);
  if (!target) {
    ADD_FAILURE() << llvm::toString(target.takeError());
    return;
  }
  MLIRContext context(MLIRContext::Threading::DISABLED);
  loadDialects(context);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module || failed(lowerToLLVM(*module, *target))) {
    ADD_FAILURE() << "cannot lower\n" << text;
    return;
  }
  module->walk([&](Operation *op) {
    if (auto entry = op->getAttrOfType<FlatSymbolRefAttr>("entry"))
      entries.push_back(entry.getValue().str());
  });
  llvm::Expected<std::string> object = emitSharedObject(*module, *target);
  if (!object) {
    ADD_FAILURE() << llvm::toString(object.takeError());
    return;
  }
  int file = memfd_create("kernels", MFD_CLOEXEC);
  EXPECT_EQ(write(file, object->data(), object->size()), static_cast<ssize_t>(object->size()));
  std::string path = "/proc/self/fd/" + std::to_string(file);
  handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  close(file);
  EXPECT_NE(handle, nullptr) << dlerror();
}

CompiledPlan::~CompiledPlan() {
  if (handle)
    dlclose(handle);
}

void CompiledPlan::run(size_t launch, const std::vector<uint64_t> &args, uint64_t workers) const {
  using Entry = void (*)(const uint64_t *, uint64_t, uint64_t);
  auto call = reinterpret_cast<Entry>(dlsym(handle, entries.at(launch).c_str()));
  ASSERT_NE(call, nullptr) << entries.at(launch);
  for (uint64_t worker = 0; worker < workers; ++worker)
    call(args.data(), worker, workers);
}

std::vector<std::string> qopt::test::runnableTargets() {
  llvm::Expected<CPUTarget> native = CPUTarget::parse("cpu:native");
  if (!native) {
    llvm::consumeError(native.takeError());
    return {};
  }
  std::vector<std::string> names;
  if (native->vnni)
    names.push_back("cpu:native");
  if (native->avx512)
    names.push_back("cpu:x86-64-v4");
  if (native->avx2)
    names.push_back("cpu:x86-64-v3");
  names.push_back("cpu:x86-64-v2");
  return names;
}
