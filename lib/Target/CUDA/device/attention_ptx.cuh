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

/// d = a b: mma_bf16 from zero, without registers for the zeros.
__device__ __forceinline__ void mma_bf16_from_zero(float (&d)[4], const uint32_t (&a)[4],
                                                   uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
               : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
}

/// wgmma_bf16 of 64 columns with b [16, 64] as rows of 128 bytes: b's columns, not k, are
/// contiguous.
__device__ __forceinline__ void wgmma_bf16_by_rows(float (&d)[32], const uint32_t (&a)[4],
                                                   uint64_t b, int32_t accumulate) {
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" QOPT_LIST32
               "}, {%32, %33, %34, %35}, %36, p, 1, 1, 1;\n}"
               : QOPT_REGS32("+f", 0)
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate));
}

} // namespace qopt::cuda
