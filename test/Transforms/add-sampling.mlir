// RUN: qopt-opt %s --kernel-add-sampling=max-vocabulary=512 | FileCheck %s

// CHECK-LABEL: kernel.plan @samples
// CHECK: %[[LOGITS:.*]] = kernel.alloc rows = logit_rows : memref<?x512xf32>
// CHECK-NEXT: %[[SAMPLING:.*]] = kernel.input sampling : memref<?x14xi32>
// CHECK-NEXT: %[[TOKENS:.*]] = kernel.alloc rows = logit_rows : memref<?xi32>
// CHECK-NEXT: %[[LOGPROBS:.*]] = kernel.alloc rows = logit_rows : memref<?xf32>
// CHECK-NEXT: kernel.sample ins(%[[LOGITS]], %[[SAMPLING]]) outs(%[[TOKENS]], %[[LOGPROBS]])
// CHECK-NEXT: kernel.output %[[LOGITS]] sampled(%[[TOKENS]], %[[LOGPROBS]] : memref<?xi32>, memref<?xf32>) : memref<?x512xf32>
kernel.plan @samples max_tokens = 4 max_logit_rows = 4 {
  %logits = kernel.alloc rows = logit_rows : memref<?x512xf32>
  kernel.output %logits : memref<?x512xf32>
}

// A vocabulary that the kernel can't choose from: the runtime samples.
// CHECK-LABEL: kernel.plan @large
// CHECK-NOT: kernel.sample
kernel.plan @large max_tokens = 4 max_logit_rows = 4 {
  %logits = kernel.alloc rows = logit_rows : memref<?x513xf32>
  kernel.output %logits : memref<?x513xf32>
}
