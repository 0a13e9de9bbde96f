// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// RUN: qopt-opt %s --mlir-print-op-generic | qopt-opt | FileCheck %s

#rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>
#tiled = #kernel.layout<tiled, tile_n = 32, k_pack = 2>
!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
!table = !kernel.packed<tensor<512x64xbf16>, #tiled>
!wide = !kernel.packed<tensor<128x64x!qopt.q<i4, group = 32, scale = bf16>>, #kernel.layout<tiled, tile_n = 32, k_pack = 8>>
!square = !kernel.packed<tensor<64x64x!qopt.q<i8, per_channel, scale = f32>>, #kernel.layout<row_major>>

// CHECK-LABEL: kernel.plan @step max_tokens = 16 max_logit_rows = 8 arena_bytes = 8192 {
kernel.plan @step max_tokens = 16 max_logit_rows = 8 arena_bytes = 8192 {
  // CHECK: kernel.input tokens : memref<?xi32>
  %tokens = kernel.input tokens : memref<?xi32>
  // CHECK: kernel.input logit_rows : memref<?xi32>
  %rows = kernel.input logit_rows : memref<?xi32>
  // CHECK: kernel.batch : !qopt.batch
  %batch = kernel.batch : !qopt.batch
  // CHECK: kernel.cache : <layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %cache = kernel.cache : !cache
  // CHECK: kernel.weight @embed : !kernel.packed<tensor<512x64xbf16>, <tiled, tile_n = 32, k_pack = 2>>
  %table = kernel.weight @embed : !table
  // CHECK: kernel.weight @q, @k, @v : !kernel.packed<tensor<128x64x!qopt.q<i4, group = 32, scale = bf16>>, <tiled, tile_n = 32, k_pack = 8>>
  %wqkv = kernel.weight @q, @k, @v : !wide
  // CHECK: kernel.weight @o : !kernel.packed<tensor<64x64x!qopt.q<i8, per_channel, scale = f32>>, <row_major>>
  %wo = kernel.weight @o : !square
  // CHECK: kernel.weight @norm : memref<64xbf16>
  %norm = kernel.weight @norm : memref<64xbf16>

  // CHECK: kernel.alloc {offset = 4096 : i64} : memref<?x64xbf16>
  %x = kernel.alloc {offset = 4096 : i64} : memref<?x64xbf16>
  // CHECK: kernel.embedding ins(%{{.*}}, %{{.*}}) outs(%{{.*}}) :
  kernel.embedding ins(%tokens, %table) outs(%x) : (memref<?xi32>, !table, memref<?x64xbf16>) -> ()
  %n = kernel.alloc : memref<?x64xbf16>
  // CHECK: kernel.norm ins(%{{.*}}, %{{.*}}) outs(%{{.*}}) {eps = 1.000000e-05 : f64} :
  kernel.norm ins(%x, %norm) outs(%n) {eps = 1.0e-5 : f64}
    : (memref<?x64xbf16>, memref<64xbf16>, memref<?x64xbf16>) -> ()

  %qkv = kernel.alloc : memref<?x128xbf16>
  // CHECK: kernel.gemm ins(%{{.*}}, %{{.*}}) outs(%{{.*}}) attributes {schedule = #kernel.schedule<{tile_m = 4 : i64}, reason = "fits", rejected = ["tile_m = 8: does not"]>} epilogue {
  // CHECK-NEXT: ^bb0(%{{.*}}: f32):
  // CHECK: kernel.yield %{{.*}} : bf16
  kernel.gemm ins(%n, %wqkv) outs(%qkv)
      attributes {schedule = #kernel.schedule<{tile_m = 4 : i64}, reason = "fits", rejected = ["tile_m = 8: does not"]>}
      epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x64xbf16>, !wide, memref<?x128xbf16>) -> ()
  // CHECK: kernel.gemm ins(%{{.*}}, %{{.*}}) norm(%{{.*}}) outs(%{{.*}}) attributes {eps = 1.000000e-05 : f64} epilogue {
  kernel.gemm ins(%x, %wqkv) norm(%norm) outs(%qkv) attributes {eps = 1.0e-5 : f64} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x64xbf16>, !wide, memref<64xbf16>, memref<?x128xbf16>) -> ()
  // CHECK: kernel.slice %{{.*}} {offset = 64 : i64} : memref<?x128xbf16> to memref<?x32xbf16, strided<[128, 1], offset: 64>>
  %q = kernel.slice %qkv {offset = 0 : i64} : memref<?x128xbf16> to memref<?x64xbf16, strided<[128, 1]>>
  %k = kernel.slice %qkv {offset = 64 : i64} : memref<?x128xbf16> to memref<?x32xbf16, strided<[128, 1], offset: 64>>
  %v = kernel.slice %qkv {offset = 96 : i64} : memref<?x128xbf16> to memref<?x32xbf16, strided<[128, 1], offset: 96>>

  %angles = kernel.alloc : memref<?x16xf32>
  // CHECK: kernel.rotary_table ins(%{{.*}}) outs(%{{.*}}) {rope = #qopt.rope<
  kernel.rotary_table ins(%batch) outs(%angles) {rope = #rope} : (!qopt.batch, memref<?x16xf32>) -> ()
  %kr = kernel.alloc : memref<?x32xbf16>
  // CHECK: kernel.rope ins(%{{.*}}, %{{.*}}) outs(%{{.*}}) :
  kernel.rope ins(%k, %angles) outs(%kr)
    : (memref<?x32xbf16, strided<[128, 1], offset: 64>>, memref<?x16xf32>, memref<?x32xbf16>) -> ()
  // CHECK: kernel.kv_append ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {layer = 0 : i64} :
  kernel.kv_append ins(%kr, %v, %cache, %batch) {layer = 0 : i64}
    : (memref<?x32xbf16>, memref<?x32xbf16, strided<[128, 1], offset: 96>>, !cache, !qopt.batch) -> ()
  %qr = kernel.alloc : memref<?x64xbf16>
  // CHECK: kernel.rope_append ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) outs(%{{.*}}) {layer = 0 : i64} :
  kernel.rope_append ins(%q, %k, %v, %angles, %cache, %batch) outs(%qr) {layer = 0 : i64}
    : (memref<?x64xbf16, strided<[128, 1]>>, memref<?x32xbf16, strided<[128, 1], offset: 64>>,
       memref<?x32xbf16, strided<[128, 1], offset: 96>>, memref<?x16xf32>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()
  %a = kernel.alloc : memref<?x64xbf16>
  // CHECK: kernel.attention ins(%{{.*}}, %{{.*}}, %{{.*}}) outs(%{{.*}}) {entry = @attention_0, layer = 0 : i64, num_heads = 4 : i64, scale = 2.500000e-01 : f64} :
  kernel.attention ins(%qr, %cache, %batch) outs(%a)
    {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64, entry = @attention_0}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x64xbf16>) -> ()

  %codes = kernel.alloc : memref<?x64xi8>
  %scales = kernel.alloc : memref<?xf32>
  // CHECK: kernel.quantize ins(%{{.*}}) outs(%{{.*}}, %{{.*}}) :
  kernel.quantize ins(%a) outs(%codes, %scales) : (memref<?x64xbf16>, memref<?x64xi8>, memref<?xf32>) -> ()
  %o = kernel.alloc : memref<?x64xbf16>
  // CHECK: kernel.gemm ins(%{{.*}} scales %{{.*}}, %{{.*}}) extras(%{{.*}}) outs(%{{.*}}) epilogue {
  kernel.gemm ins(%codes scales %scales, %wo) extras(%x) outs(%o) epilogue {
  ^bb0(%acc: f32, %r: bf16):
    %0 = arith.extf %r : bf16 to f32
    %1 = arith.addf %acc, %0 : f32
    %2 = arith.truncf %1 : f32 to bf16
    kernel.yield %2 : bf16
  } : (memref<?x64xi8>, memref<?xf32>, !square, memref<?x64xbf16>, memref<?x64xbf16>) -> ()
  // CHECK: kernel.elementwise ins(%{{.*}}, %{{.*}}) outs(%{{.*}}, %{{.*}}) body {
  kernel.elementwise ins(%o, %x) outs(%codes, %scales) body {
  ^bb0(%l: bf16, %r: bf16):
    %0 = arith.addf %l, %r : bf16
    %1 = arith.extf %0 : bf16 to f32
    kernel.yield %1 : f32
  } : (memref<?x64xbf16>, memref<?x64xbf16>, memref<?x64xi8>, memref<?xf32>) -> ()

  // CHECK: kernel.gemm ins(%{{.*}}, %{{.*}}) quantize extras(%{{.*}}) outs(%{{.*}}) epilogue {
  kernel.gemm ins(%a, %wo) quantize extras(%x) outs(%o) epilogue {
  ^bb0(%acc: f32, %r: bf16):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x64xbf16>, !square, memref<?x64xbf16>, memref<?x64xbf16>) -> ()

  // CHECK: kernel.alloc rows = logit_rows : memref<?x64xbf16>
  %last = kernel.alloc rows = logit_rows : memref<?x64xbf16>
  // CHECK: kernel.gather ins(%{{.*}}, %{{.*}}) outs(%{{.*}}) :
  kernel.gather ins(%o, %rows) outs(%last) : (memref<?x64xbf16>, memref<?xi32>, memref<?x64xbf16>) -> ()
  // CHECK: kernel.alloc rows = logit_rows {offset = 0 : i64} : memref<?x512xf32>
  %logits = kernel.alloc rows = logit_rows {offset = 0 : i64} : memref<?x512xf32>
  // CHECK: kernel.gemm ins(%{{.*}}, %{{.*}}) outs(%{{.*}}) rows = logit_rows epilogue {
  kernel.gemm ins(%last, %table) outs(%logits) rows = logit_rows epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !table, memref<?x512xf32>) -> ()
  // CHECK: kernel.output %{{.*}} : memref<?x512xf32>
  kernel.output %logits : memref<?x512xf32>

  // CHECK: %[[SAMPLING:.*]] = kernel.input sampling : memref<?x14xi32>
  %sampling = kernel.input sampling : memref<?x14xi32>
  %chosen = kernel.alloc rows = logit_rows : memref<?xi32>
  %logprobs = kernel.alloc rows = logit_rows : memref<?xf32>
  // CHECK: kernel.sample ins(%{{.*}}, %[[SAMPLING]]) outs(%[[TOKENS:.*]], %[[LOGPROBS:.*]]) : (memref<?x512xf32>, memref<?x14xi32>, memref<?xi32>, memref<?xf32>) -> ()
  kernel.sample ins(%logits, %sampling) outs(%chosen, %logprobs)
    : (memref<?x512xf32>, memref<?x14xi32>, memref<?xi32>, memref<?xf32>) -> ()
  // CHECK: kernel.output %{{.*}} sampled(%[[TOKENS]], %[[LOGPROBS]] : memref<?xi32>, memref<?xf32>) : memref<?x512xf32>
  kernel.output %logits sampled(%chosen, %logprobs : memref<?xi32>, memref<?xf32>) : memref<?x512xf32>
}

!pair = !kernel.packed<tensor<64x64x!qopt.q<i4, group = 32, scale = bf16>>, #kernel.layout<fragment, interleave = 1>>
// CHECK-LABEL: kernel.plan @decode kind = decode max_tokens = 4 max_logit_rows = 4 {
kernel.plan @decode kind = decode max_tokens = 4 max_logit_rows = 4 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  // CHECK: kernel.weight @gate, @up : !kernel.packed<{{.*}}, <fragment, interleave = 1>>
  %w = kernel.weight @gate, @up : !pair
  %x = kernel.alloc : memref<?x64xbf16>
  %y = kernel.alloc : memref<?x32xbf16>
  // CHECK: kernel.gemm ins(%{{.*}}, %{{.*}}) outs(%{{.*}}) epilogue {
  // CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f32):
  kernel.gemm ins(%x, %w) outs(%y) epilogue {
  ^bb0(%g: f32, %u: f32):
    %0 = arith.mulf %g, %u : f32
    %1 = arith.truncf %0 : f32 to bf16
    kernel.yield %1 : bf16
  } : (memref<?x64xbf16>, !pair, memref<?x32xbf16>) -> ()
  // CHECK: kernel.alloc persistent {offset = 0 : i64} : memref<?x2xi32>
  %t = kernel.alloc persistent {offset = 0 : i64} : memref<?x2xi32>
  %r = kernel.alloc : memref<?x16xf32>
  // CHECK: kernel.attention ins(%{{.*}}, %{{.*}}, %{{.*}}) rope_append(%{{.*}}, %{{.*}}, %{{.*}}) outs(%{{.*}}) {layer = 0
  kernel.attention ins(%x, %cache, %batch) rope_append(%y, %y, %r) outs(%x) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x32xbf16>, memref<?x32xbf16>, memref<?x16xf32>, memref<?x64xbf16>) -> ()
}

// CHECK-LABEL: kernel.plan @mixed max_tokens = 64 max_logit_rows = 8 query_tile = 21 arena_bytes = 64 {
kernel.plan @mixed max_tokens = 64 max_logit_rows = 8 query_tile = 21 arena_bytes = 64 {
}
