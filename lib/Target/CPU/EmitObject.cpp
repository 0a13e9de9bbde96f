//===- EmitObject.cpp - From functions to a shared object -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../ObjectCache.h"
#include "lld/Common/Driver.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Threading.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "qopt/Target/CPU/CPUTarget.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <atomic>
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
      triple, target.cpu, target.vnni ? "+avx512vnni,+fast-dpwssd" : "", options, llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// A module of these functions alone, with what LLVM must know of each.
static std::unique_ptr<llvm::Module>
translate(ArrayRef<LLVM::LLVMFuncOp> kernels, const CPUTarget &target, llvm::LLVMContext &context) {
  LLVM::LLVMFuncOp first = kernels.front();
  OwningOpRef<ModuleOp> functions = ModuleOp::create(UnknownLoc::get(first.getContext()));
  OpBuilder builder = OpBuilder::atBlockEnd(functions->getBody());
  for (LLVM::LLVMFuncOp kernel : kernels)
    builder.clone(*kernel);
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

/// A module and what it lives in.
struct Translated {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> module;
};

} // namespace

static llvm::Expected<Translated> translate(ArrayRef<LLVM::LLVMFuncOp> kernels,
                                            const CPUTarget &target) {
  llvm::Expected<std::unique_ptr<llvm::TargetMachine>> machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  Translated result{std::make_unique<llvm::LLVMContext>(), std::move(*machine), nullptr};
  result.module = translate(kernels, target, *result.context);
  if (!result.module)
    return llvm::createStringError("kernels could not be translated to LLVM IR");
  result.module->setTargetTriple(llvm::Triple(target.triple));
  result.module->setDataLayout(result.machine->createDataLayout());
  return result;
}

static llvm::Expected<SmallVector<LLVM::LLVMFuncOp>> kernelsOf(ModuleOp module) {
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  SmallVector<LLVM::LLVMFuncOp> kernels(module.getOps<LLVM::LLVMFuncOp>());
  if (kernels.empty())
    return llvm::createStringError("module has no function to generate code for");
  return kernels;
}

llvm::Expected<std::string> qopt::emitLLVM(ModuleOp module, const CPUTarget &target) {
  llvm::Expected<SmallVector<LLVM::LLVMFuncOp>> kernels = kernelsOf(module);
  if (!kernels)
    return kernels.takeError();
  llvm::Expected<Translated> translated = translate(*kernels, target);
  if (!translated)
    return translated.takeError();
  optimize(*translated->module, *translated->machine);
  std::string text;
  llvm::raw_string_ostream os(text);
  translated->module->print(os, nullptr);
  return text;
}

using Object = llvm::SmallVector<char, 0>;

static llvm::Expected<Object> compile(Translated &translated) {
  optimize(*translated.module, *translated.machine);
  Object object;
  llvm::raw_svector_ostream os(object);
  llvm::legacy::PassManager passes;
  if (translated.machine->addPassesToEmitFile(passes, os, nullptr,
                                              llvm::CodeGenFileType::ObjectFile))
    return llvm::createStringError("the target cannot write an object");
  passes.run(*translated.module);
  return object;
}

/// What optimize() and createTargetMachine() do with a module: goes up when they
/// or their options change, so that no older object is taken for theirs.
constexpr llvm::StringRef codegenVersion = "1";

/// The object of one kernel, from the cache where it was made before.
static llvm::Expected<Object> compile(LLVM::LLVMFuncOp kernel, const CPUTarget &target,
                                      const ObjectCache &cache, std::atomic<unsigned> &cached) {
  llvm::Expected<Translated> translated = translate(kernel, target);
  if (!translated)
    return translated.takeError();
  if (!cache.isEnabled())
    return compile(*translated);
  llvm::SmallVector<char, 0> bitcode;
  llvm::raw_svector_ostream os(bitcode);
  llvm::WriteBitcodeToFile(*translated->module, os);
  std::string key =
      ObjectCache::key({codegenVersion, LLVM_VERSION_STRING, translated->machine->getTargetCPU(),
                        translated->machine->getTargetFeatureString(), os.str()});
  if (std::optional<Object> object = cache.find(key)) {
    ++cached;
    return std::move(*object);
  }
  llvm::Expected<Object> object = compile(*translated);
  if (object)
    cache.insert(key, *object);
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
  if (code)
    return llvm::createFileError(path, code);
  os.write(bytes.data(), bytes.size());
  os.close();
  code = os.error();
  os.clear_error(); // or the stream's end would end the process
  return code ? llvm::createFileError(path, code) : llvm::Error::success();
}

/// lld reads and writes files; it keeps its state in globals.
static llvm::Expected<std::string> link(llvm::ArrayRef<Object> objects) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  TemporaryFolder folder;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory("qopt", folder.path))
    return llvm::createStringError(code, "cannot create a temporary folder");
  // In order: the same objects give the same bytes.
  std::vector<std::string> inputs;
  for (auto [index, object] : llvm::enumerate(objects)) {
    inputs.push_back(folder.file(std::to_string(index) + ".o"));
    if (llvm::Error error = writeFile(inputs.back(), object))
      return error;
  }
  std::string output = folder.file("kernels.so");
  std::vector<const char *> arguments = {"ld.lld",
                                         "-shared",
                                         "--no-undefined",
                                         "--hash-style=gnu",
                                         "--build-id=none",
                                         "--strip-all",
                                         "-soname=kernels.so",
                                         "-z",
                                         "noexecstack",
                                         "-z",
                                         "now",
                                         "-o",
                                         output.c_str()};
  for (const std::string &input : inputs)
    arguments.push_back(input.c_str());
  std::string messages;
  llvm::raw_string_ostream os(messages);
  lld::Result result = lld::lldMain(arguments, os, os, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return llvm::createStringError("lld: " + llvm::StringRef(messages).trim());
  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createFileError(output, buffer.getError());
  return (*buffer)->getBuffer().str();
}

llvm::Expected<std::string> qopt::emitSharedObject(ModuleOp module, const CPUTarget &target,
                                                   llvm::StringRef cacheFolder,
                                                   CodegenStatistics *statistics) {
  llvm::Expected<SmallVector<LLVM::LLVMFuncOp>> kernels = kernelsOf(module);
  if (!kernels)
    return kernels.takeError();
  ObjectCache cache(cacheFolder);
  std::vector<Object> objects(kernels->size());
  std::vector<std::string> errors(kernels->size());
  std::atomic<unsigned> cached = 0;
  parallelFor(module.getContext(), 0, kernels->size(), [&](size_t index) {
    if (llvm::Expected<Object> object = compile((*kernels)[index], target, cache, cached))
      objects[index] = std::move(*object);
    else
      errors[index] = llvm::toString(object.takeError());
  });
  for (const std::string &error : errors)
    if (!error.empty())
      return llvm::createStringError(error);
  if (cached < kernels->size())
    cache.prune();
  if (statistics)
    *statistics = {static_cast<unsigned>(kernels->size()), cached};
  return link(objects);
}
