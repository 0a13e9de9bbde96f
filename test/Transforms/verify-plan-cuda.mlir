// Grids, tensor maps and splits, which only a GPU's launches have.
// RUN: qopt-opt %s --split-input-file --verify-diagnostics --kernel-verify-plan="target=cuda:sm_90a"

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @gemm max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{k_stage = 64 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 8 : i64, wgmma = 0 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_cluster_channels max_tokens = 64 max_logit_rows = 64 arena_bytes = 16384 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 8192 : i64} : !x
  // expected-error @+1 {{has no CUDA kernel for its schedule: clusters need whole blocks of channels}}
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{cluster = 2 : i64, k_stage = 64 : i64, stages = 2 : i64, tile_n = 64 : i64, tile_t = 64 : i64, wgmma = 1 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_cluster_size max_tokens = 64 max_logit_rows = 64 arena_bytes = 16384 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 8192 : i64} : !x
  // expected-error @+1 {{has no CUDA kernel for its schedule: a cluster has 1 or 2 blocks}}
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{cluster = 3 : i64, k_stage = 64 : i64, stages = 2 : i64, tile_n = 64 : i64, tile_t = 64 : i64, wgmma = 1 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_cluster_tokens max_tokens = 64 max_logit_rows = 64 arena_bytes = 16384 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 8192 : i64} : !x
  // expected-error @+1 {{has no CUDA kernel for its schedule: blocks of a cluster share the tokens of wgmma, in eights}}
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{cluster = 2 : i64, k_stage = 64 : i64, stages = 2 : i64, tile_n = 64 : i64, tile_t = 8 : i64, wgmma = 1 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_schedule max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has no CUDA kernel for its schedule: tile_n must be 16, 32 or a multiple of 64}}
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{k_stage = 64 : i64, stages = 2 : i64, tile_n = 24 : i64, tile_t = 8 : i64, wgmma = 0 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_no_tiles max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has a schedule without tile_n, tile_t or k_stage}}
  kernel.gemm ins(%a, %w) outs(%b) attributes {schedule = #kernel.schedule<{stages = 2 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !x) -> ()
}

// -----

// Rows of 144 bytes can be copied, from a column that is not at 16 bytes they can't.
!x = memref<?x72xbf16>
!y = memref<?x64xbf16>
!s = memref<?x64xbf16, strided<[72, 1], offset: 4>>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>
!e = !kernel.packed<tensor<64x72xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_map max_tokens = 4 max_logit_rows = 4 arena_bytes = 2048 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %e = kernel.weight @e : !e
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %e) outs(%a) : (memref<?xi32>, !e, !x) -> ()
  %s = kernel.slice %a {offset = 4 : i64} : !x to !s
  %b = kernel.alloc {offset = 640 : i64} : !y
  // expected-error @+1 {{maps rows of buffer 'memref<?x72xbf16>' every 144 bytes from byte 8, expected multiples of 16}}
  kernel.gemm ins(%s, %w) outs(%b) attributes {schedule = #kernel.schedule<{k_stage = 64 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 8 : i64, wgmma = 0 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!s, !w, !y) -> ()
}

// -----

// A prologue reads its rows without a map, in pieces of 16 bytes too.
!x = memref<?x72xbf16>
!y = memref<?x64xbf16>
!s = memref<?x64xbf16, strided<[72, 1], offset: 4>>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>
!e = !kernel.packed<tensor<64x72xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_prologue_rows kind = decode max_tokens = 1 max_logit_rows = 1 arena_bytes = 2048 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %e = kernel.weight @e : !e
  %n = kernel.weight @n : memref<64xbf16>
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %e) outs(%a) : (memref<?xi32>, !e, !x) -> ()
  %s = kernel.slice %a {offset = 4 : i64} : !x to !s
  %b = kernel.alloc {offset = 640 : i64} : !y
  // expected-error @+1 {{has a prologue that reads rows every 72 elements from element 4, expected multiples of 8}}
  kernel.gemm ins(%s, %w) norm(%n) outs(%b) attributes {eps = 1.0e-5 : f64, schedule = #kernel.schedule<{k_stage = 64 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 1 : i64, wgmma = 0 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!s, !w, memref<64xbf16>, !y) -> ()
}

// -----

!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_prologue_tokens kind = decode max_tokens = 16 max_logit_rows = 16 arena_bytes = 8192 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %n = kernel.weight @n : memref<64xbf16>
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 2048 : i64} : !x
  // expected-error @+1 {{has no CUDA kernel for its schedule: a prologue makes up to 8 tokens, which are not copied}}
  kernel.gemm ins(%a, %w) norm(%n) outs(%b) attributes {eps = 1.0e-5 : f64, schedule = #kernel.schedule<{k_stage = 64 : i64, stages = 2 : i64, tile_n = 16 : i64, tile_t = 16 : i64, wgmma = 0 : i64}, reason = "test">} epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, memref<64xbf16>, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @rope_attention kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %r = kernel.alloc {offset = 1024 : i64} : memref<?x64xf32>
  kernel.rotary_table ins(%batch) outs(%r) {rope = #qopt.rope<head_dim = 64, theta = 1.0e4 : f64, scaling = none>} : (!qopt.batch, memref<?x64xf32>) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  kernel.attention ins(%a, %cache, %batch) rope_append(%a, %a, %r) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{splits = 8 : i64, warps = 1 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x, !x, memref<?x64xf32>, !x) -> ()
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
  %r = kernel.alloc {offset = 1024 : i64} : memref<?x64xf32>
  kernel.rotary_table ins(%batch) outs(%r) {rope = #qopt.rope<head_dim = 64, theta = 1.0e4 : f64, scaling = none>} : (!qopt.batch, memref<?x64xf32>) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has 16 splits, expected at most 8, the blocks of a cluster}}
  kernel.attention ins(%a, %cache, %batch) rope_append(%a, %a, %r) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{splits = 16 : i64, warps = 1 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x, !x, memref<?x64xf32>, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_append_twice kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %r = kernel.alloc {offset = 1024 : i64} : memref<?x64xf32>
  kernel.rotary_table ins(%batch) outs(%r) {rope = #qopt.rope<head_dim = 64, theta = 1.0e4 : f64, scaling = none>} : (!qopt.batch, memref<?x64xf32>) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  kernel.kv_append ins(%a, %a, %cache, %batch) {layer = 0 : i64} : (!x, !x, !cache, !qopt.batch) -> ()
  // expected-error @+1 {{writes the keys and values of layer 0, which a launch before has written}}
  kernel.attention ins(%a, %cache, %batch) rope_append(%a, %a, %r) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{splits = 1 : i64, warps = 1 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x, !x, memref<?x64xf32>, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_append_late kind = decode max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %r = kernel.alloc {offset = 1024 : i64} : memref<?x64xf32>
  kernel.rotary_table ins(%batch) outs(%r) {rope = #qopt.rope<head_dim = 64, theta = 1.0e4 : f64, scaling = none>} : (!qopt.batch, memref<?x64xf32>) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{splits = 1 : i64, warps = 1 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
  // expected-error @+1 {{writes the keys and values of layer 0, which a launch before has read}}
  kernel.kv_append ins(%a, %a, %cache, %batch) {layer = 0 : i64} : (!x, !x, !cache, !qopt.batch) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_tiles max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has a grid of query tiles, which the plan doesn't have}}
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{warps = 4 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 1, head_dim = 64, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>
!w = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled>>

kernel.plan @negative_mixed_rows max_tokens = 4 max_logit_rows = 4 arena_bytes = 4096 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !w
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %w) outs(%a) : (memref<?xi32>, !w, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{has a block for each row, which only decode plans can have}}
  kernel.attention ins(%a, %cache, %batch) outs(%b)
    {layer = 0 : i64, num_heads = 1 : i64, scale = 0.125 : f64, schedule = #kernel.schedule<{splits = 1 : i64, warps = 4 : i64, stages = 2 : i64}, reason = "test">}
    : (!x, !cache, !qopt.batch, !x) -> ()
}
