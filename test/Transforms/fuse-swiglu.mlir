// RUN: qopt-opt %s --kernel-fuse-swiglu | FileCheck %s

!w = !kernel.packed<tensor<192x64xbf16>, #kernel.layout<swizzled>>
!w4 = !kernel.packed<tensor<192x64x!qopt.q<i4, group = 64, scale = bf16>>, #kernel.layout<fragment>>
!tiled = !kernel.packed<tensor<192x64xbf16>, #kernel.layout<tiled, tile_n = 32, k_pack = 2>>
!x = memref<?x64xbf16>
!gu = memref<?x192xbf16>
!g = memref<?x96xbf16, strided<[192, 1]>>
!u = memref<?x96xbf16, strided<[192, 1], offset: 96>>
!y = memref<?x96xbf16>

// Both sums are rounded, then the body; the halves are gone.
// CHECK-LABEL: kernel.plan @values
// CHECK: %[[X:.*]] = kernel.alloc : memref<?x64xbf16>
// CHECK-NEXT: %[[W:.*]] = kernel.weight @gate, @up : !kernel.packed<tensor<192x64xbf16>, <swizzled, interleave = 1>>
// CHECK-NEXT: %[[Y:.*]] = kernel.alloc : memref<?x96xbf16>
// CHECK-NEXT: kernel.gemm ins(%[[X]], %[[W]]) outs(%[[Y]]) epilogue {
// CHECK-NEXT: ^bb0(%[[GATE:.*]]: f32, %[[UP:.*]]: f32):
// CHECK-NEXT:   %[[G16:.*]] = arith.truncf %[[GATE]] : f32 to bf16
// CHECK-NEXT:   %[[U16:.*]] = arith.truncf %[[UP]] : f32 to bf16
// CHECK-NEXT:   %[[G:.*]] = arith.extf %[[G16]] : bf16 to f32
// CHECK-NEXT:   %[[U:.*]] = arith.extf %[[U16]] : bf16 to f32
// CHECK-NEXT:   %[[M:.*]] = arith.mulf %[[G]], %[[U]] : f32
// CHECK-NEXT:   %[[R:.*]] = arith.truncf %[[M]] : f32 to bf16
// CHECK-NEXT:   kernel.yield %[[R]] : bf16
// CHECK-NOT: kernel.slice
// CHECK-NOT: kernel.elementwise
kernel.plan @values max_tokens = 4 max_logit_rows = 4 {
  %x = kernel.alloc : !x
  %w = kernel.weight @gate, @up : !w
  %gu = kernel.alloc : !gu
  kernel.gemm ins(%x, %w) outs(%gu) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !gu) -> ()
  %g = kernel.slice %gu {offset = 0 : i64} : !gu to !g
  %u = kernel.slice %gu {offset = 96 : i64} : !gu to !u
  %y = kernel.alloc : !y
  kernel.elementwise ins(%g, %u) outs(%y) body {
  ^bb0(%a: bf16, %b: bf16):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.extf %b : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.truncf %2 : f32 to bf16
    kernel.yield %3 : bf16
  } : (!g, !u, !y) -> ()
}

// Codes need the whole row: the product is written, then quantized.
// CHECK-LABEL: kernel.plan @codes
// CHECK: kernel.weight @gate, @up : {{.*}}<fragment, interleave = 1>>
// CHECK: %[[Y:.*]] = kernel.alloc : memref<?x96xbf16>
// CHECK-NEXT: kernel.gemm {{.*}} outs(%[[Y]]) epilogue {
// CHECK: kernel.quantize ins(%[[Y]]) outs(%{{.*}}, %{{.*}}) : (memref<?x96xbf16>, memref<?x96xi8>, memref<?xf32>) -> ()
kernel.plan @codes max_tokens = 4 max_logit_rows = 4 {
  %x = kernel.alloc : !x
  %w = kernel.weight @gate, @up : !w4
  %gu = kernel.alloc : !gu
  kernel.gemm ins(%x, %w) outs(%gu) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w4, !gu) -> ()
  %g = kernel.slice %gu {offset = 0 : i64} : !gu to !g
  %u = kernel.slice %gu {offset = 96 : i64} : !gu to !u
  %codes = kernel.alloc : memref<?x96xi8>
  %scales = kernel.alloc : memref<?xf32>
  kernel.elementwise ins(%g, %u) outs(%codes, %scales) body {
  ^bb0(%a: bf16, %b: bf16):
    %0 = arith.mulf %a, %b : bf16
    %1 = arith.extf %0 : bf16 to f32
    kernel.yield %1 : f32
  } : (!g, !u, memref<?x96xi8>, memref<?xf32>) -> ()
}

// CHECK-LABEL: kernel.plan @negative_layout
// CHECK: kernel.elementwise
kernel.plan @negative_layout max_tokens = 4 max_logit_rows = 4 {
  %x = kernel.alloc : !x
  %w = kernel.weight @gate, @up : !tiled
  %gu = kernel.alloc : !gu
  kernel.gemm ins(%x, %w) outs(%gu) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !tiled, !gu) -> ()
  %g = kernel.slice %gu {offset = 0 : i64} : !gu to !g
  %u = kernel.slice %gu {offset = 96 : i64} : !gu to !u
  %y = kernel.alloc : !y
  kernel.elementwise ins(%g, %u) outs(%y) body {
  ^bb0(%a: bf16, %b: bf16):
    kernel.yield %a : bf16
  } : (!g, !u, !y) -> ()
}

// CHECK-LABEL: kernel.plan @negative_extras
// CHECK: kernel.elementwise
kernel.plan @negative_extras max_tokens = 4 max_logit_rows = 4 {
  %x = kernel.alloc : !x
  %w = kernel.weight @gate, @up : !w
  %b = kernel.weight @bias : memref<192xbf16>
  %gu = kernel.alloc : !gu
  kernel.gemm ins(%x, %w) extras(%b) outs(%gu) epilogue {
  ^bb0(%acc: f32, %e: bf16):
    kernel.yield %e : bf16
  } : (!x, !w, memref<192xbf16>, !gu) -> ()
  %g = kernel.slice %gu {offset = 0 : i64} : !gu to !g
  %u = kernel.slice %gu {offset = 96 : i64} : !gu to !u
  %y = kernel.alloc : !y
  kernel.elementwise ins(%g, %u) outs(%y) body {
  ^bb0(%a: bf16, %c: bf16):
    kernel.yield %a : bf16
  } : (!g, !u, !y) -> ()
}

// One source, a half that is read again, slices that are not the halves in order,
// inputs that are no slices.
// CHECK-LABEL: kernel.plan @negative_others
// CHECK-COUNT-4: kernel.elementwise
kernel.plan @negative_others max_tokens = 4 max_logit_rows = 4 {
  %x = kernel.alloc : !x
  %one = kernel.weight @both : !w
  %two = kernel.weight @gate, @up : !w
  %y = kernel.alloc : !y
  %a = kernel.alloc : !gu
  kernel.gemm ins(%x, %one) outs(%a) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !gu) -> ()
  %ag = kernel.slice %a {offset = 0 : i64} : !gu to !g
  %au = kernel.slice %a {offset = 96 : i64} : !gu to !u
  kernel.elementwise ins(%ag, %au) outs(%y) body {
  ^bb0(%l: bf16, %r: bf16):
    kernel.yield %l : bf16
  } : (!g, !u, !y) -> ()
  %b = kernel.alloc : !gu
  kernel.gemm ins(%x, %two) outs(%b) epilogue {
  ^bb0(%acc: f32):
    %0 = arith.truncf %acc : f32 to bf16
    kernel.yield %0 : bf16
  } : (!x, !w, !gu) -> ()
  %bg = kernel.slice %b {offset = 0 : i64} : !gu to !g
  %bu = kernel.slice %b {offset = 96 : i64} : !gu to !u
  kernel.elementwise ins(%bu, %bg) outs(%y) body {
  ^bb0(%l: bf16, %r: bf16):
    kernel.yield %l : bf16
  } : (!u, !g, !y) -> ()
  kernel.elementwise ins(%bg) outs(%y) body {
  ^bb0(%l: bf16):
    kernel.yield %l : bf16
  } : (!g, !y) -> ()
  kernel.elementwise ins(%y, %y) outs(%y) body {
  ^bb0(%l: bf16, %r: bf16):
    kernel.yield %l : bf16
  } : (!y, !y, !y) -> ()
}
