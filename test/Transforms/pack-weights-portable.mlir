// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-pack-weights{target=cuda:sm_80}))' --split-input-file --verify-diagnostics

// Images are those of every GPU.
func.func @int8() {
  %0 = qopt.weight @w : tensor<64x64x!qopt.q<i8, per_channel, scale = bf16>>
  return
}

// -----

// sm_80 has no products of e4m3.
func.func @negative_fp8() {
  // expected-error @+1 {{no kernel of target 'cuda:sm_80' reads 'tensor<64x64x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>'}}
  %0 = qopt.weight @w : tensor<64x64x!qopt.q<f8E4M3FN, per_channel, scale = bf16>>
  return
}
