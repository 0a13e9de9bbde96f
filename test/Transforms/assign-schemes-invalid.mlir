// RUN: split-file %s %t
// RUN: not qopt-opt %t/group.mlir --qopt-assign-schemes=format=w5a16 2>&1 | FileCheck %s --check-prefix=FORMAT
// RUN: not qopt-opt %t/group.mlir --qopt-assign-schemes="format=w4a16 group-size=24" 2>&1 | FileCheck %s --check-prefix=SIZE
// RUN: not qopt-opt %t/group.mlir --qopt-assign-schemes=format=w4a16 2>&1 | FileCheck %s --check-prefix=GROUP
// RUN: not qopt-opt %t/group.mlir --qopt-assign-schemes="format=w4a16 group-size=64" 2>&1 | FileCheck %s --check-prefix=FIXED
// RUN: not qopt-opt %t/unnamed.mlir --qopt-assign-schemes=format=w4a16 2>&1 | FileCheck %s --check-prefix=UNNAMED
// RUN: not qopt-opt %t/empty.mlir --qopt-assign-schemes 2>&1 | FileCheck %s --check-prefix=EMPTY
// RUN: not qopt-opt %t/group.mlir --qopt-assign-schemes=lm-head=4bit 2>&1 | FileCheck %s --check-prefix=HEAD
// RUN: not qopt-opt %t/group.mlir --qopt-assign-schemes="format=fp32 lm-head=8bit" 2>&1 | FileCheck %s --check-prefix=HEAD32
// RUN: not qopt-opt %t/head.mlir --qopt-assign-schemes=lm-head=8bit 2>&1 | FileCheck %s --check-prefix=UNNAMED

// HEAD: error: lm-head is '4bit', expected native or 8bit
// HEAD32: error: lm-head 8bit goes with the formats of 16 bits and less
// FORMAT: error: format is 'w5a16', expected fp32, bf16, w8a8-fp8, w8a8-int8, w4a16 or keep
// SIZE: error: group size is 24, expected a multiple of 16, or 0 to choose
// GROUP: group.mlir:3:{{.*}} error: no group size divides K = 48: tried 128, 64 and 32
// FIXED: group.mlir:3:{{.*}} error: no group size divides K = 48: tried 64
// UNNAMED: error: expected a named weight
// EMPTY: error: expected a function @forward with a body of one block

//--- group.mlir
func.func @forward(%x: tensor<?x48xf32>) -> tensor<?x16xf32> {
  %w = qopt.weight @w : tensor<16x48xf32>
  %y = qopt.linear %x, %w : (tensor<?x48xf32>, tensor<16x48xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

//--- unnamed.mlir
func.func @forward(%x: tensor<?x48xf32>, %w: tensor<16x48xf32>) -> tensor<?x16xf32> {
  %y = qopt.linear %x, %w : (tensor<?x48xf32>, tensor<16x48xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

//--- empty.mlir
module {
}

//--- head.mlir
func.func @forward(%x: tensor<?x48xf32>, %w: tensor<16x48xf32>) -> tensor<?x16xf32> {
  %y = qopt.logits %x, %w : (tensor<?x48xf32>, tensor<16x48xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
