// What a plan for sm_80 may take: portable kernels, and nothing that is Hopper's.
// RUN: qopt-opt %s --split-input-file --verify-diagnostics --kernel-verify-plan="target=cuda:sm_80"

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @gemm max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{k_stage = 64 : i64, portable = 1 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 8 : i64, warp_n = 16 : i64, warp_t = 8 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_hopper max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has a schedule of Hopper's kernels, expected portable = 1}}
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{k_stage = 64 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 8 : i64, wgmma = 0 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_warps max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has no CUDA kernel for its schedule: a block must have whole warps of channels and of tokens}}
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{k_stage = 64 : i64, portable = 1 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 8 : i64, warp_n = 16 : i64, warp_t = 16 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_shared_bytes max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has no CUDA kernel for its schedule: a block has 101,376 bytes of shared memory}}
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{k_stage = 64 : i64, portable = 1 : i64, stages = 40 : i64, tile_n = 16 : i64, tile_t = 8 : i64, warp_n = 16 : i64, warp_t = 8 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_prologue kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %n = kernel.weight @n : memref<64xbf16>
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has no CUDA kernel for its schedule: portable kernels have no prologues}}
  kernel.gemm ins(%a, %w) norm(%n) outs(%b) attributes {eps = 1.0e-5 : f64, schedule = #kernel.schedule<{k_stage = 64 : i64, portable = 1 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 8 : i64, warp_n = 16 : i64, warp_t = 8 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, memref<64xbf16>, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @attention kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{portable = 1 : i64, splits = 1 : i64, warps = 4 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @query_tiles max_tokens = 4 max_logit_rows = 4 query_tile = 128 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{portable = 1 : i64, warps = 4 : i64, stages = 4 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_hopper_attention kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has a schedule of Hopper's kernels, expected portable = 1}}
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{splits = 1 : i64, warps = 4 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_splits kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has 2 splits, expected 1: portable kernels have no clusters}}
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{portable = 1 : i64, splits = 2 : i64, warps = 4 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_rope kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %r = kernel.alloc {offset = 1024 : i64} : memref<?x64xf32>
  kernel.rotary_table ins(%batch) outs(%r) {rope = #qopt.rope<head_dim = 64, theta = 1.0e4 : f64, scaling = none>} : (!qopt.batch, memref<?x64xf32>) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has a rope_append, which portable kernels lack}}
  kernel.attention ins(%a, %cache, %batch) rope_append(%a, %a, %r) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{portable = 1 : i64, splits = 1 : i64, warps = 4 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x, !x, memref<?x64xf32>, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 256, page_tokens = 64, type = bf16>
!x = memref<?x256xbf16>
!w = !kernel.packed<tensor<64x256xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_head_dim kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 2048 : i64} : !x
  // expected-error @+1 {{head_dim 256 has no portable CUDA kernel, expected at most 192, or target cuda:sm_90a}}
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{portable = 1 : i64, splits = 1 : i64, warps = 1 : i64, stages = 1 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_attention_bytes kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{bytes of shared memory, expected at most 101376}}
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{portable = 1 : i64, splits = 1 : i64, warps = 4 : i64, stages = 4 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_blocks max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %rows = kernel.input logit_rows : memref<?xi32>
  %sampling = kernel.input sampling : memref<?x14xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc rows = logit_rows {offset = 512 : i64} : !x
  kernel.gather ins(%a, %rows) outs(%b) : (!x, memref<?xi32>, !x) -> ()
  %logits = kernel.alloc rows = logit_rows {offset = 1024 : i64} : memref<?x64xf32>
  kernel.gemm ins(%b, %w) outs(%logits) rows = logit_rows attributes {schedule = #kernel.schedule<{k_stage = 64 : i64, portable = 1 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 8 : i64, warp_n = 16 : i64, warp_t = 8 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (!x, !w, memref<?x64xf32>) -> ()
  %tokens = kernel.alloc rows = logit_rows {offset = 2048 : i64} : memref<?xi32>
  %logprobs = kernel.alloc rows = logit_rows {offset = 2112 : i64} : memref<?xf32>
  // expected-error @+1 {{has 8 blocks a row, expected 1: portable kernels have no clusters}}
  kernel.sample ins(%logits, %sampling) outs(%tokens, %logprobs) {schedule = #kernel.schedule<{blocks = 8 : i64}, reason = "test">}
    : (memref<?x64xf32>, memref<?x14xi32>, memref<?xi32>, memref<?xf32>) -> ()
}
