// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-pack-weights{target=cpu:x86-64-v3}))' --verify-diagnostics

func.func @negative_f64() {
  // expected-error @+1 {{no kernel of target 'cpu:x86-64-v3' reads 'tensor<64x64xf64>'}}
  %0 = qopt.weight @w : tensor<64x64xf64>
  return
}
