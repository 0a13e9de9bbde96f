// RUN: qopt-opt %s --split-input-file --verify-diagnostics --kernel-verify-plan="target=cuda:sm_90a"

!cache = !qopt.kv_cache<layers = 2, kv_heads = 1, head_dim = 16, page_tokens = 64, type = bf16>
!x = memref<?x64xbf16>

// Where all is well: buffers side by side, and in each other's bytes when their time is over.
kernel.plan @right max_tokens = 4 max_logit_rows = 2 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %rows = kernel.input logit_rows : memref<?xi32>
  %e = kernel.weight @e : !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>
  %w = kernel.weight @w : memref<64xbf16>
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %e) outs(%a) : (memref<?xi32>, !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>, !x) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  kernel.norm ins(%a, %w) outs(%b) {eps = 1.0e-5 : f64} : (!x, memref<64xbf16>, !x) -> ()
  %c = kernel.alloc rows = logit_rows {offset = 0 : i64} : !x
  kernel.gather ins(%b, %rows) outs(%c) : (!x, memref<?xi32>, !x) -> ()
}

// -----

!x = memref<?x64xbf16>

kernel.plan @negative_no_offset max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  // expected-error @+1 {{has no offset: kernel-plan-memory must run first}}
  %a = kernel.alloc : !x
}

// -----

!x = memref<?x64xbf16>

kernel.plan @negative_alignment max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  // expected-error @+1 {{has offset 32, expected a multiple of 64 bytes}}
  %a = kernel.alloc {offset = 32 : i64} : !x
}

// -----

!x = memref<?x64xbf16>

kernel.plan @negative_outside max_tokens = 4 max_logit_rows = 4 arena_bytes = 1000 {
  // expected-error @+1 {{ends at byte 1024 of an arena of 1000}}
  %a = kernel.alloc {offset = 512 : i64} : !x
}

// -----

!x = memref<?x64xbf16>

kernel.plan @negative_never_written max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %w = kernel.weight @w : memref<64xbf16>
  %a = kernel.alloc {offset = 0 : i64} : !x
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{reads columns [0, 64) of buffer %1 : memref<?x64xbf16> at bytes [0, 512), which no launch before has written}}
  kernel.norm ins(%a, %w) outs(%b) {eps = 1.0e-5 : f64} : (!x, memref<64xbf16>, !x) -> ()
}

// -----

!x = memref<?x64xbf16>
!half = memref<?x32xbf16, strided<[64, 1], offset: 32>>

// One half of the columns is written, the other is read.
kernel.plan @negative_other_columns max_tokens = 4 max_logit_rows = 4 arena_bytes = 2048 {
  %t = kernel.input tokens : memref<?xi32>
  %e = kernel.weight @e : !kernel.packed<tensor<128x32xbf16>, #kernel.layout<swizzled>>
  %w = kernel.weight @w : memref<64xbf16>
  %a = kernel.alloc {offset = 0 : i64} : !x
  %half = kernel.slice %a {offset = 32 : i64} : !x to !half
  kernel.embedding ins(%t, %e) outs(%half) : (memref<?xi32>, !kernel.packed<tensor<128x32xbf16>, #kernel.layout<swizzled>>, !half) -> ()
  %b = kernel.alloc {offset = 512 : i64} : !x
  // expected-error @+1 {{reads columns [0, 64) of buffer}}
  kernel.norm ins(%a, %w) outs(%b) {eps = 1.0e-5 : f64} : (!x, memref<64xbf16>, !x) -> ()
}

// -----

kernel.plan @negative_output max_tokens = 4 max_logit_rows = 4 arena_bytes = 2048 {
  %l = kernel.alloc rows = logit_rows {offset = 0 : i64} : memref<?x64xf32>
  // expected-error @+1 {{reads columns [0, 64) of buffer %0}}
  kernel.output %l : memref<?x64xf32>
}

// -----

!x = memref<?x64xbf16>

kernel.plan @negative_overlap max_tokens = 4 max_logit_rows = 4 arena_bytes = 1024 {
  %t = kernel.input tokens : memref<?xi32>
  %e = kernel.weight @e : !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>
  %w = kernel.weight @w : memref<64xbf16>
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %e) outs(%a) : (memref<?xi32>, !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>, !x) -> ()
  %b = kernel.alloc {offset = 448 : i64} : !x
  // expected-error @+1 {{uses buffer %4 : memref<?x64xbf16> at bytes [448, 960), which overlaps buffer %3 : memref<?x64xbf16> at bytes [0, 512) that is still in use}}
  kernel.norm ins(%a, %w) outs(%b) {eps = 1.0e-5 : f64} : (!x, memref<64xbf16>, !x) -> ()
}

// -----

!x = memref<?x64xbf16>

// The tokens' rows would stay unwritten.
kernel.plan @negative_rows max_tokens = 4 max_logit_rows = 2 arena_bytes = 2048 {
  %t = kernel.input tokens : memref<?xi32>
  %e = kernel.weight @e : !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>
  %w = kernel.weight @w : memref<64xbf16>
  %a = kernel.alloc {offset = 0 : i64} : !x
  kernel.embedding ins(%t, %e) outs(%a) : (memref<?xi32>, !kernel.packed<tensor<128x64xbf16>, #kernel.layout<swizzled>>, !x) -> ()
  %b = kernel.alloc rows = logit_rows {offset = 512 : i64} : !x
  // expected-error @+1 {{has rows of tokens, but a buffer 'memref<?x64xbf16>' of logit_rows}}
  kernel.norm ins(%a, %w) outs(%b) {eps = 1.0e-5 : f64} : (!x, memref<64xbf16>, !x) -> ()
}
