// RUN: qopt-opt %s --kernel-select-schedule="target=cuda:sm_90a buckets=1 schedule=%S/Inputs/prologue-schedules.json" \
// RUN:   --kernel-fuse-prologue="target=cuda:sm_90a schedule=%S/Inputs/prologue-schedules.json" | FileCheck %s
// RUN: qopt-opt %s --kernel-select-schedule=target=cuda:sm_90a --kernel-fuse-prologue=target=cuda:sm_90a | FileCheck %s --check-prefix=MANY
// RUN: qopt-opt %s --kernel-select-schedule="target=cuda:sm_90a buckets=1" --kernel-fuse-prologue | FileCheck %s --check-prefix=CPU
// RUN: qopt-opt %s --kernel-select-schedule="target=cuda:sm_80 buckets=1" --kernel-fuse-prologue=target=cuda:sm_80 | FileCheck %s --check-prefix=CPU
// RUN: qopt-opt %s --kernel-select-schedule="target=cuda:sm_80 buckets=1" --kernel-fuse-prologue=target=cuda:sm_90a | FileCheck %s --check-prefix=PORTABLE

!bf16 = !kernel.packed<tensor<4224x4096xbf16>, #kernel.layout<swizzled>>
!int8 = !kernel.packed<tensor<4224x4096x!qopt.q<i8, per_channel, scale = bf16>>, #kernel.layout<swizzled>>
!fp8 = !kernel.packed<tensor<4224x4096x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>, #kernel.layout<swizzled>>
!w4 = !kernel.packed<tensor<4224x4096x!qopt.q<i4, group = 128, scale = bf16>>, #kernel.layout<fragment, interleave = 1>>
!x = memref<?x4096xbf16>
!y = memref<?x4224xbf16>

// Many tokens are made once.
// MANY-LABEL: kernel.plan @norm_bf16_decode_256
// MANY: kernel.norm
// MANY: kernel.gemm {{.*}}"prologue: no kernel makes 256 rows in a block"]

// A target without prologues keeps every launch, and says so.
// CPU-LABEL: kernel.plan @norm_bf16
// CPU: kernel.norm
// CPU: kernel.gemm {{.*}}"prologue: the target's linear layers have no prologues"]

// Nor has a portable kernel one on a target that has.
// PORTABLE-LABEL: kernel.plan @norm_bf16_decode_1
// PORTABLE: kernel.norm
// PORTABLE: kernel.gemm {{.*}}portable = 1 : i64{{.*}}"prologue: portable kernels have no prologues"]
// PORTABLE-NOT: kernel.gemm {{.*}} norm(

// CHECK-LABEL: kernel.plan @norm_bf16_decode_1
// CHECK: %[[X:.*]] = kernel.alloc : memref<?x4096xbf16>
// CHECK-NEXT: %[[N:.*]] = kernel.weight @n
// CHECK-NEXT: %[[W:.*]] = kernel.weight @w
// CHECK-NEXT: %[[Y:.*]] = kernel.alloc : memref<?x4224xbf16>
// CHECK-NEXT: kernel.gemm ins(%[[X]], %[[W]]) norm(%[[N]]) outs(%[[Y]]) attributes {eps = 1.000000e-05 : f64, schedule = #kernel.schedule<{{.*}}, reason = "norm in the prologue spares a launch: {{.*}} us (measured); mma.sync, tile_n = 64, tile_t = 1", rejected = ["norm in a launch of its own: {{.*}} us for both"]>} epilogue {
// CHECK-NEXT: ^bb0(%{{.*}}: f32):
// CHECK-NEXT:   arith.truncf
// CHECK-NOT: kernel.norm
// The same rows in a mixed plan stay as they are.
// CHECK-LABEL: kernel.plan @norm_bf16_1 max_tokens = 1
// CHECK: kernel.norm
// CHECK-NOT: prologue
// CHECK: kernel.yield
kernel.plan @norm_bf16 max_tokens = 256 max_logit_rows = 256 {
  %x = kernel.alloc : !x
  %n = kernel.weight @n : memref<4096xbf16>
  %w = kernel.weight @w : !bf16
  %normed = kernel.alloc : !x
  %y = kernel.alloc : !y
  kernel.norm ins(%x, %n) outs(%normed) {eps = 1.0e-5 : f64} : (!x, memref<4096xbf16>, !x) -> ()
  kernel.gemm ins(%normed, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !bf16, !y) -> ()
}

// What was measured goes before the cost model.
// CHECK-LABEL: kernel.plan @norm_int8_decode_1
// CHECK-NOT: kernel.norm
// CHECK: kernel.gemm ins(%{{.*}}, %{{.*}}) norm(%{{.*}}) quantize outs(%{{.*}}) attributes {eps = 1.000000e-05 : f64, {{.*}}k_stage = 1024 : i64, k_warps = 4 : i64, row_copies = 0 : i64, spread = 1 : i64, stages = 3 : i64, {{.*}}reason = "norm in the prologue spares a launch: 8.2 us (measured); mma.sync, tile_n = 32 at most, tile_t = 1", rejected = ["norm in a launch of its own: 8.6 us for both"]>}
// CHECK: } : (memref<?x4096xbf16>, !kernel.packed<{{.*}}i8{{.*}}>, memref<4096xbf16>, memref<?x4224xbf16>) -> ()
kernel.plan @norm_int8 max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : !x
  %n = kernel.weight @n : memref<4096xbf16>
  %w = kernel.weight @w : !int8
  %codes = kernel.alloc : memref<?x4096xi8>
  %scales = kernel.alloc : memref<?xf32>
  %y = kernel.alloc : !y
  kernel.norm ins(%x, %n) outs(%codes, %scales) {eps = 1.0e-5 : f64}
    : (!x, memref<4096xbf16>, memref<?x4096xi8>, memref<?xf32>) -> ()
  kernel.gemm ins(%codes scales %scales, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x4096xi8>, memref<?xf32>, !int8, !y) -> ()
}

// Extra operands stay; a norm without codes before a quantize stays, too.
// CHECK-LABEL: kernel.plan @quantize_fp8_decode_1
// CHECK: kernel.norm
// CHECK-NOT: kernel.quantize
// CHECK: kernel.gemm ins(%{{.*}}, %{{.*}}) quantize extras(%{{.*}}) outs(%{{.*}}) attributes {schedule = {{.*}}"quantize in the prologue spares a launch: {{.*}} (by the cost model); wgmma, tile_n = {{[0-9]+}}, tile_t = 1"
kernel.plan @quantize_fp8 max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : !x
  %n = kernel.weight @n : memref<4096xbf16>
  %w = kernel.weight @w : !fp8
  %r = kernel.alloc : !y
  %normed = kernel.alloc : !x
  %codes = kernel.alloc : memref<?x4096xf8E4M3FN>
  %scales = kernel.alloc : memref<?xf32>
  %y = kernel.alloc : !y
  kernel.norm ins(%x, %n) outs(%normed) {eps = 1.0e-5 : f64} : (!x, memref<4096xbf16>, !x) -> ()
  kernel.quantize ins(%normed) outs(%codes, %scales)
    : (!x, memref<?x4096xf8E4M3FN>, memref<?xf32>) -> ()
  kernel.gemm ins(%codes scales %scales, %w) extras(%r) outs(%y) epilogue {
  ^bb0(%acc: f32, %r0: bf16):
    %0 = arith.extf %r0 : bf16 to f32
    %1 = arith.addf %acc, %0 : f32
    %2 = arith.truncf %1 : f32 to bf16
    kernel.yield %2 : bf16
  } : (memref<?x4096xf8E4M3FN>, memref<?xf32>, !fp8, !y, !y) -> ()
}

// CHECK-LABEL: kernel.plan @norm_int4_pair_decode_1
// CHECK-NOT: kernel.norm
// CHECK: kernel.gemm ins(%{{.*}}, %{{.*}}) norm(%{{.*}}) outs(
// CHECK: ^bb0(%{{.*}}: f32, %{{.*}}: f32):
kernel.plan @norm_int4_pair max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : !x
  %n = kernel.weight @n : memref<4096xbf16>
  %w = kernel.weight @gate, @up : !w4
  %normed = kernel.alloc : !x
  %y = kernel.alloc : memref<?x2112xbf16>
  kernel.norm ins(%x, %n) outs(%normed) {eps = 1.0e-5 : f64} : (!x, memref<4096xbf16>, !x) -> ()
  kernel.gemm ins(%normed, %w) outs(%y) epilogue {
  ^bb0(%gate: f32, %up: f32):
    %0 = arith.mulf %gate, %up : f32
    %1 = arith.truncf %0 : f32 to bf16
    kernel.yield %1 : bf16
  } : (!x, !w4, memref<?x2112xbf16>) -> ()
}

// Each layer would normalise for itself.
// CHECK-LABEL: kernel.plan @negative_two_layers_decode_1
// CHECK: kernel.norm
// CHECK-NOT: norm(
// CHECK-LABEL: kernel.plan @negative_two_layers_1
kernel.plan @negative_two_layers max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : !x
  %n = kernel.weight @n : memref<4096xbf16>
  %w = kernel.weight @w : !bf16
  %v = kernel.weight @v : !bf16
  %normed = kernel.alloc : !x
  %y = kernel.alloc : !y
  %z = kernel.alloc : !y
  kernel.norm ins(%x, %n) outs(%normed) {eps = 1.0e-5 : f64} : (!x, memref<4096xbf16>, !x) -> ()
  kernel.gemm ins(%normed, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !bf16, !y) -> ()
  kernel.gemm ins(%normed, %v) outs(%z) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !bf16, !y) -> ()
}

// CHECK-LABEL: kernel.plan @negative_read_elsewhere_decode_1
// CHECK: kernel.norm
// CHECK: kernel.gather
// CHECK-NOT: norm(
// CHECK-LABEL: kernel.plan @negative_read_elsewhere_1
kernel.plan @negative_read_elsewhere max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : !x
  %rows = kernel.input logit_rows : memref<?xi32>
  %n = kernel.weight @n : memref<4096xbf16>
  %w = kernel.weight @w : !bf16
  %normed = kernel.alloc : !x
  %chosen = kernel.alloc rows = logit_rows : !x
  %y = kernel.alloc : !y
  kernel.norm ins(%x, %n) outs(%normed) {eps = 1.0e-5 : f64} : (!x, memref<4096xbf16>, !x) -> ()
  kernel.gather ins(%normed, %rows) outs(%chosen) : (!x, memref<?xi32>, !x) -> ()
  kernel.gemm ins(%normed, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !bf16, !y) -> ()
}

// Blocks that end early would write over what others still read.
// CHECK-LABEL: kernel.plan @negative_in_place_decode_1
// CHECK: kernel.norm
// CHECK-NOT: norm(
// CHECK-LABEL: kernel.plan @negative_in_place_1
!square = !kernel.packed<tensor<4096x4096xbf16>, #kernel.layout<swizzled>>
kernel.plan @negative_in_place max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : !x
  %n = kernel.weight @n : memref<4096xbf16>
  %w = kernel.weight @w : !square
  %normed = kernel.alloc : !x
  kernel.norm ins(%x, %n) outs(%normed) {eps = 1.0e-5 : f64} : (!x, memref<4096xbf16>, !x) -> ()
  kernel.gemm ins(%normed, %w) outs(%x) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !square, !x) -> ()
}

// CHECK-LABEL: kernel.plan @negative_float_decode_1
// CHECK: kernel.quantize
// CHECK-LABEL: kernel.plan @negative_float_1
kernel.plan @negative_float max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x4096xf32>
  %w = kernel.weight @w : !int8
  %codes = kernel.alloc : memref<?x4096xi8>
  %scales = kernel.alloc : memref<?xf32>
  %y = kernel.alloc : !y
  kernel.quantize ins(%x) outs(%codes, %scales)
    : (memref<?x4096xf32>, memref<?x4096xi8>, memref<?xf32>) -> ()
  kernel.gemm ins(%codes scales %scales, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x4096xi8>, memref<?xf32>, !int8, !y) -> ()
}
