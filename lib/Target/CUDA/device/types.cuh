//===- types.cuh - Numbers of the device headers ---------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fixed-width integers, storage types of narrow floats and their conversions. No
// toolkit header is included, so that NVRTC compiles the device headers alone.
//
//===----------------------------------------------------------------------===//

#pragma once

namespace qopt::cuda {

using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;

/// Storage of a narrow float: the bits, without arithmetic.
struct alignas(2) bf16 {
  uint16_t bits;
};
struct alignas(2) f16 {
  uint16_t bits;
};
struct alignas(1) e4m3 {
  uint8_t bits;
};

/// A tensor map as the driver encodes it, for the tensor copy engine.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

/// 16 bytes that move in one load or store.
struct alignas(16) Vec16 {
  uint32_t words[4];
};

__device__ __forceinline__ float bits_to_float(uint32_t bits) { return __uint_as_float(bits); }
__device__ __forceinline__ uint32_t float_to_bits(float value) { return __float_as_uint(value); }

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(bf16 value) {
  return bits_to_float(uint32_t(value.bits) << 16);
}
__device__ __forceinline__ float to_float(f16 value) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
}
// GPUs before sm_89 have no e4m3: no kernel for them converts any.
__device__ __forceinline__ float to_float(e4m3 value) {
#if __CUDA_ARCH__ >= 890
  uint32_t halves;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(uint16_t(value.bits)));
  return to_float(f16{uint16_t(halves)});
#else
  __trap();
  return 0.0f;
#endif
}

/// The two elements of a bf16 pair, the first in the low half.
__device__ __forceinline__ float low_to_float(uint32_t pair) { return bits_to_float(pair << 16); }
__device__ __forceinline__ float high_to_float(uint32_t pair) {
  return bits_to_float(pair & 0xffff0000u);
}

/// Rounding to nearest, ties to even.
__device__ __forceinline__ bf16 to_bf16(float value) {
  bf16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}
__device__ __forceinline__ f16 to_f16(float value) {
  f16 result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}
/// `low` in the low half.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
/// Saturates to +-448; `low` in the low byte.
__device__ __forceinline__ uint16_t pack_e4m3(float low, float high) {
#if __CUDA_ARCH__ >= 890
  uint16_t pair;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
  return pair;
#else
  __trap();
  return 0;
#endif
}
__device__ __forceinline__ e4m3 to_e4m3(float value) {
  return e4m3{uint8_t(pack_e4m3(value, 0.0f))};
}
/// Rounds to nearest even and saturates to [-128, 127].
__device__ __forceinline__ int8_t to_s8(float value) {
  int32_t result;
  asm("cvt.rni.sat.s8.f32 %0, %1;" : "=r"(result) : "f"(value));
  return int8_t(result);
}

/// x / divisor, rounded to nearest as __fdiv_rn rounds it, for divisors of 1 or more (x of
/// less than 2^-100 may be rounded once more). No operand takes another road than the rest,
/// so that a thread's quotients are computed side by side: the remainder of an approximate
/// quotient is exact, and corrects it (P. Markstein, "Computation of elementary functions on
/// the IBM RISC System/6000", 1990).
__device__ __forceinline__ float quotient(float x, float divisor) {
  float inverse;
  asm("rcp.approx.f32 %0, %1;" : "=f"(inverse) : "f"(divisor));
  const float q = __fmul_rn(x, inverse), remainder = __fmaf_rn(-divisor, q, x);
  // Infinities have a quotient, but no remainder; zeros keep their sign.
  return fabsf(remainder) > 0.0f ? __fmaf_rn(remainder, inverse, q) : q;
}

/// Conversion by the name of the result, for templates.
template <class T> __device__ T from_float(float value);
template <> __device__ __forceinline__ float from_float<float>(float value) { return value; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float value) { return to_bf16(value); }
template <> __device__ __forceinline__ f16 from_float<f16>(float value) { return to_f16(value); }

} // namespace qopt::cuda
