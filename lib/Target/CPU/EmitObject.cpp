//===- EmitObject.cpp - From functions to a shared object -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lld/Common/Driver.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "qopt/Target/CPU/CPUTarget.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace qopt;

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const CPUTarget &target) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  llvm::Triple triple(target.triple);
  std::string message;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!found)
    return llvm::createStringError("target '" + target.name + "': " + message);
  llvm::TargetOptions options;
  // What is fused was decided where it was emitted.
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(found->createTargetMachine(
      triple, target.cpu, target.vnni ? "+avx512vnni" : "", options, llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// A module of the functions alone, with what LLVM must know of each.
static std::unique_ptr<llvm::Module> translate(ModuleOp module, const CPUTarget &target,
                                               llvm::LLVMContext &context) {
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  OwningOpRef<ModuleOp> functions = ModuleOp::create(module.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(functions->getBody());
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    builder.clone(*function);
  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(*functions, context, "kernels");
  if (!result)
    return nullptr;
  std::string width = std::to_string(32 * target.vectorLanes);
  for (llvm::Function &function : *result) {
    if (function.isDeclaration())
      continue;
    function.setDoesNotThrow();
    // LLVM prefers half of the widest vectors on some processors.
    function.addFnAttr("prefer-vector-width", width);
    function.addFnAttr("min-legal-vector-width", width);
  }
  return result;
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false; // vectors are explicit
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  // No memcpy, memset or libm: the object must not need a library.
  llvm::TargetLibraryInfoImpl library(module.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

namespace {

/// An optimised module and what it lives in.
struct Compiled {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> module;
};

} // namespace

static llvm::Expected<Compiled> compile(ModuleOp module, const CPUTarget &target) {
  llvm::Expected<std::unique_ptr<llvm::TargetMachine>> machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  Compiled result{std::make_unique<llvm::LLVMContext>(), std::move(*machine), nullptr};
  result.module = translate(module, target, *result.context);
  if (!result.module)
    return llvm::createStringError("kernels could not be translated to LLVM IR");
  result.module->setTargetTriple(llvm::Triple(target.triple));
  result.module->setDataLayout(result.machine->createDataLayout());
  optimize(*result.module, *result.machine);
  return result;
}

llvm::Expected<std::string> qopt::emitLLVM(ModuleOp module, const CPUTarget &target) {
  llvm::Expected<Compiled> compiled = compile(module, target);
  if (!compiled)
    return compiled.takeError();
  std::string text;
  llvm::raw_string_ostream os(text);
  compiled->module->print(os, nullptr);
  return text;
}

static llvm::Expected<llvm::SmallVector<char, 0>> emitObject(Compiled &compiled) {
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream os(object);
  llvm::legacy::PassManager passes;
  if (compiled.machine->addPassesToEmitFile(passes, os, nullptr, llvm::CodeGenFileType::ObjectFile))
    return llvm::createStringError("the target cannot write an object");
  passes.run(*compiled.module);
  return object;
}

namespace {

/// A folder that goes with everything in it.
struct TemporaryFolder {
  llvm::SmallString<128> path;
  ~TemporaryFolder() { llvm::sys::fs::remove_directories(path); }

  std::string file(llvm::StringRef name) const {
    llvm::SmallString<128> result(path);
    llvm::sys::path::append(result, name);
    return result.str().str();
  }
};

} // namespace

static llvm::Error writeFile(llvm::StringRef path, llvm::ArrayRef<char> bytes) {
  std::error_code code;
  llvm::raw_fd_ostream os(path, code);
  if (!code) {
    os.write(bytes.data(), bytes.size());
    os.close();
    code = os.error();
  }
  return code ? llvm::createFileError(path, code) : llvm::Error::success();
}

/// lld reads and writes files; it keeps its state in globals.
static llvm::Expected<std::string> link(llvm::ArrayRef<char> object) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  TemporaryFolder folder;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory("qopt", folder.path))
    return llvm::createStringError(code, "cannot create a temporary folder");
  std::string input = folder.file("kernels.o"), output = folder.file("kernels.so");
  if (llvm::Error error = writeFile(input, object))
    return error;
  std::string messages;
  llvm::raw_string_ostream os(messages);
  lld::Result result = lld::lldMain(
      {"ld.lld", "-shared", "--no-undefined", "--hash-style=gnu", "--build-id=none", "--strip-all",
       "-soname=kernels.so", "-z", "noexecstack", "-z", "now", input.c_str(), "-o", output.c_str()},
      os, os, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return llvm::createStringError("lld: " + llvm::StringRef(messages).trim());
  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createFileError(output, buffer.getError());
  return (*buffer)->getBuffer().str();
}

llvm::Expected<std::string> qopt::emitSharedObject(ModuleOp module, const CPUTarget &target) {
  llvm::Expected<Compiled> compiled = compile(module, target);
  if (!compiled)
    return compiled.takeError();
  llvm::Expected<llvm::SmallVector<char, 0>> object = emitObject(*compiled);
  if (!object)
    return object.takeError();
  return link(*object);
}
