//===- CUDADriver.h - The CUDA driver, opened at run time -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The calls of the CUDA driver API that the runtime uses, looked up in
/// libcuda.so.1 by cuGetProcAddress, so that one binary runs with and without a
/// GPU and builds without the toolkit. Types and numbers are those of the
/// driver's stable interface (cuda.h, version 12.0).
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_DEVICE_CUDADRIVER_H
#define QOPT_RUNTIME_DEVICE_CUDADRIVER_H

#include "qopt/Runtime/Status.h"
#include <cstddef>
#include <cstdint>
#include <source_location>

namespace qopt::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;

constexpr CUresult success = 0;
constexpr CUresult errorInvalidValue = 1;
constexpr CUresult errorOutOfMemory = 2;
constexpr CUresult errorNoDevice = 100;
constexpr CUresult errorInvalidDevice = 101;

constexpr int attributeL2CacheBytes = 38;
constexpr int attributeMajor = 75; // of the compute capability
constexpr int attributeMinor = 76;

constexpr unsigned streamNonBlocking = 1;
constexpr unsigned eventDisableTiming = 2;
constexpr int captureThreadLocal = 1;
constexpr int functionMaxDynamicSharedBytes = 8;
constexpr unsigned memoryTypeHost = 1;
constexpr unsigned memoryTypeDevice = 2;
constexpr unsigned launchProgrammaticSerialization = 6;

struct LaunchAttribute {
  unsigned id;
  char padding[4];
  union {
    char bytes[64];
    int value;
  };
};
static_assert(sizeof(LaunchAttribute) == 72);

struct LaunchConfig {
  unsigned gridX, gridY, gridZ;
  unsigned blockX, blockY, blockZ;
  unsigned sharedBytes;
  CUstream stream;
  LaunchAttribute *attributes;
  unsigned numAttributes;
};
static_assert(sizeof(LaunchConfig) == 56);

/// CUDA_MEMCPY2D. Both sides start at column 0 of row 0.
struct CopyOfRows {
  size_t fromX, fromY;
  unsigned fromType;
  const void *fromHost;
  CUdeviceptr fromDevice;
  void *fromArray;
  size_t fromStride;
  size_t toX, toY;
  unsigned toType;
  void *toHost;
  CUdeviceptr toDevice;
  void *toArray;
  size_t toStride;
  size_t rowBytes, rows;
};
static_assert(sizeof(CopyOfRows) == 128);

struct alignas(128) EncodedTensorMap {
  uint64_t words[16];
};

// Numbers of the enums of cuTensorMapEncodeTiled.
constexpr int tensorUInt8 = 0;
constexpr int tensorInterleaveNone = 0;
constexpr int tensorSwizzle128B = 3;
constexpr int tensorL2Promotion128B = 2;
constexpr int tensorFillZero = 0;

/// X(name, version of the interface, parameters); all return a CUresult.
#define QOPT_CUDA_DRIVER_CALLS(X)                                                                  \
  X(cuInit, 2000, (unsigned flags))                                                                \
  X(cuDriverGetVersion, 2020, (int *version))                                                      \
  X(cuGetErrorName, 6000, (CUresult error, const char **name))                                     \
  X(cuGetErrorString, 6000, (CUresult error, const char **text))                                   \
  X(cuDeviceGetCount, 2000, (int *count))                                                          \
  X(cuDeviceGet, 2000, (CUdevice * device, int ordinal))                                           \
  X(cuDeviceGetName, 2000, (char *name, int size, CUdevice device))                                \
  X(cuDeviceGetAttribute, 2000, (int *value, int attribute, CUdevice device))                      \
  X(cuDevicePrimaryCtxRetain, 7000, (CUcontext * context, CUdevice device))                        \
  X(cuDevicePrimaryCtxRelease, 11000, (CUdevice device))                                           \
  X(cuCtxSetCurrent, 4000, (CUcontext context))                                                    \
  X(cuMemGetInfo, 3020, (size_t *free, size_t *total))                                             \
  X(cuMemAlloc, 3020, (CUdeviceptr * address, size_t bytes))                                       \
  X(cuMemFree, 3020, (CUdeviceptr address))                                                        \
  X(cuMemHostAlloc, 2020, (void **memory, size_t bytes, unsigned flags))                           \
  X(cuMemFreeHost, 2000, (void *memory))                                                           \
  X(cuMemcpyHtoDAsync, 3020, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))    \
  X(cuMemcpy2DAsync, 3020, (const CopyOfRows *copy, CUstream stream))                              \
  X(cuMemcpyDtoHAsync, 3020, (void *to, CUdeviceptr from, size_t bytes, CUstream stream))          \
  X(cuMemcpyDtoDAsync, 3020, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))    \
  X(cuMemsetD8Async, 3020,                                                                         \
    (CUdeviceptr address, unsigned char value, size_t count, CUstream stream))                     \
  X(cuStreamCreate, 2000, (CUstream * stream, unsigned flags))                                     \
  X(cuStreamDestroy, 4000, (CUstream stream))                                                      \
  X(cuStreamSynchronize, 2000, (CUstream stream))                                                  \
  X(cuStreamBeginCapture, 10010, (CUstream stream, int mode))                                      \
  X(cuStreamEndCapture, 10000, (CUstream stream, CUgraph * graph))                                 \
  X(cuEventCreate, 2000, (CUevent * event, unsigned flags))                                        \
  X(cuEventDestroy, 4000, (CUevent event))                                                         \
  X(cuEventRecord, 2000, (CUevent event, CUstream stream))                                         \
  X(cuEventSynchronize, 2000, (CUevent event))                                                     \
  X(cuEventElapsedTime, 2000, (float *milliseconds, CUevent start, CUevent end))                   \
  X(cuGraphInstantiateWithFlags, 11040,                                                            \
    (CUgraphExec * executable, CUgraph graph, unsigned long long flags))                           \
  X(cuGraphUpload, 11010, (CUgraphExec executable, CUstream stream))                               \
  X(cuGraphLaunch, 10000, (CUgraphExec executable, CUstream stream))                               \
  X(cuGraphExecDestroy, 10000, (CUgraphExec executable))                                           \
  X(cuGraphDestroy, 10000, (CUgraph graph))                                                        \
  X(cuModuleLoadData, 2000, (CUmodule * module, const void *image))                                \
  X(cuModuleUnload, 2000, (CUmodule module))                                                       \
  X(cuModuleGetFunction, 2000, (CUfunction * function, CUmodule module, const char *name))         \
  X(cuFuncSetAttribute, 9000, (CUfunction function, int attribute, int value))                     \
  X(cuLaunchKernelEx, 11060,                                                                       \
    (const LaunchConfig *config, CUfunction function, void **parameters, void **extra))            \
  X(cuTensorMapEncodeTiled, 12000,                                                                 \
    (EncodedTensorMap * map, int type, uint32_t rank, void *address, const uint64_t *dimensions,   \
     const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides, int interleave, \
     int swizzle, int promotion, int fill))

class CUDADriver {
public:
#define QOPT_CUDA_DECLARE(name, version, parameters) CUresult(*name) parameters = nullptr;
  QOPT_CUDA_DRIVER_CALLS(QOPT_CUDA_DECLARE)
#undef QOPT_CUDA_DECLARE
  /// Null in drivers before 12.4.
  CUresult (*cuFuncGetParamInfo)(CUfunction function, size_t index, size_t *offset,
                                 size_t *size) = nullptr;

  /// Opens \p library and initialises the driver.
  static Result<CUDADriver> open(const std::string &library);

  /// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"
  std::string describe(CUresult error) const;

  /// Ok, or what failed and where: \p call names the driver's call.
  Status check(CUresult result, const char *call,
               std::source_location where = std::source_location::current()) const;

  /// cuGetProcAddress of \p version's interface; null when the driver lacks it.
  void *find(const char *name, int version) const;

private:
  CUresult (*getProcAddress_)(const char *name, void **address, int version, uint64_t flags,
                              int *status) = nullptr;
};

} // namespace qopt::cuda

#endif // QOPT_RUNTIME_DEVICE_CUDADRIVER_H
