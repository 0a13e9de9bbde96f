// RUN: qopt-opt %s --split-input-file --verify-diagnostics

// -----

// expected-error @+1 {{row_major layout has no tile_n or k_pack}}
func.func private @layout_row_major() attributes {a = #kernel.layout<row_major, tile_n = 16, k_pack = 2>}

// -----

// expected-error @+1 {{tiled layout needs a positive tile_n and k_pack}}
func.func private @layout_tiled() attributes {a = #kernel.layout<tiled, tile_n = 16>}

// -----

// expected-error @+1 {{packed tensor must have a static shape of rank 2, found}}
func.func private @packed_rank(!kernel.packed<tensor<64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>)

// -----

// expected-error @+1 {{packed tensor must have a static shape of rank 2, found}}
func.func private @packed_dynamic(!kernel.packed<tensor<?x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>)

// -----

// expected-error @+1 {{packed tensor must have elements, found}}
func.func private @packed_empty(!kernel.packed<tensor<64x0xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>)

// -----

// expected-error @+1 {{group size 32 does not divide K = 48}}
func.func private @packed_groups(!kernel.packed<tensor<64x48x!qopt.q<i4, group = 32, scale = f16>>, #kernel.layout<tiled, tile_n = 32, k_pack = 8>>)

// -----

// expected-error @+1 {{max_tokens and max_logit_rows must be positive}}
kernel.plan @plan_tokens max_tokens = -1 max_logit_rows = 1 {
}

// -----

// expected-error @+1 {{max_logit_rows 2 exceeds max_tokens 1}}
kernel.plan @plan_logit_rows max_tokens = 1 max_logit_rows = 2 {
}

// -----

// expected-error @+1 {{arena_bytes must not be negative, found -1}}
kernel.plan @plan_arena max_tokens = 1 max_logit_rows = 1 arena_bytes = -1 {
}

// -----

kernel.plan @alloc_static max_tokens = 1 max_logit_rows = 1 {
  // expected-error @+1 {{expected contiguous rows of a static size, found}}
  %x = kernel.alloc : memref<4x64xf32>
}

// -----

kernel.plan @alloc_dynamic_columns max_tokens = 1 max_logit_rows = 1 {
  // expected-error @+1 {{expected contiguous rows of a static size, found}}
  %x = kernel.alloc : memref<?x?xf32>
}

// -----

kernel.plan @alloc_strided max_tokens = 1 max_logit_rows = 1 {
  // expected-error @+1 {{expected contiguous rows of a static size, found}}
  %x = kernel.alloc : memref<?x64xf32, strided<[128, 1]>>
}

// -----

kernel.plan @alloc_element max_tokens = 1 max_logit_rows = 1 {
  // expected-error @+1 {{must be 1D/2D memref of}}
  %x = kernel.alloc : memref<?x64xf64>
}

// -----

kernel.plan @slice_of_vector max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?xf32>
  // expected-error @+1 {{input must be a contiguous buffer of rank 2, found}}
  %y = kernel.slice %x {offset = 0 : i64} : memref<?xf32> to memref<?xf32>
}

// -----

kernel.plan @slice_element max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{input and result must have the same element type}}
  %y = kernel.slice %x {offset = 0 : i64} : memref<?x64xf32> to memref<?x32xbf16, strided<[64, 1]>>
}

// -----

kernel.plan @slice_columns max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{columns [48, 80) are outside of the input's 64}}
  %y = kernel.slice %x {offset = 48 : i64} : memref<?x64xf32> to memref<?x32xf32, strided<[64, 1], offset: 48>>
}

// -----

kernel.plan @slice_layout max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{result has layout strided<[64, 1], offset: 8>, expected strided<[64, 1], offset: 16>}}
  %y = kernel.slice %x {offset = 16 : i64} : memref<?x64xf32> to memref<?x32xf32, strided<[64, 1], offset: 8>>
}

// -----

kernel.plan @output_type max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  // expected-error @+1 {{logits must be memref<?xNxf32>, found}}
  kernel.output %x : memref<?x64xbf16>
}

// -----

kernel.plan @embedding_tokens max_tokens = 1 max_logit_rows = 1 {
  %t = kernel.alloc : memref<?xf32>
  %w = kernel.weight @w : !kernel.packed<tensor<8x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x64xbf16>
  // expected-error @+1 {{tokens must be memref<?xi32>, found}}
  kernel.embedding ins(%t, %w) outs(%y0) : (memref<?xf32>, !kernel.packed<tensor<8x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x64xbf16>) -> ()
}

// -----

kernel.plan @embedding_outputs max_tokens = 1 max_logit_rows = 1 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !kernel.packed<tensor<8x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x64xbf16>
  %y1 = kernel.alloc : memref<?x64xbf16>
  // expected-error @+1 {{has 2 outputs, expected 1}}
  kernel.embedding ins(%t, %w) outs(%y0, %y1) : (memref<?xi32>, !kernel.packed<tensor<8x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x64xbf16>, memref<?x64xbf16>) -> ()
}

// -----

kernel.plan @embedding_columns max_tokens = 1 max_logit_rows = 1 {
  %t = kernel.input tokens : memref<?xi32>
  %w = kernel.weight @w : !kernel.packed<tensor<8x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xbf16>
  // expected-error @+1 {{output has 32 columns, expected 64}}
  kernel.embedding ins(%t, %w) outs(%y0) : (memref<?xi32>, !kernel.packed<tensor<8x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xbf16>) -> ()
}

// -----

kernel.plan @norm_weight max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : memref<32xbf16>
  %y0 = kernel.alloc : memref<?x64xbf16>
  // expected-error @+1 {{weight has 32 columns, expected 64}}
  kernel.norm ins(%x, %w) outs(%y0) {eps = 1.0e-5 : f64} : (memref<?x64xbf16>, memref<32xbf16>, memref<?x64xbf16>) -> ()
}

// -----

kernel.plan @norm_outputs max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : memref<64xbf16>
  %y0 = kernel.alloc : memref<?x64xbf16>
  %y1 = kernel.alloc : memref<?x64xbf16>
  %y2 = kernel.alloc : memref<?x64xbf16>
  // expected-error @+1 {{has 3 outputs, expected 1, or 2 for codes and scales}}
  kernel.norm ins(%x, %w) outs(%y0, %y1, %y2) {eps = 1.0e-5 : f64} : (memref<?x64xbf16>, memref<64xbf16>, memref<?x64xbf16>, memref<?x64xbf16>, memref<?x64xbf16>) -> ()
}

// -----

kernel.plan @norm_columns max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : memref<64xbf16>
  %y0 = kernel.alloc : memref<?x32xbf16>
  // expected-error @+1 {{output has 32 columns, expected 64}}
  kernel.norm ins(%x, %w) outs(%y0) {eps = 1.0e-5 : f64} : (memref<?x64xbf16>, memref<64xbf16>, memref<?x32xbf16>) -> ()
}

// -----

kernel.plan @norm_codes max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : memref<64xbf16>
  %y0 = kernel.alloc : memref<?x64xbf16>
  %y1 = kernel.alloc : memref<?xf32>
  // expected-error @+1 {{codes must be i8 or f8E4M3FN, found}}
  kernel.norm ins(%x, %w) outs(%y0, %y1) {eps = 1.0e-5 : f64} : (memref<?x64xbf16>, memref<64xbf16>, memref<?x64xbf16>, memref<?xf32>) -> ()
}

// -----

kernel.plan @norm_scales max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : memref<64xbf16>
  %y0 = kernel.alloc : memref<?x64xi8>
  %y1 = kernel.alloc : memref<?xbf16>
  // expected-error @+1 {{scales must be memref<?xf32>, found}}
  kernel.norm ins(%x, %w) outs(%y0, %y1) {eps = 1.0e-5 : f64} : (memref<?x64xbf16>, memref<64xbf16>, memref<?x64xi8>, memref<?xbf16>) -> ()
}

// -----

kernel.plan @quantize_outputs max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %y = kernel.alloc : memref<?x64xi8>
  // expected-error @+1 {{has 1 outputs, expected codes and scales}}
  kernel.quantize ins(%x) outs(%y) : (memref<?x64xbf16>, memref<?x64xi8>) -> ()
}

// -----

kernel.plan @quantize_columns max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %y = kernel.alloc : memref<?x32xi8>
  %s = kernel.alloc : memref<?xf32>
  // expected-error @+1 {{output has 32 columns, expected 64}}
  kernel.quantize ins(%x) outs(%y, %s) : (memref<?x64xbf16>, memref<?x32xi8>, memref<?xf32>) -> ()
}

// -----

kernel.plan @gemm_outputs max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  %y1 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{has 2 outputs, expected 1}}
  kernel.gemm ins(%x, %w) outs(%y0, %y1) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_input max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x48xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{input has 48 columns, expected 64}}
  kernel.gemm ins(%x, %w) outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x48xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_output max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x48xf32>
  // expected-error @+1 {{output has 48 columns, expected 32}}
  kernel.gemm ins(%x, %w) outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x48xf32>) -> ()
}

// -----

kernel.plan @gemm_extra max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %e0 = kernel.alloc : memref<?x48xf32>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{extra operand has 48 columns, expected 32}}
  kernel.gemm ins(%x, %w) extras(%e0) outs(%y0) epilogue {
  ^bb0(%acc: f32, %e: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x48xf32>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_no_scales max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xi8>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{scales go with i8 or f8E4M3FN input, and only with it, found 'i8'}}
  kernel.gemm ins(%x, %w) outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xi8>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_float_scales max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %s = kernel.alloc : memref<?xf32>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{scales go with i8 or f8E4M3FN input, and only with it, found 'bf16'}}
  kernel.gemm ins(%x scales %s, %w) outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, memref<?xf32>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_codes_weight max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xi8>
  %s = kernel.alloc : memref<?xf32>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{input of 'i8' needs a per_channel weight of the same storage, found 'bf16'}}
  kernel.gemm ins(%x scales %s, %w) outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xi8>, memref<?xf32>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_prologue_input max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %n = kernel.weight @n : memref<64xbf16>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{a prologue needs input of bf16 without scales, found 'f32'}}
  kernel.gemm ins(%x, %w) norm(%n) outs(%y0) attributes {eps = 1.0e-5 : f64} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xf32>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<64xbf16>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_prologue_scales max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xi8>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64x!qopt.q<i8, per_channel, scale = bf16>>, #kernel.layout<tiled, tile_n = 32, k_pack = 4>>
  %s = kernel.alloc : memref<?xf32>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{a prologue needs input of bf16 without scales, found 'i8'}}
  kernel.gemm ins(%x scales %s, %w) quantize outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xi8>, memref<?xf32>, !kernel.packed<tensor<32x64x!qopt.q<i8, per_channel, scale = bf16>>, #kernel.layout<tiled, tile_n = 32, k_pack = 4>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_norm_columns max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %n = kernel.weight @n : memref<32xbf16>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{norm's weight has 32 columns, expected 64}}
  kernel.gemm ins(%x, %w) norm(%n) outs(%y0) attributes {eps = 1.0e-5 : f64} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<32xbf16>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_norm_eps max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %n = kernel.weight @n : memref<64xbf16>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{eps goes with norm, and only with it}}
  kernel.gemm ins(%x, %w) norm(%n) outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<64xbf16>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_eps_alone max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{eps goes with norm, and only with it}}
  kernel.gemm ins(%x, %w) outs(%y0) attributes {eps = 1.0e-5 : f64} epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_quantize_weight max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{quantize needs a per_channel weight of i8 or f8E4M3FN, found 'bf16'}}
  kernel.gemm ins(%x, %w) quantize outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_epilogue_arguments max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{epilogue must take the f32 sum and one element of each extra operand}}
  kernel.gemm ins(%x, %w) outs(%y0) epilogue {
  ^bb0(%acc: f32, %e: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_epilogue_sum max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{epilogue must take the f32 sum and one element of each extra operand}}
  kernel.gemm ins(%x, %w) outs(%y0) epilogue {
  ^bb0(%acc: bf16):
    kernel.yield %acc : bf16
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_epilogue_type max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %e0 = kernel.alloc : memref<?x32xbf16>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{epilogue argument has type 'f32', expected 'bf16'}}
  kernel.gemm ins(%x, %w) extras(%e0) outs(%y0) epilogue {
  ^bb0(%acc: f32, %e: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xbf16>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @gemm_yield max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xbf16>
  // expected-error @+1 {{epilogue must yield the output's element type}}
  kernel.gemm ins(%x, %w) outs(%y0) epilogue {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xbf16>) -> ()
}

// -----

kernel.plan @gemm_no_yield max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xbf16>
  %w = kernel.weight @w : !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{epilogue must yield the output's element type}}
  kernel.gemm ins(%x, %w) outs(%y0) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.addf %acc, %acc : f32
  } : (memref<?x64xbf16>, !kernel.packed<tensor<32x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @elementwise_no_input max_tokens = 1 max_logit_rows = 1 {
  %y = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{needs an input}}
  kernel.elementwise ins() outs(%y) body {
    %0 = arith.constant 0.0 : f32
    kernel.yield %0 : f32
  } : (memref<?x64xf32>) -> ()
}

// -----

kernel.plan @elementwise_columns max_tokens = 1 max_logit_rows = 1 {
  %x0 = kernel.alloc : memref<?x64xf32>
  %x1 = kernel.alloc : memref<?x32xf32>
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{input has 32 columns, expected 64}}
  kernel.elementwise ins(%x0, %x1) outs(%y0) body {
  ^bb0(%a: f32, %b: f32):
    kernel.yield %a : f32
  } : (memref<?x64xf32>, memref<?x32xf32>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @elementwise_output max_tokens = 1 max_logit_rows = 1 {
  %x0 = kernel.alloc : memref<?x64xf32>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{output has 32 columns, expected 64}}
  kernel.elementwise ins(%x0) outs(%y0) body {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : (memref<?x64xf32>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @elementwise_arguments max_tokens = 1 max_logit_rows = 1 {
  %x0 = kernel.alloc : memref<?x64xf32>
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{body must take one element of each input}}
  kernel.elementwise ins(%x0) outs(%y0) body {
  ^bb0(%a: f32, %b: f32):
    kernel.yield %a : f32
  } : (memref<?x64xf32>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @elementwise_type max_tokens = 1 max_logit_rows = 1 {
  %x0 = kernel.alloc : memref<?x64xf32>
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{body argument has type 'bf16', expected 'f32'}}
  kernel.elementwise ins(%x0) outs(%y0) body {
  ^bb0(%a: bf16):
    kernel.yield %a : bf16
  } : (memref<?x64xf32>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @elementwise_yield max_tokens = 1 max_logit_rows = 1 {
  %x0 = kernel.alloc : memref<?x64xbf16>
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{body must yield 'f32'}}
  kernel.elementwise ins(%x0) outs(%y0) body {
  ^bb0(%a: bf16):
    kernel.yield %a : bf16
  } : (memref<?x64xbf16>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @elementwise_codes_yield max_tokens = 1 max_logit_rows = 1 {
  %x0 = kernel.alloc : memref<?x64xbf16>
  %y0 = kernel.alloc : memref<?x64xi8>
  %y1 = kernel.alloc : memref<?xf32>
  // expected-error @+1 {{body must yield 'f32'}}
  kernel.elementwise ins(%x0) outs(%y0, %y1) body {
  ^bb0(%a: bf16):
    kernel.yield %a : bf16
  } : (memref<?x64xbf16>, memref<?x64xi8>, memref<?xf32>) -> ()
}

// -----

kernel.plan @rotary_table_outputs max_tokens = 1 max_logit_rows = 1 {
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x16xf32>
  %y1 = kernel.alloc : memref<?x16xf32>
  // expected-error @+1 {{has 2 outputs, expected 1}}
  kernel.rotary_table ins(%b) outs(%y0, %y1) {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (!qopt.batch, memref<?x16xf32>, memref<?x16xf32>) -> ()
}

// -----

kernel.plan @rotary_table_type max_tokens = 1 max_logit_rows = 1 {
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x16xbf16>
  // expected-error @+1 {{output must be f32}}
  kernel.rotary_table ins(%b) outs(%y0) {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (!qopt.batch, memref<?x16xbf16>) -> ()
}

// -----

kernel.plan @rotary_table_columns max_tokens = 1 max_logit_rows = 1 {
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{output has 32 columns, expected 16}}
  kernel.rotary_table ins(%b) outs(%y0) {rope = #qopt.rope<head_dim = 16, theta = 1.0e4 : f64, scaling = none>} : (!qopt.batch, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @rope_outputs max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  %t = kernel.alloc : memref<?x16xf32>
  %y0 = kernel.alloc : memref<?x64xf32>
  %y1 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{has 2 outputs, expected 1}}
  kernel.rope ins(%x, %t) outs(%y0, %y1) : (memref<?x64xf32>, memref<?x16xf32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @rope_columns max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  %t = kernel.alloc : memref<?x16xf32>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{output has 32 columns, expected 64}}
  kernel.rope ins(%x, %t) outs(%y0) : (memref<?x64xf32>, memref<?x16xf32>, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @rope_heads max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x40xf32>
  %t = kernel.alloc : memref<?x16xf32>
  %y0 = kernel.alloc : memref<?x40xf32>
  // expected-error @+1 {{input's 40 columns are not a multiple of head_dim 16}}
  kernel.rope ins(%x, %t) outs(%y0) : (memref<?x40xf32>, memref<?x16xf32>, memref<?x40xf32>) -> ()
}

// -----

kernel.plan @rope_empty_table max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x40xf32>
  %t = kernel.alloc : memref<?x0xf32>
  %y0 = kernel.alloc : memref<?x40xf32>
  // expected-error @+1 {{input's 40 columns are not a multiple of head_dim 0}}
  kernel.rope ins(%x, %t) outs(%y0) : (memref<?x40xf32>, memref<?x0xf32>, memref<?x40xf32>) -> ()
}

// -----

kernel.plan @kv_append_outputs max_tokens = 1 max_logit_rows = 1 {
  %k = kernel.alloc : memref<?x32xf32>
  %v = kernel.alloc : memref<?x32xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{has 1 outputs, expected 0}}
  kernel.kv_append ins(%k, %v, %c, %b) outs(%y0) {layer = 0 : i64} : (memref<?x32xf32>, memref<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @kv_append_layer max_tokens = 1 max_logit_rows = 1 {
  %k = kernel.alloc : memref<?x32xf32>
  %v = kernel.alloc : memref<?x32xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  // expected-error @+1 {{layer 2 is outside of the cache's 2}}
  kernel.kv_append ins(%k, %v, %c, %b) {layer = 2 : i64} : (memref<?x32xf32>, memref<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
}

// -----

kernel.plan @kv_append_key max_tokens = 1 max_logit_rows = 1 {
  %k = kernel.alloc : memref<?x48xf32>
  %v = kernel.alloc : memref<?x32xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  // expected-error @+1 {{key has 48 columns, expected 32}}
  kernel.kv_append ins(%k, %v, %c, %b) {layer = 0 : i64} : (memref<?x48xf32>, memref<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
}

// -----

kernel.plan @kv_append_value max_tokens = 1 max_logit_rows = 1 {
  %k = kernel.alloc : memref<?x32xf32>
  %v = kernel.alloc : memref<?x48xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  // expected-error @+1 {{value has 48 columns, expected 32}}
  kernel.kv_append ins(%k, %v, %c, %b) {layer = 0 : i64} : (memref<?x32xf32>, memref<?x48xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch) -> ()
}

// -----

kernel.plan @rope_append_layer max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %k = kernel.alloc : memref<?x32xf32>
  %t = kernel.alloc : memref<?x16xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{layer -1 is outside of the cache's 2}}
  kernel.rope_append ins(%q, %k, %k, %t, %c, %b) outs(%y0) {layer = -1 : i64} : (memref<?x64xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<?x16xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @rope_append_key max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %k = kernel.alloc : memref<?x48xf32>
  %t = kernel.alloc : memref<?x16xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{key has 48 columns, expected 32}}
  kernel.rope_append ins(%q, %k, %k, %t, %c, %b) outs(%y0) {layer = 0 : i64} : (memref<?x64xf32>, memref<?x48xf32>, memref<?x48xf32>, memref<?x16xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @rope_append_table max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %k = kernel.alloc : memref<?x32xf32>
  %t = kernel.alloc : memref<?x32xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{table has 32 columns, expected 16}}
  kernel.rope_append ins(%q, %k, %k, %t, %c, %b) outs(%y0) {layer = 0 : i64} : (memref<?x64xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<?x32xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @rope_append_outputs max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %k = kernel.alloc : memref<?x32xf32>
  %t = kernel.alloc : memref<?x16xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x64xf32>
  %y1 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{has 2 outputs, expected 1}}
  kernel.rope_append ins(%q, %k, %k, %t, %c, %b) outs(%y0, %y1) {layer = 0 : i64} : (memref<?x64xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<?x16xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x64xf32>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @rope_append_query max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x40xf32>
  %k = kernel.alloc : memref<?x32xf32>
  %t = kernel.alloc : memref<?x16xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x40xf32>
  // expected-error @+1 {{query has 40 columns, expected a multiple of head_dim 16}}
  kernel.rope_append ins(%q, %k, %k, %t, %c, %b) outs(%y0) {layer = 0 : i64} : (memref<?x40xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<?x16xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x40xf32>) -> ()
}

// -----

kernel.plan @rope_append_output max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %k = kernel.alloc : memref<?x32xf32>
  %t = kernel.alloc : memref<?x16xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{output has 32 columns, expected 64}}
  kernel.rope_append ins(%q, %k, %k, %t, %c, %b) outs(%y0) {layer = 0 : i64} : (memref<?x64xf32>, memref<?x32xf32>, memref<?x32xf32>, memref<?x16xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x32xf32>) -> ()
}

// -----

kernel.plan @attention_layer max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{layer 2 is outside of the cache's 2}}
  kernel.attention ins(%q, %c, %b) outs(%y0) {layer = 2 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (memref<?x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @attention_outputs max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x64xf32>
  %y1 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{has 2 outputs, expected 1}}
  kernel.attention ins(%q, %c, %b) outs(%y0, %y1) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (memref<?x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x64xf32>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @attention_heads max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{num_heads 3 is not a multiple of the cache's 2 heads}}
  kernel.attention ins(%q, %c, %b) outs(%y0) {layer = 0 : i64, num_heads = 3 : i64, scale = 0.25 : f64} : (memref<?x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @attention_query max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x48xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{query has 48 columns, expected 64}}
  kernel.attention ins(%q, %c, %b) outs(%y0) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (memref<?x48xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @attention_output max_tokens = 1 max_logit_rows = 1 {
  %q = kernel.alloc : memref<?x64xf32>
  %c = kernel.cache : !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
  %b = kernel.batch : !qopt.batch
  %y0 = kernel.alloc : memref<?x48xf32>
  // expected-error @+1 {{output has 48 columns, expected 64}}
  kernel.attention ins(%q, %c, %b) outs(%y0) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64} : (memref<?x64xf32>, !qopt.kv_cache<layers = 2, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>, !qopt.batch, memref<?x48xf32>) -> ()
}

// -----

kernel.plan @gather_index max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  %i = kernel.alloc : memref<?xf32>
  %y0 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{index must be memref<?xi32>, found}}
  kernel.gather ins(%x, %i) outs(%y0) : (memref<?x64xf32>, memref<?xf32>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @gather_outputs max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  %i = kernel.input tokens : memref<?xi32>
  %y0 = kernel.alloc : memref<?x64xf32>
  %y1 = kernel.alloc : memref<?x64xf32>
  // expected-error @+1 {{has 2 outputs, expected 1}}
  kernel.gather ins(%x, %i) outs(%y0, %y1) : (memref<?x64xf32>, memref<?xi32>, memref<?x64xf32>, memref<?x64xf32>) -> ()
}

// -----

kernel.plan @gather_columns max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  %i = kernel.input tokens : memref<?xi32>
  %y0 = kernel.alloc : memref<?x32xf32>
  // expected-error @+1 {{output has 32 columns, expected 64}}
  kernel.gather ins(%x, %i) outs(%y0) : (memref<?x64xf32>, memref<?xi32>, memref<?x32xf32>) -> ()
}

// -----

func.func @yield_parent(%x: f32) {
  // expected-error @+1 {{expects parent op to be one of 'kernel.gemm, kernel.elementwise'}}
  kernel.yield %x : f32
}

// -----

// expected-error @+1 {{swizzled layout has no tile_n or k_pack}}
func.func private @layout_swizzled() attributes {a = #kernel.layout<swizzled, tile_n = 16, k_pack = 2>}

// -----

// expected-error @+1 {{interleave is 1, expected 0, or 1 in a swizzled or fragment layout}}
func.func private @layout_interleave() attributes {a = #kernel.layout<row_major, interleave = 1>}

// -----

// expected-error @+1 {{interleave is 2, expected 0, or 1 in a swizzled or fragment layout}}
func.func private @layout_interleave_value() attributes {a = #kernel.layout<fragment, interleave = 2>}

// -----

// expected-error @+1 {{interleaved layout needs two sources of a multiple of 8 rows, found N = 40}}
func.func private @packed_interleave(!kernel.packed<tensor<40x64xbf16>, #kernel.layout<swizzled, interleave = 1>>)

// -----

// expected-error @+1 {{swizzled layout holds bf16 or 8-bit codes per channel, found 'f32'}}
func.func private @packed_swizzled(!kernel.packed<tensor<64x64xf32>, #kernel.layout<swizzled>>)

// -----

// expected-error @+1 {{swizzled layout holds bf16 or 8-bit codes per channel, found '!qopt.q<i8, group = 32, scale = bf16>'}}
func.func private @packed_swizzled_groups(!kernel.packed<tensor<64x64x!qopt.q<i8, group = 32, scale = bf16>>, #kernel.layout<swizzled>>)

// -----

// expected-error @+1 {{fragment layout holds integers with scales, found 'bf16'}}
func.func private @packed_fragment(!kernel.packed<tensor<64x64xbf16>, #kernel.layout<fragment>>)

// -----

// expected-error @+1 {{fragment layout needs groups of a multiple of 16, found 72}}
func.func private @packed_fragment_group(!kernel.packed<tensor<64x72x!qopt.q<i8, per_channel, scale = bf16>>, #kernel.layout<fragment>>)

// -----

// expected-error @+1 {{query_tile must be positive, found 0}}
kernel.plan @query_tile max_tokens = 1 max_logit_rows = 1 query_tile = 0 {
}

// -----

!pair = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled, interleave = 1>>
kernel.plan @pair_columns max_tokens = 1 max_logit_rows = 1 {
  %w = kernel.weight @gate, @up : !pair
  %x = kernel.alloc : memref<?x64xbf16>
  // expected-error @+1 {{output has 64 columns, expected 32}}
  kernel.gemm ins(%x, %w) outs(%x) epilogue {
  ^bb0(%g: f32, %u: f32):
    %0 = arith.truncf %g : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x64xbf16>, !pair, memref<?x64xbf16>) -> ()
}

// -----

!pair = !kernel.packed<tensor<64x64xbf16>, #kernel.layout<swizzled, interleave = 1>>
kernel.plan @pair_sums max_tokens = 1 max_logit_rows = 1 {
  %w = kernel.weight @gate, @up : !pair
  %x = kernel.alloc : memref<?x64xbf16>
  %y = kernel.alloc : memref<?x32xbf16>
  // expected-error @+1 {{epilogue must take the f32 sums of gate and up and one element of each extra operand}}
  kernel.gemm ins(%x, %w) outs(%y) epilogue {
  ^bb0(%g: f32):
    %0 = arith.truncf %g : f32 to bf16
    kernel.yield %0 : bf16
  } : (memref<?x64xbf16>, !pair, memref<?x32xbf16>) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
kernel.plan @attention_append_kind max_tokens = 1 max_logit_rows = 1 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : memref<?x64xbf16>
  %k = kernel.alloc : memref<?x32xbf16>
  %t = kernel.alloc : memref<?x16xf32>
  // expected-error @+1 {{rope_append needs a decode plan: the rows of a sequence would miss each other's keys}}
  kernel.attention ins(%q, %cache, %batch) rope_append(%k, %k, %t) outs(%q) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x32xbf16>, memref<?x32xbf16>, memref<?x16xf32>, memref<?x64xbf16>) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
kernel.plan @attention_append_operands kind = decode max_tokens = 1 max_logit_rows = 1 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : memref<?x64xbf16>
  %k = kernel.alloc : memref<?x32xbf16>
  // expected-error @+1 {{rope_append needs key, value and table}}
  "kernel.attention"(%q, %cache, %batch, %k, %q) <{layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 1>}>
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x32xbf16>, memref<?x64xbf16>) -> ()
}

// -----

!cache = !qopt.kv_cache<layers = 1, kv_heads = 2, head_dim = 16, page_tokens = 64, type = bf16>
kernel.plan @attention_append_table kind = decode max_tokens = 1 max_logit_rows = 1 {
  %batch = kernel.batch : !qopt.batch
  %cache = kernel.cache : !cache
  %q = kernel.alloc : memref<?x64xbf16>
  %k = kernel.alloc : memref<?x32xbf16>
  %t = kernel.alloc : memref<?x8xf32>
  // expected-error @+1 {{table has 8 columns, expected 16}}
  kernel.attention ins(%q, %cache, %batch) rope_append(%k, %k, %t) outs(%q) {layer = 0 : i64, num_heads = 4 : i64, scale = 0.25 : f64}
    : (memref<?x64xbf16>, !cache, !qopt.batch, memref<?x32xbf16>, memref<?x32xbf16>, memref<?x8xf32>, memref<?x64xbf16>) -> ()
}

// -----

kernel.plan @input_tokens max_tokens = 1 max_logit_rows = 1 {
  // expected-error @+1 {{tokens must be memref<?xi32>, found 'memref<?x14xi32>'}}
  %0 = kernel.input tokens : memref<?x14xi32>
}

// -----

kernel.plan @input_sampling max_tokens = 1 max_logit_rows = 1 {
  // expected-error @+1 {{sampling must be memref<?x14xi32>, found 'memref<?xi32>'}}
  %0 = kernel.input sampling : memref<?xi32>
}

// -----

kernel.plan @sample_logits max_tokens = 1 max_logit_rows = 1 {
  %sampling = kernel.input sampling : memref<?x14xi32>
  %x = kernel.alloc : memref<?x64xbf16>
  %t = kernel.alloc : memref<?xi32>
  %p = kernel.alloc : memref<?xf32>
  // expected-error @+1 {{logits must be memref<?xNxf32>, found 'memref<?x64xbf16>'}}
  kernel.sample ins(%x, %sampling) outs(%t, %p)
    : (memref<?x64xbf16>, memref<?x14xi32>, memref<?xi32>, memref<?xf32>) -> ()
}

// -----

kernel.plan @sample_sampling max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  %t = kernel.alloc : memref<?xi32>
  %p = kernel.alloc : memref<?xf32>
  // expected-error @+1 {{sampling must be memref<?x14xi32>, found 'memref<?xi32>'}}
  kernel.sample ins(%x, %t) outs(%t, %p)
    : (memref<?x64xf32>, memref<?xi32>, memref<?xi32>, memref<?xf32>) -> ()
}

// -----

kernel.plan @sample_tokens max_tokens = 1 max_logit_rows = 1 {
  %sampling = kernel.input sampling : memref<?x14xi32>
  %x = kernel.alloc : memref<?x64xf32>
  %p = kernel.alloc : memref<?xf32>
  // expected-error @+1 {{must sample tokens and log-probabilities: memref<?xi32> and memref<?xf32>}}
  kernel.sample ins(%x, %sampling) outs(%p, %p)
    : (memref<?x64xf32>, memref<?x14xi32>, memref<?xf32>, memref<?xf32>) -> ()
}

// -----

kernel.plan @output_sampled max_tokens = 1 max_logit_rows = 1 {
  %x = kernel.alloc : memref<?x64xf32>
  %t = kernel.alloc : memref<?xi32>
  // expected-error @+1 {{must sample tokens and log-probabilities: memref<?xi32> and memref<?xf32>}}
  kernel.output %x sampled(%t : memref<?xi32>) : memref<?x64xf32>
}
