//===- attention_ptx.cuh - PTX instructions of attention -------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#pragma once

#include "ptx.cuh"
#include "wgmma.cuh"

namespace qopt::cuda {

__device__ __forceinline__ float exp2_approx(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

//===- Clusters of blocks -------------------------------------------------===//

/// Into a block's memory of the cluster.
__device__ __forceinline__ void store_cluster_8(uint32_t address, float2 v) {
  asm volatile("st.shared::cluster.v2.f32 [%0], {%1, %2};" ::"r"(address), "f"(v.x), "f"(v.y)
               : "memory");
}
__device__ __forceinline__ void store_shared_8(uint32_t address, float2 v) {
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(address), "f"(v.x), "f"(v.y) : "memory");
}

//===- Products -----------------------------------------------------------===//

/// d = a b: mma_bf16 from zero, without registers for the zeros.
__device__ __forceinline__ void mma_bf16_from_zero(float (&d)[4], const uint32_t (&a)[4],
                                                   uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
               : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
}

/// A matrix operand whose columns, not k, are contiguous: panels of 64 columns, each rows of
/// 128 bytes with the 128-byte swizzle; `panel_bytes` from panel to panel.
__device__ __forceinline__ uint64_t panels_descriptor(uint32_t address, uint32_t panel_bytes) {
  constexpr uint64_t kStride = uint64_t(1024 / 16) << 32, kSwizzle128 = uint64_t(1) << 62;
  return uint64_t((address & 0x3ffff) >> 4) | uint64_t(panel_bytes >> 4) << 16 | kStride |
         kSwizzle128;
}

#define QOPT_BF16_PANELS(n, count, o0, o1, o2, o3, o4, o5)                                         \
  if constexpr (size == n)                                                                         \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " o5 ", 0;\n"                                   \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" QOPT_LIST##count     \
                 "}, {" o0 ", " o1 ", " o2 ", " o3 "}, " o4 ", p, 1, 1, 1;\n}"                     \
                 : QOPT_REGS##count("+f", 0)                                                       \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate));

/// wgmma_bf16 with b [16, size] by its `panels_descriptor`.
template <int size>
__device__ __forceinline__ void wgmma_bf16_panels(float (&d)[size / 2], const uint32_t (&a)[4],
                                                  uint64_t b, int32_t accumulate) {
  QOPT_WGMMA_SIZES(QOPT_BF16_PANELS)
}

} // namespace qopt::cuda
