// A row's token is chosen by a cluster of blocks.
// RUN: qopt-opt %s --kernel-select-schedule=target=cuda:sm_90a | FileCheck %s

// CHECK: kernel.plan @step_decode_1 kind = decode
// CHECK: kernel.sample {{.*}}schedule = #kernel.schedule<{blocks = 8 : i64}, reason = "the blocks of a cluster share a row">
// CHECK: kernel.plan @step_16 max_tokens = 16
// CHECK: kernel.sample {{.*}}schedule = #kernel.schedule<{blocks = 8 : i64}
kernel.plan @step max_tokens = 16 max_logit_rows = 4 {
  %logits = kernel.alloc rows = logit_rows : memref<?x512xf32>
  %sampling = kernel.input sampling : memref<?x14xi32>
  %tokens = kernel.alloc rows = logit_rows : memref<?xi32>
  %logprobs = kernel.alloc rows = logit_rows : memref<?xf32>
  kernel.sample ins(%logits, %sampling) outs(%tokens, %logprobs)
    : (memref<?x512xf32>, memref<?x14xi32>, memref<?xi32>, memref<?xf32>) -> ()
}
