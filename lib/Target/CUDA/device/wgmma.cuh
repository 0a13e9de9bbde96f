//===- wgmma.cuh - Asynchronous products of a warpgroup --------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// d [64, n] += a [64, k] b [k, n], k = 32 bytes. b, and a unless it is in registers,
// are in shared memory, K contiguous, in rows of 128 bytes with the 128-byte swizzle.
// Warp w of the group has rows 16 w to 16 w + 15; register 4 i + r of a thread holds
// (row lane / 4 + 8 (r / 2), column 8 i + 2 (lane % 4) + r % 2).
//
//===----------------------------------------------------------------------===//

#pragma once

#include "types.cuh"

namespace qopt::cuda {

/// Orders register writes of this warp before the products that follow.
__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Waits until at most `pending` committed groups are unfinished.
template <int pending> __device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

/// Keeps the compiler from moving uses of registers across a wait.
template <int count> __device__ __forceinline__ void hold(float (&registers)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i)
    asm volatile("" : "+f"(registers[i])::"memory");
}
template <int count> __device__ __forceinline__ void hold(int32_t (&registers)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i)
    asm volatile("" : "+r"(registers[i])::"memory");
}
template <int count> __device__ __forceinline__ void hold(uint32_t (&registers)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i)
    asm volatile("" : "+r"(registers[i])::"memory");
}

/// A matrix operand in shared memory: rows of 128 bytes in groups of 8 (1,024 bytes,
/// one after the other), 128-byte swizzle. `address` may be advanced by 32 bytes along K.
__device__ __forceinline__ uint64_t matrix_descriptor(uint32_t address) {
  constexpr uint64_t kLeading = uint64_t(1) << 16, kStride = uint64_t(1024 / 16) << 32;
  constexpr uint64_t kSwizzle128 = uint64_t(1) << 62;
  return uint64_t((address & 0x3ffff) >> 4) | kLeading | kStride | kSwizzle128;
}

// Operand lists: %0 to %127 are the accumulators.
#define QOPT_LIST4 "%0, %1, %2, %3"
#define QOPT_LIST8 QOPT_LIST4 ", %4, %5, %6, %7"
#define QOPT_LIST16 QOPT_LIST8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define QOPT_LIST32                                                                                \
  QOPT_LIST16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define QOPT_LIST48                                                                                \
  QOPT_LIST32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define QOPT_LIST64                                                                                \
  QOPT_LIST48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define QOPT_LIST80                                                                                \
  QOPT_LIST64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define QOPT_LIST96                                                                                \
  QOPT_LIST80 ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define QOPT_LIST112                                                                               \
  QOPT_LIST96 ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, " \
              "%110, %111"
#define QOPT_LIST128                                                                               \
  QOPT_LIST112 ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, "  \
               "%125, %126, %127"

#define QOPT_REGS4(c, i) c(d[i]), c(d[i + 1]), c(d[i + 2]), c(d[i + 3])
#define QOPT_REGS8(c, i) QOPT_REGS4(c, i), QOPT_REGS4(c, i + 4)
#define QOPT_REGS16(c, i) QOPT_REGS8(c, i), QOPT_REGS8(c, i + 8)
#define QOPT_REGS32(c, i) QOPT_REGS16(c, i), QOPT_REGS16(c, i + 16)
#define QOPT_REGS48(c, i) QOPT_REGS32(c, i), QOPT_REGS16(c, i + 32)
#define QOPT_REGS64(c, i) QOPT_REGS32(c, i), QOPT_REGS32(c, i + 32)
#define QOPT_REGS96(c, i) QOPT_REGS64(c, i), QOPT_REGS32(c, i + 64)
#define QOPT_REGS128(c, i) QOPT_REGS64(c, i), QOPT_REGS64(c, i + 64)

// X(n, accumulators, the numbers of the operands after them)
#define QOPT_WGMMA_SIZES(X)                                                                        \
  X(8, 4, "%4", "%5", "%6", "%7", "%8", "%9")                                                      \
  X(16, 8, "%8", "%9", "%10", "%11", "%12", "%13")                                                 \
  X(32, 16, "%16", "%17", "%18", "%19", "%20", "%21")                                              \
  X(64, 32, "%32", "%33", "%34", "%35", "%36", "%37")                                              \
  X(96, 48, "%48", "%49", "%50", "%51", "%52", "%53")                                              \
  X(128, 64, "%64", "%65", "%66", "%67", "%68", "%69")                                             \
  X(192, 96, "%96", "%97", "%98", "%99", "%100", "%101")                                           \
  X(256, 128, "%128", "%129", "%130", "%131", "%132", "%133")

/// Whether there is a product of `size` tokens; others would be left out without a word.
template <int size> __device__ constexpr bool has_wgmma_size() {
#define QOPT_IS_SIZE(n, count, o0, o1, o2, o3, o4, o5) || size == n
  return false QOPT_WGMMA_SIZES(QOPT_IS_SIZE);
#undef QOPT_IS_SIZE
}

#define QOPT_WGMMA_SS(n, count, o0, o1, o2, instruction, modifiers, constraint)                    \
  if constexpr (size == n)                                                                         \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " o2 ", 0;\n"                                   \
                 "wgmma.mma_async.sync.aligned.m64n" #n instruction " {" QOPT_LIST##count          \
                 "}, " o0 ", " o1 ", p" modifiers ";\n}"                                           \
                 : QOPT_REGS##count(constraint, 0)                                                 \
                 : "l"(a), "l"(b), "r"(accumulate));

#define QOPT_BF16(n, count, o0, o1, o2, o3, o4, o5)                                                \
  QOPT_WGMMA_SS(n, count, o0, o1, o2, "k16.f32.bf16.bf16", ", 1, 1, 0, 0", "+f")
#define QOPT_E4M3(n, count, o0, o1, o2, o3, o4, o5)                                                \
  QOPT_WGMMA_SS(n, count, o0, o1, o2, "k32.f32.e4m3.e4m3", ", 1, 1", "+f")
#define QOPT_S8(n, count, o0, o1, o2, o3, o4, o5)                                                  \
  QOPT_WGMMA_SS(n, count, o0, o1, o2, "k32.s32.s8.s8", "", "+r")
#define QOPT_BF16_RS(n, count, o0, o1, o2, o3, o4, o5)                                             \
  if constexpr (size == n)                                                                         \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " o5 ", 0;\n"                                   \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" QOPT_LIST##count     \
                 "}, {" o0 ", " o1 ", " o2 ", " o3 "}, " o4 ", p, 1, 1, 0;\n}"                     \
                 : QOPT_REGS##count("+f", 0)                                                       \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate));

/// bf16, both operands in shared memory; `accumulate` 0 starts from zero.
template <int size>
__device__ __forceinline__ void wgmma_bf16(float (&d)[size / 2], uint64_t a, uint64_t b,
                                           int32_t accumulate) {
  static_assert(has_wgmma_size<size>());
  QOPT_WGMMA_SIZES(QOPT_BF16)
}
/// bf16, the fragment of a in registers.
template <int size>
__device__ __forceinline__ void wgmma_bf16(float (&d)[size / 2], const uint32_t (&a)[4], uint64_t b,
                                           int32_t accumulate) {
  static_assert(has_wgmma_size<size>());
  QOPT_WGMMA_SIZES(QOPT_BF16_RS)
}
template <int size>
__device__ __forceinline__ void wgmma_e4m3(float (&d)[size / 2], uint64_t a, uint64_t b,
                                           int32_t accumulate) {
  static_assert(has_wgmma_size<size>());
  QOPT_WGMMA_SIZES(QOPT_E4M3)
}
template <int size>
__device__ __forceinline__ void wgmma_s8(int32_t (&d)[size / 2], uint64_t a, uint64_t b,
                                         int32_t accumulate) {
  static_assert(has_wgmma_size<size>());
  QOPT_WGMMA_SIZES(QOPT_S8)
}

} // namespace qopt::cuda
