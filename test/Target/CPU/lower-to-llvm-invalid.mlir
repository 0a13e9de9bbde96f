// RUN: qopt-opt %s -split-input-file -verify-diagnostics -kernel-lower-to-llvm="target=cpu:x86-64-v4"
// RUN: not qopt-opt %s -split-input-file -kernel-lower-to-llvm="target=cpu:8086" 2>&1 | FileCheck %s
// CHECK: unknown target 'cpu:8086', expected cpu, cpu:native, cpu:x86-64-v2, cpu:x86-64-v3, cpu:x86-64-v4 or cpu:znver4

!w = !kernel.packed<tensor<24x8xf32>, #kernel.layout<tiled, tile_n = 24, k_pack = 1>>
kernel.plan @negative_lanes max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x8xf32>
  %w = kernel.weight @w : !w
  %y = kernel.alloc : memref<?x24xf32>
  // expected-error @+1 {{weight '!kernel.packed<tensor<24x8xf32>, <tiled, tile_n = 24, k_pack = 1>>' has no kernel on cpu:x86-64-v4}}
  kernel.gemm ins(%x, %w) outs(%y) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x8xf32>, !w, memref<?x24xf32>) -> ()
}

// -----

!w = !kernel.packed<tensor<32x8xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 4>>
kernel.plan @negative_word max_tokens = 1 max_logit_rows = 1 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %y = kernel.alloc : memref<?x8xf32>
  // expected-error @+1 {{has no kernel on cpu:x86-64-v4}}
  kernel.embedding ins(%t, %w) outs(%y) : (memref<?xi32>, !w, memref<?x8xf32>) -> ()
}

// -----

!w = !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
kernel.plan @negative_prologue max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %n = kernel.weight @n : memref<64xbf16>
  %w = kernel.weight @w : !w
  %y = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{prologue has no kernel on cpu:x86-64-v4}}
  kernel.gemm ins(%x, %w) norm(%n) outs(%y) attributes {eps = 1.0e-5 : f64} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !w, memref<64xbf16>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @negative_output max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x8xf32>
  %w = kernel.weight @w : memref<8xf32>
  %y = kernel.alloc : memref<?x8xf16>
  // expected-error @+1 {{output of 'f16' has no kernel, expected f32 or bf16}}
  kernel.norm ins(%x, %w) outs(%y) {eps = 1.0e-5 : f64} : (memref<?x8xf32>, memref<8xf32>, memref<?x8xf16>) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 8, page_tokens = 16, type = f16>
kernel.plan @negative_cache max_tokens = 1 max_logit_rows = 1 {
  %k = kernel.alloc : memref<?x8xf32>
  %cache = kernel.cache : !cache
  %batch = kernel.batch : !qopt.batch
  // expected-error @+1 {{cache of 'f16' has no kernel, expected f32 or bf16}}
  kernel.kv_append ins(%k, %k, %cache, %batch) {layer = 0 : i64} : (memref<?x8xf32>, memref<?x8xf32>, !cache, !qopt.batch) -> ()
}

// -----

kernel.plan @negative_operation max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x8xf32>
  kernel.elementwise ins(%x) outs(%x) body {
  ^bb0(%a: f32):
    // expected-error @+1 {{has no vector code for the CPU}}
    %0 = math.tanh %a : f32
    kernel.yield %0 : f32
  } : (memref<?x8xf32>, memref<?x8xf32>) -> ()
}

// -----

kernel.plan @negative_result max_tokens = 1 max_logit_rows = 1 {
  %y = kernel.alloc : memref<?x8xf32>
  kernel.elementwise ins(%y) outs(%y) body {
  ^bb0(%a: f32):
    %c = arith.constant 1.0 : f32
    // expected-error @+1 {{has a result of 'f64', expected f32 or bf16}}
    %0 = arith.extf %a : f32 to f64
    kernel.yield %c : f32
  } : (memref<?x8xf32>, memref<?x8xf32>) -> ()
}

// -----

kernel.plan @negative_input max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x8xi32>
  %w = kernel.weight @w : memref<8xf32>
  %y = kernel.alloc : memref<?x8xf32>
  // expected-error @+1 {{input of 'i32' has no kernel, expected f32, bf16, f16 or f8E4M3FN}}
  kernel.norm ins(%x, %w) outs(%y) {eps = 1.0e-5 : f64} : (memref<?x8xi32>, memref<8xf32>, memref<?x8xf32>) -> ()
}

// -----

kernel.plan @negative_copy max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x8xf32>
  %i = kernel.input logit_rows : memref<?xi32>
  %y = kernel.alloc : memref<?x8xbf16>
  // expected-error @+1 {{copies 'f32' to 'bf16', expected the same type}}
  kernel.gather ins(%x, %i) outs(%y) : (memref<?x8xf32>, memref<?xi32>, memref<?x8xbf16>) -> ()
}
