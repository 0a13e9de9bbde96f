//===- NVRTC.h - NVIDIA's runtime compiler ----------------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TARGET_CUDA_NVRTC_H
#define QOPT_LIB_TARGET_CUDA_NVRTC_H

#include "DeviceHeaders.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace qopt {

/// A cubin, the PTX that it was made from, and what ptxas said.
struct Cubin {
  std::string bytes;
  std::string ptx; ///< ends in a 0, as the driver reads it
  std::string log;
};

/// libnvrtc, opened at run time: the compiler is built and starts without it.
class NVRTC {
public:
  /// From the first of: QOPT_NVRTC (the library or a folder: of a toolkit, or of the
  /// wheel nvidia-cuda-nvrtc), CUDA_HOME, /usr/local/cuda, the loader's path. The
  /// error names all that was tried.
  static llvm::Expected<const NVRTC *> get();

  /// 13.0
  std::string version() const;

  /// The cubin of `text` for the architecture of the options. Any threads.
  llvm::Expected<Cubin> compile(const std::string &text, const std::string &name,
                                llvm::ArrayRef<DeviceHeader> headers,
                                llvm::ArrayRef<const char *> options) const;

private:
  NVRTC() = default;
  static llvm::Expected<NVRTC> load();

  using Program = void *;
  int (*version_)(int *, int *) = nullptr;
  const char *(*errorString)(int) = nullptr;
  int (*createProgram)(Program *, const char *, const char *, int, const char *const *,
                       const char *const *) = nullptr;
  int (*compileProgram)(Program, int, const char *const *) = nullptr;
  int (*destroyProgram)(Program *) = nullptr;
  int (*getCubinSize)(Program, size_t *) = nullptr;
  int (*getCubin)(Program, char *) = nullptr;
  int (*getPTXSize)(Program, size_t *) = nullptr;
  int (*getPTX)(Program, char *) = nullptr;
  int (*getLogSize)(Program, size_t *) = nullptr;
  int (*getLog)(Program, char *) = nullptr;
};

} // namespace qopt

#endif // QOPT_LIB_TARGET_CUDA_NVRTC_H
