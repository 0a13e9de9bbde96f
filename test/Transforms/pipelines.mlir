// The whole road of one layer, and with each fusion left out the operations that
// it would have merged.
// RUN: qopt-opt %S/Inputs/model.mlir --qopt-lower-model=format=w8a8-int8 | FileCheck %s --check-prefix=ALL
// RUN: qopt-opt %S/Inputs/model.mlir --qopt-lower-model="format=w8a8-int8 disable-fusion=qkv" | FileCheck %s --check-prefix=QKV
// RUN: qopt-opt %S/Inputs/model.mlir --qopt-lower-model="format=w8a8-int8 disable-fusion=gate-up" | FileCheck %s --check-prefix=GATE
// RUN: qopt-opt %S/Inputs/model.mlir --qopt-lower-model="format=w8a8-int8 disable-fusion=residual" | FileCheck %s --check-prefix=RESIDUAL
// RUN: qopt-opt %S/Inputs/model.mlir --qopt-lower-model="format=w8a8-int8 disable-fusion=norm-quantize" | FileCheck %s --check-prefix=NORM
// RUN: qopt-opt %S/Inputs/model.mlir --qopt-lower-model="format=w8a8-int8 disable-fusion=silu-quantize" | FileCheck %s --check-prefix=SILU
// RUN: qopt-opt %S/Inputs/model.mlir --qopt-lower-model="format=w8a8-int8 disable-fusion=rope-append" | FileCheck %s --check-prefix=ROPE
// RUN: not qopt-opt %S/Inputs/model.mlir --qopt-lower-model=disable-fusion=qvk 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: error: fusion is 'qvk', expected one of qkv, gate-up, residual, norm-quantize, silu-quantize, rope-append, swiglu, rope-attention, prologue

// ALL-LABEL: func @forward
// ALL: qopt.embedding
// ALL: qopt.rms_norm {{.*}} -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
// ALL: qopt.linear {{.*}} bias({{.*}}) : {{.*}} -> tensor<?x128xbf16>
// ALL: qopt.rope_append
// ALL-NEXT: qopt.paged_attention
// ALL-NEXT: qopt.quantize
// ALL-NEXT: qopt.linear {{.*}} residual({{.*}})
// ALL: qopt.rms_norm {{.*}} -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
// ALL: qopt.linear {{.*}} -> tensor<?x192xbf16>
// ALL: qopt.silu_mul {{.*}} -> tensor<?x96x!qopt.q<i8, per_token, scale = f32>>
// ALL-NEXT: qopt.linear {{.*}} residual({{.*}})
// ALL: qopt.logits
// ALL-NOT: qopt.add

// QKV-COUNT-3: qopt.linear {{.*}} bias
// GATE-COUNT-2: qopt.linear {{.*}} -> tensor<?x96xbf16>
// RESIDUAL-NOT: residual(
// RESIDUAL-COUNT-2: qopt.add
// NORM: qopt.rms_norm {{.*}} -> tensor<?x64xbf16>
// NORM: qopt.quantize
// NORM: qopt.rms_norm {{.*}} -> tensor<?x64xbf16>
// NORM: qopt.quantize
// SILU: qopt.silu_mul {{.*}} -> tensor<?x96xbf16>
// SILU-NEXT: qopt.quantize
// ROPE-COUNT-2: qopt.rope
// ROPE: qopt.kv_append

// Every format and target reaches scheduled plans, with any fusion left out.
// RUN: qopt-opt %S/Inputs/model.mlir --pass-pipeline='builtin.module(qopt-lower-model{format=fp32 target=cpu:x86-64-v2},qopt-lower-kernel{target=cpu:x86-64-v2})' | FileCheck %s
// RUN: qopt-opt %S/Inputs/model.mlir --pass-pipeline='builtin.module(qopt-lower-model{format=bf16 target=cpu:x86-64-v3},qopt-lower-kernel{target=cpu:x86-64-v3})' | FileCheck %s
// RUN: qopt-opt %S/Inputs/model.mlir --pass-pipeline='builtin.module(qopt-lower-model{format=w8a8-fp8},qopt-lower-kernel)' | FileCheck %s
// RUN: qopt-opt %S/Inputs/model.mlir --pass-pipeline='builtin.module(qopt-lower-model{format=w4a16 asymmetric=true},qopt-lower-kernel)' | FileCheck %s
// RUN: qopt-opt %S/Inputs/model.mlir --pass-pipeline='builtin.module(qopt-lower-model{format=keep},qopt-lower-kernel)' | FileCheck %s
// RUN: qopt-opt %S/Inputs/model.mlir --pass-pipeline='builtin.module(qopt-lower-model{format=w8a8-int8 disable-fusion=qkv,gate-up,residual,norm-quantize,silu-quantize,rope-append},qopt-lower-kernel)' | FileCheck %s
// CHECK: kernel.plan @step_1 max_tokens = 1 max_logit_rows = 1 arena_bytes = {{[1-9]}}
// CHECK: schedule = #kernel.schedule<
// CHECK: kernel.output
// CHECK: kernel.plan @step_8 max_tokens = 8
// CHECK: kernel.plan @step_64 max_tokens = 64
// CHECK: kernel.plan @step_512 max_tokens = 512 max_logit_rows = 128 arena_bytes = {{[1-9]}}
// CHECK: kernel.output
