// RUN: qopt-opt %s --kernel-plan-memory | FileCheck %s

// Four tokens: 2048 bytes of floats. Codes and scales take the place of %a, whose
// life is over, not that of %b; the logits that of all.
// CHECK-LABEL: kernel.plan @reuse max_tokens = 4 max_logit_rows = 2 arena_bytes = 4096
kernel.plan @reuse max_tokens = 4 max_logit_rows = 2 {
  %w = kernel.weight @w : memref<128xf32>
  // CHECK: %[[A:.*]] = kernel.alloc {offset = 0 : i64} : memref<?x128xf32>
  %a = kernel.alloc : memref<?x128xf32>
  // CHECK: %[[B:.*]] = kernel.alloc {offset = 2048 : i64} : memref<?x128xf32>
  %b = kernel.alloc : memref<?x128xf32>
  kernel.norm ins(%a, %w) outs(%b) {eps = 1.0e-5 : f64} : (memref<?x128xf32>, memref<128xf32>, memref<?x128xf32>) -> ()
  // CHECK: kernel.alloc {offset = 0 : i64} : memref<?x128xi8>
  %c = kernel.alloc : memref<?x128xi8>
  // CHECK: kernel.alloc {offset = 512 : i64} : memref<?xf32>
  %s = kernel.alloc : memref<?xf32>
  kernel.quantize ins(%b) outs(%c, %s) : (memref<?x128xf32>, memref<?x128xi8>, memref<?xf32>) -> ()
  // CHECK: kernel.alloc rows = logit_rows {offset = 0 : i64} : memref<?x8xf32>
  %l = kernel.alloc rows = logit_rows : memref<?x8xf32>
  kernel.output %l : memref<?x8xf32>
}

// A slice keeps its buffer alive.
// CHECK-LABEL: kernel.plan @slices max_tokens = 1 max_logit_rows = 1 arena_bytes = 1024
kernel.plan @slices max_tokens = 1 max_logit_rows = 1 {
  %w = kernel.weight @w : memref<64xf32>
  // CHECK: kernel.alloc {offset = 0 : i64} : memref<?x128xf32>
  %a = kernel.alloc : memref<?x128xf32>
  %a1 = kernel.slice %a {offset = 64 : i64} : memref<?x128xf32> to memref<?x64xf32, strided<[128, 1], offset: 64>>
  // CHECK: kernel.alloc {offset = 512 : i64} : memref<?x64xf32>
  %b = kernel.alloc : memref<?x64xf32>
  kernel.norm ins(%a1, %w) outs(%b) {eps = 1.0e-5 : f64} : (memref<?x64xf32, strided<[128, 1], offset: 64>>, memref<64xf32>, memref<?x64xf32>) -> ()
  // CHECK: kernel.alloc {offset = 768 : i64} : memref<?x64xf32>
  %c = kernel.alloc : memref<?x64xf32>
  kernel.norm ins(%b, %w) outs(%c) {eps = 1.0e-5 : f64} : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  kernel.norm ins(%a1, %w) outs(%c) {eps = 1.0e-5 : f64} : (memref<?x64xf32, strided<[128, 1], offset: 64>>, memref<64xf32>, memref<?x64xf32>) -> ()
}

// What nobody uses takes no place of its own.
// CHECK-LABEL: kernel.plan @unused max_tokens = 1 max_logit_rows = 1 arena_bytes = 256
kernel.plan @unused max_tokens = 1 max_logit_rows = 1 {
  // CHECK: kernel.alloc {offset = 0 : i64} : memref<?x64xf32>
  %a = kernel.alloc : memref<?x64xf32>
  // CHECK: kernel.alloc {offset = 0 : i64} : memref<?x64xf32>
  %b = kernel.alloc : memref<?x64xf32>
}
