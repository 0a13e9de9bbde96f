//===- NVRTC.cpp - NVIDIA's runtime compiler ------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NVRTC.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cstdlib>
#include <dlfcn.h>
#include <vector>

using namespace qopt;
using llvm::StringRef;
namespace path = llvm::sys::path;

/// The versions whose libraries have the functions below, newest first.
constexpr const char *libraryNames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};

/// Files that may be the library, in order.
static std::vector<std::string> candidates() {
  std::vector<std::string> files;
  auto addFolder = [&](StringRef folder) {
    for (const char *name : libraryNames)
      for (StringRef sub : {"", "lib", "lib64", "targets/x86_64-linux/lib", "nvidia/cu13/lib",
                            "nvidia/cuda_nvrtc/lib"}) {
        llvm::SmallString<128> file(folder);
        path::append(file, sub, name);
        files.push_back(file.str().str());
      }
  };
  if (const char *given = std::getenv("QOPT_NVRTC"); given && *given) {
    // What is given is what is taken.
    if (!llvm::sys::fs::is_directory(given))
      return {given};
    addFolder(given);
    return files;
  }
  if (const char *home = std::getenv("CUDA_HOME"); home && *home)
    addFolder(home);
  addFolder("/usr/local/cuda");
  for (const char *name : libraryNames)
    files.push_back(name);
  return files;
}

/// NVRTC opens its library of builtins by name, which the loader finds where it was loaded
/// before: beside \p library, as in a wheel, it would not look.
static void openBuiltins(StringRef library) {
  std::error_code error;
  StringRef folder = path::parent_path(library);
  for (llvm::sys::fs::directory_iterator file(folder, error), end; file != end && !error;
       file.increment(error))
    if (path::filename(file->path()).starts_with("libnvrtc-builtins.so"))
      dlopen(file->path().c_str(), RTLD_NOW | RTLD_LOCAL);
}

static void *open(std::string &failures) {
  for (const std::string &file : candidates()) {
    if (path::has_parent_path(file) && !llvm::sys::fs::exists(file)) {
      failures += "\n  " + file + ": not there";
      continue;
    }
    if (path::has_parent_path(file))
      openBuiltins(file);
    if (void *library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL))
      return library;
    const char *reason = dlerror();
    failures += "\n  " + (reason ? std::string(reason) : file);
  }
  return nullptr;
}

llvm::Expected<NVRTC> NVRTC::load() {
  std::string failures;
  void *library = open(failures);
  if (!library)
    return llvm::createStringError(
        "NVRTC, which compiles CUDA kernels, was not found: install the CUDA toolkit 13 or the "
        "wheel nvidia-cuda-nvrtc, and name its folder in QOPT_NVRTC or CUDA_HOME; looked for" +
        failures);
  NVRTC nvrtc;
  std::string missing;
  auto find = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function)
      missing += std::string(missing.empty() ? "" : ", ") + name;
  };
  find(nvrtc.version_, "nvrtcVersion");
  find(nvrtc.errorString, "nvrtcGetErrorString");
  find(nvrtc.createProgram, "nvrtcCreateProgram");
  find(nvrtc.compileProgram, "nvrtcCompileProgram");
  find(nvrtc.destroyProgram, "nvrtcDestroyProgram");
  find(nvrtc.getCubinSize, "nvrtcGetCUBINSize");
  find(nvrtc.getCubin, "nvrtcGetCUBIN");
  find(nvrtc.getPTXSize, "nvrtcGetPTXSize");
  find(nvrtc.getPTX, "nvrtcGetPTX");
  find(nvrtc.getLogSize, "nvrtcGetProgramLogSize");
  find(nvrtc.getLog, "nvrtcGetProgramLog");
  if (!missing.empty())
    return llvm::createStringError("NVRTC lacks " + missing);
  return nvrtc;
}

llvm::Expected<const NVRTC *> NVRTC::get() {
  // The library stays open: its threads may outlive a compile.
  static llvm::Expected<NVRTC> loaded = load();
  static std::string error = loaded ? std::string() : llvm::toString(loaded.takeError());
  if (!error.empty())
    return llvm::createStringError(error);
  return &*loaded;
}

std::string NVRTC::version() const {
  int major = 0, minor = 0;
  version_(&major, &minor);
  return std::to_string(major) + "." + std::to_string(minor);
}

llvm::Expected<Cubin> NVRTC::compile(const std::string &text, const std::string &name,
                                     llvm::ArrayRef<DeviceHeader> headers,
                                     llvm::ArrayRef<const char *> options) const {
  std::vector<const char *> texts, names;
  for (const DeviceHeader &header : headers) {
    texts.push_back(header.text.data());
    names.push_back(header.name.data());
  }
  Program program = nullptr;
  auto failed = [&](const char *what, int code) {
    return llvm::createStringError("kernel '" + name + "': " + what + ": " + errorString(code));
  };
  std::string file = name + ".cu";
  if (int code = createProgram(&program, text.c_str(), file.c_str(),
                               static_cast<int>(headers.size()), texts.data(), names.data()))
    return failed("nvrtcCreateProgram", code);
  Cubin cubin;
  int compiled = compileProgram(program, static_cast<int>(options.size()), options.data());
  size_t size = 0;
  if (getLogSize(program, &size) == 0 && size > 1) {
    cubin.log.resize(size);
    getLog(program, cubin.log.data());
    cubin.log.resize(size - 1); // the final 0
  }
  int read = compiled;
  if (!compiled && !(read = getCubinSize(program, &size))) {
    cubin.bytes.resize(size);
    read = getCubin(program, cubin.bytes.data());
  }
  if (!read && !(read = getPTXSize(program, &size))) {
    cubin.ptx.resize(size);
    read = getPTX(program, cubin.ptx.data());
  }
  destroyProgram(&program);
  if (compiled)
    return llvm::createStringError("kernel '" + name + "' does not compile: " +
                                   StringRef(cubin.log).rtrim());
  if (read)
    return failed("nvrtcGetCUBIN or nvrtcGetPTX", read);
  return cubin;
}
