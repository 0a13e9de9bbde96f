//===- CUDADriverTest.cpp - Our declarations against cuda.h ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled only where the toolkit's header is found.
//
//===----------------------------------------------------------------------===//

#include "Runtime/Device/CUDADriver.h" // first: cuda.h renames calls by macros
#include <cstddef>
#include <cuda.h>
#include <gtest/gtest.h>

namespace ours = qopt::cuda;

namespace {

static_assert(sizeof(ours::CUresult) == sizeof(::CUresult));
static_assert(sizeof(ours::CUdevice) == sizeof(::CUdevice));
static_assert(sizeof(ours::CUdeviceptr) == sizeof(::CUdeviceptr));
static_assert(sizeof(ours::LaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(ours::LaunchAttribute, value) == offsetof(CUlaunchAttribute, value));
static_assert(sizeof(ours::LaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(ours::LaunchConfig, sharedBytes) ==
              offsetof(CUlaunchConfig, sharedMemBytes));
static_assert(offsetof(ours::LaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(ours::LaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(ours::LaunchConfig, numAttributes) == offsetof(CUlaunchConfig, numAttrs));
static_assert(sizeof(ours::EncodedTensorMap) == sizeof(CUtensorMap));
static_assert(alignof(ours::EncodedTensorMap) >= 64);
static_assert(sizeof(ours::CopyOfRows) == sizeof(CUDA_MEMCPY2D));
static_assert(offsetof(ours::CopyOfRows, fromType) == offsetof(CUDA_MEMCPY2D, srcMemoryType));
static_assert(offsetof(ours::CopyOfRows, fromHost) == offsetof(CUDA_MEMCPY2D, srcHost));
static_assert(offsetof(ours::CopyOfRows, fromStride) == offsetof(CUDA_MEMCPY2D, srcPitch));
static_assert(offsetof(ours::CopyOfRows, toType) == offsetof(CUDA_MEMCPY2D, dstMemoryType));
static_assert(offsetof(ours::CopyOfRows, toDevice) == offsetof(CUDA_MEMCPY2D, dstDevice));
static_assert(offsetof(ours::CopyOfRows, toStride) == offsetof(CUDA_MEMCPY2D, dstPitch));
static_assert(offsetof(ours::CopyOfRows, rowBytes) == offsetof(CUDA_MEMCPY2D, WidthInBytes));
static_assert(offsetof(ours::CopyOfRows, rows) == offsetof(CUDA_MEMCPY2D, Height));

TEST(CUDADriver, NumbersAreTheHeaders) {
  EXPECT_EQ(ours::errorInvalidValue, int(CUDA_ERROR_INVALID_VALUE));
  EXPECT_EQ(ours::errorOutOfMemory, int(CUDA_ERROR_OUT_OF_MEMORY));
  EXPECT_EQ(ours::errorNoDevice, int(CUDA_ERROR_NO_DEVICE));
  EXPECT_EQ(ours::errorInvalidDevice, int(CUDA_ERROR_INVALID_DEVICE));
  EXPECT_EQ(ours::attributeL2CacheBytes, int(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE));
  EXPECT_EQ(ours::attributeMajor, int(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
  EXPECT_EQ(ours::attributeMinor, int(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
  EXPECT_EQ(ours::streamNonBlocking, unsigned(CU_STREAM_NON_BLOCKING));
  EXPECT_EQ(ours::eventDisableTiming, unsigned(CU_EVENT_DISABLE_TIMING));
  EXPECT_EQ(ours::captureThreadLocal, int(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  EXPECT_EQ(ours::functionMaxDynamicSharedBytes,
            int(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES));
  EXPECT_EQ(ours::memoryTypeHost, unsigned(CU_MEMORYTYPE_HOST));
  EXPECT_EQ(ours::memoryTypeDevice, unsigned(CU_MEMORYTYPE_DEVICE));
  EXPECT_EQ(ours::launchProgrammaticSerialization,
            unsigned(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION));
  EXPECT_EQ(ours::tensorUInt8, int(CU_TENSOR_MAP_DATA_TYPE_UINT8));
  EXPECT_EQ(ours::tensorInterleaveNone, int(CU_TENSOR_MAP_INTERLEAVE_NONE));
  EXPECT_EQ(ours::tensorSwizzle128B, int(CU_TENSOR_MAP_SWIZZLE_128B));
  EXPECT_EQ(ours::tensorL2Promotion128B, int(CU_TENSOR_MAP_L2_PROMOTION_L2_128B));
  EXPECT_EQ(ours::tensorFillZero, int(CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  CUlaunchAttribute theirs{};
  theirs.value.programmaticStreamSerializationAllowed = 1;
  const auto &same = reinterpret_cast<const ours::LaunchAttribute &>(theirs);
  EXPECT_EQ(same.value, 1);
}

} // namespace
