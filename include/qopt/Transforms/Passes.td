//===- Passes.td - Passes over qopt and kernel --------------*- tablegen -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QOPT_TRANSFORMS_PASSES_TD
#define QOPT_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// qopt to qopt
//===----------------------------------------------------------------------===//

def CanonicalOrder : Pass<"qopt-canonical-order", "::mlir::ModuleOp"> {
  let summary = "Sort the operations of a model by data flow";
  let description = [{
    Frontends build or raise the same model in different orders. This pass puts
    the body of `@forward` in the post-order of a depth-first walk from the
    results, operands first to last, so that equal graphs print equal text.

    ```mlir
    %w = qopt.weight @b : tensor<4x4xf32>      // before: %w first
    %v = qopt.weight @a : tensor<4x4xf32>
    %0 = qopt.linear %x, %v : ...
    %1 = qopt.linear %0, %w : ...
    ```
    becomes
    ```mlir
    %v = qopt.weight @a : tensor<4x4xf32>
    %0 = qopt.linear %x, %v : ...
    %w = qopt.weight @b : tensor<4x4xf32>
    %1 = qopt.linear %0, %w : ...
    ```

    Equal weights become one operation first, and what no result depends on goes.
    On entry the module is in dense form (no side effects); on exit it is the same
    graph.
  }];
}

def PageKV : Pass<"qopt-page-kv", "::mlir::ModuleOp"> {
  let summary = "Turn a dense model into a ragged one over a paged cache";
  let description = [{
    `[batch, seq]` tokens with past and present tensors become `[T]` tokens of
    any mix of sequences, with keys and values in the pages of a cache. The
    attention mask and the positions are what the batch says by construction,
    which the importer has proved of the source.

    ```mlir
    %y, %pk, %pv = qopt.attention %q, %k, %v, %mask, %past_k, %past_v {...}
      : (tensor<?x?x128xf32>, ...) -> (tensor<?x?x128xf32>, ...)
    ```
    becomes
    ```mlir
    qopt.kv_append %k, %v, %cache, %batch {layer = 0 : i64} : ...
    %y = qopt.paged_attention %q, %cache, %batch {layer = 0 : i64, ...}
      : (tensor<?x128xf32>, ...) -> tensor<?x128xf32>
    ```

    On entry `@forward` is dense: tokens, mask and positions, then the past of
    each layer; mask, positions and past serve attention and rope alone. On exit
    it takes tokens, batch and cache, and returns the logits.
  }];
  let options = [
    Option<"pageTokens", "page-tokens", "int64_t", "64", "tokens in a page">];
}

def AssignSchemes : Pass<"qopt-assign-schemes", "::mlir::ModuleOp"> {
  let summary = "Choose the number format of every tensor and linear layer";
  let description = [{
    Activations, norms, embedding and head become bfloat16 (float32 for `fp32`);
    the linear layers of the blocks become what `format` says:

    - `fp32`, `bf16`: plain;
    - `w8a8-fp8`, `w8a8-int8`: weights per channel, inputs quantized per token;
    - `w4a16`: weights in groups of `group-size` along K (0: 128, or else the
      larger of 64 and 32 that divides K), with float minima if `asymmetric`;
    - `keep`: what the source stores (`stored`), bfloat16 where it stores floats.

    ```mlir
    %w = qopt.weight @w : tensor<64x64xf32>
    %y = qopt.linear %x, %w : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    ```
    becomes with `format=w8a8-int8`
    ```mlir
    %w = qopt.weight @w : tensor<64x64x!qopt.q<i8, per_channel, scale = bf16>>
    %q = qopt.quantize %x
      : (tensor<?x64xbf16>) -> tensor<?x64x!qopt.q<i8, per_token, scale = f32>>
    %y = qopt.linear %q, %w : (...) -> tensor<?x64xbf16>
    ```

    The head (the weight of the logits) keeps its type, or with `lm-head=8bit`
    becomes codes per channel, multiplied by a quantized input: `f8E4M3FN` for
    `w8a8-fp8`, else `i8`. An embedding that is tied to it stays as it is, an
    image of its own.

    A group size other than 128 that `w4a16` chose is told in the weight's
    `qopt.note`. A linear layer whose K no group size divides is an error at the
    layer.

    On entry every tensor is of floats, as `qopt-page-kv` leaves it, and every
    linear layer has a named weight. On exit all types are final: later passes
    merge operations and never change a number format. The logits keep their type.
  }];
  let options = [
    Option<"format", "format", "std::string", "\"bf16\"",
           "fp32, bf16, w8a8-fp8, w8a8-int8, w4a16 or keep">,
    Option<"groupSize", "group-size", "int64_t", "0", "w4a16: elements that share a scale, 0 chooses">,
    Option<"asymmetric", "asymmetric", "bool", "false", "w4a16: a float minimum for each group">,
    Option<"lmHead", "lm-head", "std::string", "\"native\"", "native, or 8bit">];
}

def FuseQKV : Pass<"qopt-fuse-qkv", "::mlir::func::FuncOp"> {
  let summary = "Merge the query, key and value projections into one linear layer";
  let description = [{
    `[x q^T, x k^T, x v^T] = x [q; k; v]^T`: one launch, one pass over x. The
    results become slices, which cost nothing.

    ```mlir
    %q = qopt.linear %x, %wq : ...
    %k = qopt.linear %x, %wk : ...
    %v = qopt.linear %x, %wv : ...
    ```
    becomes
    ```mlir
    %w = qopt.weight @q, @k, @v : tensor<960x576xbf16>
    %y = qopt.linear %x, %w : (tensor<?x576xbf16>, tensor<960x576xbf16>) -> tensor<?x960xbf16>
    %q = qopt.slice %y {offset = 0 : i64} : ...
    ```

    The layers must read the same input, be quantized alike, and feed one
    `qopt.paged_attention` and `qopt.kv_append`. On entry the model is ragged and
    its schemes are assigned; on exit it computes the same numbers.
  }];
}

def FuseGateUp : Pass<"qopt-fuse-gate-up", "::mlir::func::FuncOp"> {
  let summary = "Merge the gate and up projections into one linear layer";
  let description = [{
    `[x g^T, x u^T] = x [g; u]^T` for the two operands of a `qopt.silu_mul`.

    ```mlir
    %g = qopt.linear %x, %wg : ...
    %u = qopt.linear %x, %wu : ...
    %y = qopt.silu_mul %g, %u : ...
    ```
    becomes
    ```mlir
    %w = qopt.weight @gate, @up : tensor<3072x576xbf16>
    %gu = qopt.linear %x, %w : (tensor<?x576xbf16>, tensor<3072x576xbf16>) -> tensor<?x3072xbf16>
    %g = qopt.slice %gu {offset = 0 : i64} : ...
    %u = qopt.slice %gu {offset = 1536 : i64} : ...
    %y = qopt.silu_mul %g, %u : ...
    ```

    The layers must read the same input and be quantized alike. On entry schemes
    are assigned; on exit the model computes the same numbers.
  }];
}

def FuseNormQuantize : Pass<"qopt-fuse-norm-quantize", "::mlir::func::FuncOp"> {
  let summary = "Merge a quantization into the RMSNorm before it";
  let description = [{
    The norm has the whole row at hand, so that it can find the row's scale.

    ```mlir
    %n = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64} : ... -> tensor<?x576xbf16>
    %q = qopt.quantize %n : (...) -> tensor<?x576x!qopt.q<i8, per_token, scale = f32>>
    ```
    becomes
    ```mlir
    %q = qopt.rms_norm %x, %w {eps = 1.0e-5 : f64}
      : ... -> tensor<?x576x!qopt.q<i8, per_token, scale = f32>>
    ```

    The normalised value may have no other use, and the codes must not be those of
    the logits, which quantize the few rows that are asked for. On entry schemes
    are assigned; on exit the model computes the same numbers.
  }];
}

def FuseSiluQuantize : Pass<"qopt-fuse-silu-quantize", "::mlir::func::FuncOp"> {
  let summary = "Merge a quantization into the silu_mul before it";
  let description = [{
    ```mlir
    %y = qopt.silu_mul %g, %u : ... -> tensor<?x1536xbf16>
    %q = qopt.quantize %y : (...) -> tensor<?x1536x!qopt.q<i8, per_token, scale = f32>>
    ```
    becomes
    ```mlir
    %q = qopt.silu_mul %g, %u : ... -> tensor<?x1536x!qopt.q<i8, per_token, scale = f32>>
    ```

    The product may have no other use. On entry schemes are assigned; on exit the
    model computes the same numbers.
  }];
}

def FuseRopeAppend : Pass<"qopt-fuse-rope-append", "::mlir::func::FuncOp"> {
  let summary = "Merge the ropes of queries and keys with the cache write";
  let description = [{
    ```mlir
    %qr = qopt.rope %q, %batch {rope = #rope} : ...
    %kr = qopt.rope %k, %batch {rope = #rope} : ...
    qopt.kv_append %kr, %v, %cache, %batch {layer = 0 : i64} : ...
    %y = qopt.paged_attention %qr, %cache, %batch {...} : ...
    ```
    becomes
    ```mlir
    %qr = qopt.rope_append %q, %k, %v, %cache, %batch {layer = 0 : i64, rope = #rope} : ...
    %y = qopt.paged_attention %qr, %cache, %batch {...} : ...
    ```

    The rotated key may have no other use than the cache write. On entry the model
    is ragged; on exit it computes the same numbers.
  }];
}

def FuseResidual : Pass<"qopt-fuse-residual", "::mlir::func::FuncOp"> {
  let summary = "Merge a residual addition into the linear layer before it";
  let description = [{
    `x w^T + r` is added in float32 and rounded once.

    ```mlir
    %y = qopt.linear %x, %w : ... -> tensor<?x576xbf16>
    %z = qopt.add %r, %y : tensor<?x576xbf16>
    ```
    becomes
    ```mlir
    %z = qopt.linear %x, %w residual(%r) : ... -> tensor<?x576xbf16>
    ```

    The linear layer may have no other use and no residual yet. On entry schemes
    are assigned and layers merged (a layer with a residual merges with none); on
    exit the sum is rounded once, where it was rounded twice before.
  }];
}

def PackWeights : Pass<"qopt-pack-weights", "::mlir::func::FuncOp"> {
  let summary = "Choose the byte image of every weight";
  let description = [{
    Puts the attribute `kernel.layout` on every matrix: the order of bytes that
    the target's kernels stream. A weight that is read by several operations
    (tied embeddings) has one image. The bytes are written when the artifact is.

    ```mlir
    %w = qopt.weight @w : tensor<64x64xbf16>
    ```
    becomes
    ```mlir
    %w = qopt.weight @w {kernel.layout = #kernel.layout<tiled, tile_n = 32, k_pack = 2>}
      : tensor<64x64xbf16>
    ```

    A matrix of an element type that no kernel of the target reads is an error. On
    entry schemes are assigned and weights merged; on exit every matrix has a
    layout.
  }];
  let dependentDialects = ["::qopt::kernel::KernelDialect"];
  let options = [Option<"target", "target", "std::string", "\"cpu:x86-64-v4\"",
                        "the target whose kernels read the image">];
}

//===----------------------------------------------------------------------===//
// kernel
//===----------------------------------------------------------------------===//

def FuseSwiGLU : Pass<"kernel-fuse-swiglu", "::mlir::ModuleOp"> {
  let summary = "Compute a function of gate and up where their sums are";
  let description = [{
    `f(x g^T, x u^T)` in the epilogue of the gemm of `[g; u]`: neither gate nor up
    is written. Rows of the weight alternate in groups of 8, so that both sums of
    an element are at hand in one thread.

    ```mlir
    kernel.gemm ins(%x, %w) outs(%gu) epilogue { ... }
    %g = kernel.slice %gu {offset = 0 : i64} : ...
    %u = kernel.slice %gu {offset = 1536 : i64} : ...
    kernel.elementwise ins(%g, %u) outs(%y) body { ... }
    ```
    becomes
    ```mlir
    kernel.gemm ins(%x, %w) outs(%y) epilogue {
    ^bb0(%gate: f32, %up: f32):
      ...
    } : (memref<?x576xbf16>, !kernel.packed<..., #kernel.layout<swizzled, interleave = 1>>, ...)
    ```

    The sums are rounded to the halves' type first, as they were. A body whose
    result is quantized becomes the epilogue and a `kernel.quantize`.

    The halves may have no other use, the gemm no extra operands, the weight no
    other reader and two sources of a multiple of 8 rows in a layout that
    interleaves. On entry no launch has a schedule; on exit the plans compute the
    same numbers.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def AddSampling : Pass<"kernel-add-sampling", "::mlir::ModuleOp"> {
  let summary = "Choose tokens where the logits are";
  let description = [{
    Puts a `kernel.sample` behind the launches of each plan, so that a step gives
    tokens instead of logits to whoever wants them.

    ```mlir
    kernel.output %logits : memref<?x49152xf32>
    ```
    becomes
    ```mlir
    %sampling = kernel.input sampling : memref<?x14xi32>
    %tokens = kernel.alloc rows = logit_rows : memref<?xi32>
    %logprobs = kernel.alloc rows = logit_rows : memref<?xf32>
    kernel.sample ins(%logits, %sampling) outs(%tokens, %logprobs) : ...
    kernel.output %logits sampled(%tokens, %logprobs : memref<?xi32>, memref<?xf32>)
      : memref<?x49152xf32>
    ```

    A vocabulary of more than `max-vocabulary` tokens stays without; the runtime
    samples on the host then. On entry no plan samples.
  }];
  let options = [Option<"maxVocabulary", "max-vocabulary", "int64_t", "262144",
                        "tokens that the target's kernel can choose from">];
}

def SelectSchedule : Pass<"kernel-select-schedule", "::mlir::ModuleOp"> {
  let summary = "Choose how each launch is cut, and say why";
  let description = [{
    Replaces the one plan by a plan for each bucket of token counts, the last for
    its own, and puts a `#kernel.schedule` on every gemm and attention of each,
    from its shape, format, rows and target. A target may want plans of kind
    `decode` too. Without `buckets` they are the target's: on the CPU 1, 8 and 64;
    for CUDA decode plans of 1, 2, 4, ..., 256 tokens and mixed ones of 16, 64,
    256, 1024 and 4096, as far as they are below the plan's own.

    ```mlir
    kernel.plan @step max_tokens = 512 max_logit_rows = 128 { ... kernel.gemm ... }
    ```
    becomes
    ```mlir
    kernel.plan @step_1 max_tokens = 1 max_logit_rows = 1 {
      kernel.gemm ... attributes {schedule = #kernel.schedule<{tile_m = 1 : i64}, reason = "...">}
    }
    kernel.plan @step_512 max_tokens = 512 max_logit_rows = 128 { ... }
    ```

    `schedule` names a table of schedules that `qopt tune` measured. What it has wins
    over the target's own choice, and the reason says what was measured.

    A bucket above the plan's `max_tokens` is an error. On entry no plan has
    offsets; on exit every gemm has a schedule, and no result depends on it.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"cpu:x86-64-v4\"", "the target">,
    ListOption<"buckets", "buckets", "int64_t", "token counts that get a plan of their own">,
    Option<"schedule", "schedule", "std::string", "\"\"", "a table of measured schedules">];
}

def FusePrologue : Pass<"kernel-fuse-prologue", "::mlir::ModuleOp"> {
  let summary = "Normalise and quantize a decode step's rows in the linear layer that reads them";
  let description = [{
    A step of few tokens is made of launches that take little longer than a launch
    itself. Each block of a linear layer can normalise and quantize the rows that it
    reads, while its first weights are on their way: one launch less.

    ```mlir
    kernel.norm ins(%x, %n) outs(%codes, %scales) {eps = 1.0e-5 : f64} : ...
    kernel.gemm ins(%codes scales %scales, %w) outs(%y) epilogue { ... } : ...
    ```
    becomes
    ```mlir
    kernel.gemm ins(%x, %w) norm(%n) quantize outs(%y) attributes {eps = 1.0e-5 : f64}
      epilogue { ... } : ...
    ```

    What is normalised or quantized is bf16 and feeds one linear layer, and nothing else:
    several would each do the work. The target says whether it pays, and why: the reason
    is in the schedule, as a choice or as one that was rejected. Plans of kind `mixed`
    stay as they are. On entry schedules are chosen; on exit the plans compute the same
    bits.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"cpu:x86-64-v4\"", "the target">,
    Option<"schedule", "schedule", "std::string", "\"\"", "a table of measured schedules">];
}

def FuseRopeAttention : Pass<"kernel-fuse-rope-attention", "::mlir::ModuleOp"> {
  let summary = "Rotate and write the cache where a decode step attends";
  let description = [{
    In a decode plan every row has one token, which no other row sees: the launch that
    attends rotates its query and key, and writes key and value into the pages. One
    launch of each layer goes, and the pages of earlier tokens, which no launch of the
    step writes, can be read while the launch before still runs.

    ```mlir
    kernel.rope_append ins(%q, %k, %v, %table, %cache, %batch) outs(%qr) {layer = 0 : i64} : ...
    kernel.attention ins(%qr, %cache, %batch) outs(%y) {layer = 0 : i64, ...} : ...
    ```
    becomes
    ```mlir
    kernel.attention ins(%q, %cache, %batch) rope_append(%k, %v, %table) outs(%y)
      {layer = 0 : i64, ...} : ...
    ```

    The rotated query may have no other use, and plans of kind `mixed` stay as they are:
    their rows see each other's keys. On entry schedules are chosen; on exit the plans
    compute the same bits.
  }];
}

def PlanMemory : Pass<"kernel-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Give every buffer its place in the arena";
  let description = [{
    Buffers whose lives do not meet share bytes: in order of size, largest first,
    each takes the lowest offset that is free during its life, a multiple of 64
    bytes. A life runs from a buffer's first launch to its last; the plan's
    output lives to the end. Persistent buffers are placed one after another, in
    the state instead of the arena.

    ```mlir
    %x = kernel.alloc : memref<?x576xbf16>
    ```
    becomes
    ```mlir
    %x = kernel.alloc {offset = 4096 : i64} : memref<?x576xbf16>
    ```

    On entry the token counts of plans are final. On exit every buffer has an
    offset and every plan `arena_bytes`.
  }];
}

def VerifyPlan : Pass<"kernel-verify-plan", "::mlir::ModuleOp"> {
  let summary = "Check that every plan reads what was written, where it was written";
  let description = [{
    Walks each plan in order, as the runtime does, and reports on the launch:

    - columns of a buffer that are read before a launch has written them;
    - buffers in use at the same time whose bytes overlap, or that are outside of
      the arena;
    - a grid, or units of work, that leave rows or channels out, and rows of another
      kind than those of the buffers;
    - tensor maps that leave their buffer, or rows that the copy engine can't read;
    - keys and values of a layer that are written twice, or after they were read.

    ```mlir
    %a = kernel.alloc {offset = 0 : i64} : memref<?x64xbf16>
    %b = kernel.alloc {offset = 64 : i64} : memref<?x64xbf16>
    // error: uses buffer %b ..., which overlaps buffer %a ... that is still in use
    kernel.norm ins(%a, %w) outs(%b) ...
    ```

    It runs at the end of every compile and changes nothing. On entry memory is planned;
    a gemm or attention without a schedule is left to the code generator, which says
    what has no kernel.
  }];
  let options = [Option<"target", "target", "std::string", "\"cpu:x86-64-v4\"", "the target">];
}

#endif // QOPT_TRANSFORMS_PASSES_TD
