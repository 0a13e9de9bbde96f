// RUN: qopt-opt %s --convert-qopt-to-kernel=max-tokens=32 --split-input-file | FileCheck %s
// RUN: qopt-opt %s --convert-qopt-to-kernel="max-tokens=32 max-logit-rows=4" --split-input-file | FileCheck %s --check-prefix=FEW
// RUN: not qopt-opt %s --convert-qopt-to-kernel=max-logit-rows=0 --split-input-file 2>&1 | FileCheck %s --check-prefix=NONE

// FEW: kernel.plan @step max_tokens = 32 max_logit_rows = 4 {
// NONE: error: 'kernel.plan' op max_tokens and max_logit_rows must be positive

#rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>
#layout = #kernel.layout<tiled, tile_n = 32, k_pack = 2>
!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
!q8 = !qopt.q<i8, per_token, scale = f32>

// CHECK-LABEL: kernel.plan @step max_tokens = 32 max_logit_rows = 32 {
// CHECK-DAG: %[[TOKENS:.*]] = kernel.input tokens
// CHECK-DAG: %[[BATCH:.*]] = kernel.batch
// CHECK-DAG: %[[CACHE:.*]] = kernel.cache
func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !cache) -> tensor<?x128xf32> {
  // CHECK: %[[TABLE:.*]] = kernel.weight @embed : !kernel.packed<tensor<128x64xbf16>, <tiled, tile_n = 32, k_pack = 2>>
  %table = qopt.weight @embed {kernel.layout = #layout} : tensor<128x64xbf16>
  // CHECK: %[[X:.*]] = kernel.alloc : memref<?x64xbf16>
  // CHECK: kernel.embedding ins(%[[TOKENS]], %[[TABLE]]) outs(%[[X]])
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<128x64xbf16>) -> tensor<?x64xbf16>
  // CHECK: %[[NW:.*]] = kernel.weight @norm : memref<64xbf16>
  %nw = qopt.weight @norm : tensor<64xbf16>
  // CHECK: %[[C:.*]] = kernel.alloc : memref<?x64xi8>
  // CHECK: %[[S:.*]] = kernel.alloc : memref<?xf32>
  // CHECK: kernel.norm ins(%[[X]], %[[NW]]) outs(%[[C]], %[[S]]) {eps = 1.000000e-05 : f64}
  %n = qopt.rms_norm %x, %nw {eps = 1.0e-5 : f64} : (tensor<?x64xbf16>, tensor<64xbf16>) -> tensor<?x64x!q8>
  // CHECK: %[[W:.*]] = kernel.weight @q, @k, @v
  %w = qopt.weight @q, @k, @v {kernel.layout = #layout} : tensor<128x64x!qopt.q<i8, per_channel, scale = f32>>
  // CHECK: %[[B:.*]] = kernel.weight @b : memref<128xbf16>
  %b = qopt.weight @b : tensor<128xbf16>
  // CHECK: %[[QKV:.*]] = kernel.alloc : memref<?x128xbf16>
  // CHECK: kernel.gemm ins(%[[C]] scales %[[S]], %[[W]]) extras(%[[B]]) outs(%[[QKV]]) epilogue {
  // CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[B0:.*]]: bf16):
  // CHECK-NEXT: %[[WIDE:.*]] = arith.extf %[[B0]] : bf16 to f32
  // CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[ACC]], %[[WIDE]] : f32
  // CHECK-NEXT: %[[OUT:.*]] = arith.truncf %[[SUM]] : f32 to bf16
  // CHECK-NEXT: kernel.yield %[[OUT]] : bf16
  %qkv = qopt.linear %n, %w bias(%b)
    : (tensor<?x64x!q8>, tensor<128x64x!qopt.q<i8, per_channel, scale = f32>>, tensor<128xbf16>) -> tensor<?x128xbf16>
  // CHECK: %[[Q:.*]] = kernel.slice %[[QKV]] {offset = 0 : i64} : memref<?x128xbf16> to memref<?x64xbf16, strided<[128, 1]>>
  // CHECK: %[[K:.*]] = kernel.slice %[[QKV]] {offset = 64 : i64} : memref<?x128xbf16> to memref<?x32xbf16, strided<[128, 1], offset: 64>>
  // CHECK: %[[V:.*]] = kernel.slice %[[QKV]] {offset = 96 : i64}
  %q = qopt.slice %qkv {offset = 0 : i64} : (tensor<?x128xbf16>) -> tensor<?x64xbf16>
  %k = qopt.slice %qkv {offset = 64 : i64} : (tensor<?x128xbf16>) -> tensor<?x32xbf16>
  %v = qopt.slice %qkv {offset = 96 : i64} : (tensor<?x128xbf16>) -> tensor<?x32xbf16>
  // One table of cosines and sines serves both.
  // CHECK: %[[T:.*]] = kernel.alloc : memref<?x16xf32>
  // CHECK: kernel.rotary_table ins(%[[BATCH]]) outs(%[[T]])
  // CHECK: kernel.rope ins(%[[Q]], %[[T]]) outs(%[[QR:.*]]) :
  // CHECK-NOT: kernel.rotary_table
  // CHECK: kernel.rope ins(%[[K]], %[[T]]) outs(%[[KR:.*]]) :
  %qr = qopt.rope %q, %batch {rope = #rope} : (tensor<?x64xbf16>, !qopt.batch) -> tensor<?x64xbf16>
  %kr = qopt.rope %k, %batch {rope = #rope} : (tensor<?x32xbf16>, !qopt.batch) -> tensor<?x32xbf16>
  // CHECK: kernel.kv_append ins(%[[KR]], %[[V]], %[[CACHE]], %[[BATCH]]) {layer = 0 : i64}
  qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : (tensor<?x32xbf16>, tensor<?x32xbf16>, !cache, !qopt.batch) -> ()
  // CHECK: kernel.rope_append ins(%[[Q]], %[[K]], %[[V]], %[[T]], %[[CACHE]], %[[BATCH]]) outs(%{{.*}}) {layer = 0 : i64}
  %qa = qopt.rope_append %q, %k, %v, %cache, %batch {layer = 0 : i64, rope = #rope}
    : (tensor<?x64xbf16>, tensor<?x32xbf16>, tensor<?x32xbf16>, !cache, !qopt.batch) -> tensor<?x64xbf16>
  // CHECK: kernel.attention ins(%[[QR]], %[[CACHE]], %[[BATCH]]) outs(%[[A:.*]]) {layer = 0 : i64, num_heads = 4 : i64, scale = 2.500000e-01 : f64}
  %a = qopt.paged_attention %qr, %cache, %batch {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (tensor<?x64xbf16>, !cache, !qopt.batch) -> tensor<?x64xbf16>
  // CHECK: kernel.quantize ins(%[[A]]) outs(%{{.*}}, %{{.*}}) :
  %aq = qopt.quantize %a : (tensor<?x64xbf16>) -> tensor<?x64x!q8>
  // CHECK: kernel.gemm {{.*}} extras(%[[X]]) outs(%[[O:.*]]) epilogue
  %wo = qopt.weight @o {kernel.layout = #layout} : tensor<64x64x!qopt.q<i8, per_channel, scale = f32>>
  %o = qopt.linear %aq, %wo residual(%x)
    : (tensor<?x64x!q8>, tensor<64x64x!qopt.q<i8, per_channel, scale = f32>>, tensor<?x64xbf16>) -> tensor<?x64xbf16>
  // CHECK: kernel.elementwise ins(%[[O]], %[[O]]) outs(%{{.*}}, %{{.*}}) body {
  // CHECK-NEXT: ^bb0(%[[G0:.*]]: bf16, %[[U0:.*]]: bf16):
  // CHECK: math.exp
  // CHECK: arith.divf
  // CHECK: %[[M:.*]] = arith.truncf %{{.*}} : f32 to bf16
  // CHECK: %[[R:.*]] = arith.extf %[[M]] : bf16 to f32
  // CHECK: kernel.yield %[[R]] : f32
  %s = qopt.silu_mul %o, %o : (tensor<?x64xbf16>, tensor<?x64xbf16>) -> tensor<?x64x!q8>
  // CHECK: kernel.gemm
  %d = qopt.linear %s, %wo
    : (tensor<?x64x!q8>, tensor<64x64x!qopt.q<i8, per_channel, scale = f32>>) -> tensor<?x64xbf16>
  // CHECK: kernel.elementwise ins(%[[O]], %{{.*}}) outs(%[[Z:.*]]) body {
  // CHECK: arith.addf
  %z = qopt.add %o, %d : tensor<?x64xbf16>
  // CHECK: %[[ROWS:.*]] = kernel.input logit_rows
  // CHECK: %[[LAST:.*]] = kernel.alloc rows = logit_rows : memref<?x64xbf16>
  // CHECK: kernel.gather ins(%[[Z]], %[[ROWS]]) outs(%[[LAST]])
  // CHECK: %[[L:.*]] = kernel.alloc rows = logit_rows : memref<?x128xf32>
  // CHECK: kernel.gemm ins(%[[LAST]], %[[TABLE]]) outs(%[[L]]) rows = logit_rows epilogue {
  // CHECK-NEXT: ^bb0(%[[F:.*]]: f32):
  // CHECK-NEXT: kernel.yield %[[F]] : f32
  // CHECK: kernel.output %[[L]]
  %l = qopt.logits %z, %table batch(%batch) : (tensor<?x64xbf16>, tensor<128x64xbf16>, !qopt.batch) -> tensor<?x128xf32>
  return %l : tensor<?x128xf32>
}

// -----

// The rows whose logits are wanted are copied out of a view, too.
#layout = #kernel.layout<tiled, tile_n = 32, k_pack = 2>
!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>

func.func @forward(%tokens: tensor<?xi32>, %batch: !qopt.batch, %cache: !cache) -> tensor<?x128xf32> {
  // CHECK: kernel.embedding {{.*}} outs(%[[X:.*]]) :
  %table = qopt.weight @embed {kernel.layout = #layout} : tensor<128x64xbf16>
  %x = qopt.embedding %tokens, %table : (tensor<?xi32>, tensor<128x64xbf16>) -> tensor<?x64xbf16>
  // CHECK: %[[VIEW:.*]] = kernel.slice %[[X]]
  %v = qopt.slice %x {offset = 32 : i64} : (tensor<?x64xbf16>) -> tensor<?x32xbf16>
  %w = qopt.weight @head {kernel.layout = #layout} : tensor<128x32xbf16>
  // CHECK: %[[WANTED:.*]] = kernel.alloc rows = logit_rows : memref<?x32xbf16>
  // CHECK: kernel.gather ins(%[[VIEW]], %{{.*}}) outs(%[[WANTED]])
  %l = qopt.logits %v, %w batch(%batch) : (tensor<?x32xbf16>, tensor<128x32xbf16>, !qopt.batch) -> tensor<?x128xf32>
  return %l : tensor<?x128xf32>
}
