#!/usr/bin/env python3
#===- make_frontend_corpus.py - Seeds of the readers' fuzzers --------------===//
#
# Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===//
"""Writes fuzz/corpus/{GGUF,SafeTensors,HFConfig,TokenizerJson,ONNX}Fuzzer: the
smallest files that reach every part of a reader. ONNX exports of the tests have
their external data renamed to what the fuzzer provides."""
import json
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEST = HERE.parent / "test"
ONNX = HERE.parent / "lib/Frontend/ONNX"


def write(fuzzer, name, data):
    folder = HERE / "corpus" / f"{fuzzer}Fuzzer"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


# -- GGUF ----------------------------------------------------------------------

def text(value):
    return struct.pack("<Q", len(value)) + value


def key(name, kind, data):
    return text(name.encode()) + struct.pack("<I", kind) + data


def list_of(kind, elements):
    return struct.pack("<IQ", kind, len(elements)) + b"".join(elements)


TOKENS = [bytes([c]) for c in b"abcdef"] + [b"ab", "\u0120a".encode(), b"<s>", b"</s>"]
HIDDEN, FFN, HEADS, KV_HEADS, HEAD = 32, 64, 2, 1, 16
VOCAB = len(TOKENS)
# Block bytes by type: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0
BLOCK = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34)}


def gguf(kinds, extra_keys=(), extra_tensors=()):
    u32, f32 = lambda v: struct.pack("<I", v), lambda v: struct.pack("<f", v)
    keys = [
        key("general.architecture", 8, text(b"llama")), key("llama.block_count", 4, u32(1)),
        key("llama.context_length", 4, u32(64)), key("llama.embedding_length", 4, u32(HIDDEN)),
        key("llama.feed_forward_length", 4, u32(FFN)), key("llama.attention.head_count", 4, u32(HEADS)),
        key("llama.attention.head_count_kv", 4, u32(KV_HEADS)),
        key("llama.attention.layer_norm_rms_epsilon", 6, f32(1e-5)),
        key("llama.rope.freq_base", 6, f32(10000)),
        key("tokenizer.ggml.model", 8, text(b"gpt2")), key("tokenizer.ggml.pre", 8, text(b"smollm")),
        key("tokenizer.ggml.tokens", 9, list_of(8, [text(t) for t in TOKENS])),
        key("tokenizer.ggml.token_type", 9, list_of(5, [u32(3 if t.startswith(b"<") else 1) for t in TOKENS])),
        key("tokenizer.ggml.merges", 9, list_of(8, [text(b"a b"), ])),
        key("tokenizer.ggml.bos_token_id", 4, u32(8)), key("tokenizer.ggml.eos_token_id", 4, u32(9)),
        key("tokenizer.ggml.add_bos_token", 7, b"\1"),
        key("tokenizer.chat_template", 8, text(b"{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")),
        *extra_keys]
    matrices = [("attn_q", HEADS * HEAD, HIDDEN), ("attn_k", KV_HEADS * HEAD, HIDDEN),
                ("attn_v", KV_HEADS * HEAD, HIDDEN), ("attn_output", HIDDEN, HEADS * HEAD),
                ("ffn_gate", FFN, HIDDEN), ("ffn_up", FFN, HIDDEN), ("ffn_down", HIDDEN, FFN)]
    tensors = [("token_embd.weight", [HIDDEN, VOCAB], kinds[0]), ("output_norm.weight", [HIDDEN], 0),
               ("blk.0.attn_norm.weight", [HIDDEN], 0), ("blk.0.ffn_norm.weight", [HIDDEN], 0)]
    tensors += [(f"blk.0.{n}.weight", [k, rows], kinds[i % len(kinds)]) for i, (n, rows, k) in enumerate(matrices)]
    tensors += list(extra_tensors)
    descriptions, data = b"", b""
    for name, shape, kind in tensors:
        data += b"\0" * (-len(data) % 32)
        descriptions += text(name.encode()) + struct.pack("<I", len(shape))
        descriptions += b"".join(struct.pack("<Q", d) for d in shape) + struct.pack("<IQ", kind, len(data))
        elements, size = BLOCK[kind]
        count = 1
        for dim in shape:
            count *= dim
        data += bytes((i * 7 + 1) % 60 for i in range(count // elements * size))
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) + descriptions
    return header + b"\0" * (-len(header) % 32) + data


write("GGUF", "q4", gguf([2, 3]))
write("GGUF", "q8-q5", gguf([8, 6, 7], [key("llama.rope.scaling.type", 8, text(b"linear")),
                                        key("llama.rope.scaling.factor", 6, struct.pack("<f", 2))]))
write("GGUF", "rope-factors", gguf([3], [], [("rope_freqs.weight", [HEAD // 2], 0)]))
write("GGUF", "blocks", (TEST / "fixtures/frontend/blocks.gguf").read_bytes())

# -- safetensors ---------------------------------------------------------------


def safetensors(tensors):
    width = {"F32": 4, "F16": 2, "BF16": 2, "I8": 1, "BOOL": 1, "F64": 8}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, dtype, shape in tensors:
        size = width[dtype]
        for dim in shape:
            size *= dim
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += bytes(i % 60 for i in range(size))
    encoded = compact(header)
    return struct.pack("<Q", len(encoded)) + encoded + data


write("SafeTensors", "types", safetensors([("a", "F32", [2, 3]), ("b", "F16", [4]), ("c", "BF16", [2, 2]),
                                           ("d", "I8", [3]), ("e", "F64", []), ("f", "BOOL", [0])]))
write("SafeTensors", "one", safetensors([("w", "BF16", [8, 16])]))

# -- configurations ------------------------------------------------------------

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 96, "hidden_size": 64,
          "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
          "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "hidden_act": "silu", "torch_dtype": "bfloat16"}
write("HFConfig", "old", compact({**CONFIG, "rope_theta": 500000.0, "tie_word_embeddings": True, "rope_scaling": {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192}, "head_dim": 16, "attention_bias": True, "eos_token_id": [1, 2],
    "do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 40, "repetition_penalty": 1.1}))
write("HFConfig", "new", compact({**CONFIG, "rope_parameters": {"rope_type": "linear", "factor": 2, "rope_theta": 1e4},
      "dtype": "float32", "mlp_bias": True, "sliding_window": None, "layer_types": ["full_attention"] * 2,
      "bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": [{"name": "default", "template": "x"}],
      "weight_map": {"a": "config.json", "b": "../x", "c": "/x"}}))
write("HFConfig", "mistral", compact({**CONFIG, "architectures": ["MistralForCausalLM"], "sliding_window": 4096,
      "quantization_config": {"quant_method": "gptq"}, "chat_template": "{{ messages }}"}))

# -- tokenizers ----------------------------------------------------------------

VOCABULARY = {t.decode(): i for i, t in enumerate(TOKENS)}


def added(content, **flags):
    return {"id": VOCABULARY.get(content, VOCAB), "content": content, "special": True, **flags}


def tokenizer(**parts):
    return compact({"added_tokens": [added("<s>"), added("</s>", lstrip=True, rstrip=True)], "normalizer": None,
                    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
                    "decoder": {"type": "ByteLevel"}, "post_processor": None,
                    "model": {"type": "BPE", "vocab": VOCABULARY, "merges": ["a b"]}, **parts})


SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False,
         "pattern": {"Regex": r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+"}}
write("TokenizerJson", "gpt2", tokenizer() + b"\0" + compact({"bos_token": "<s>", "eos_token": {"content": "</s>"},
      "added_tokens_decoder": {"9": added("</s>"), "10": added("<x>", normalized=True, single_word=True)},
      "additional_special_tokens": ["<s>"]}) + b"\0abc <s> ab  fed</s>")
write("TokenizerJson", "llama3", tokenizer(
    normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}]},
    pre_tokenizer={"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, SPLIT,
        {"type": "Split", "behavior": "Isolated", "pattern": {"String": "+"}},
        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]},
    model={"type": "BPE", "vocab": VOCABULARY, "merges": [["a", "b"]], "ignore_merges": True, "unk_token": "a"},
    post_processor={"type": "Sequence", "processors": [{"type": "ByteLevel"}, {
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
        "special_tokens": {"<s>": {"ids": [8]}}}]}) + b"\0{}\0ab 12 e\xcc\x81")

# -- ONNX ----------------------------------------------------------------------


def protoc(mode, data):
    return subprocess.run(["protoc", f"--proto_path={ONNX}", f"--{mode}=qopt.onnx.ModelProto", "onnx.proto"],
                          input=data, stdout=subprocess.PIPE, check=True).stdout


for export in ("dynamo_nopast_op23", "dynamo_past_op18"):
    message = protoc("decode", (TEST / f"fixtures/exports/{export}.onnx").read_bytes())
    write("ONNX", export, protoc("encode", message.replace(b"exports.data", b"model.data")))

# One of each part of the format that those do not have.
write("ONNX", "parts", protoc("encode", rb"""
ir_version: 8 producer_name: "seed" opset_import { domain: "" version: 18 } opset_import { domain: "f" version: 1 }
functions { name: "double" domain: "f" input: "a" output: "b" attribute: "k"
  node { op_type: "Constant" output: "two" attribute { name: "value_float" ref_attr_name: "k" type: 1 } }
  node { op_type: "Mul" input: "a" input: "two" output: "b" } }
graph { name: "main"
  input { name: "input_ids" type { tensor_type { elem_type: 7 shape { dim { dim_param: "b" } dim { dim_param: "s" } } } } }
  input { name: "use_cache_branch" type { tensor_type { elem_type: 9 shape { dim { dim_value: 1 } } } } }
  input { name: "past.key" type { tensor_type { elem_type: 1 shape { dim { dim_param: "b" } dim { dim_value: 2 }
    dim { dim_param: "p" } dim { dim_value: 4 } } } } }
  initializer { dims: 4 dims: 8 data_type: 1 name: "table" data_location: 1
    external_data { key: "location" value: "model.data" } external_data { key: "offset" value: "64" }
    external_data { key: "length" value: "128" } }
  initializer { dims: 2 data_type: 7 name: "axes" int64_data: [0, 1] }
  initializer { dims: 3 data_type: 10 name: "half" int32_data: [15360, 0, 1] }
  initializer { dims: 2 data_type: 22 name: "int4" raw_data: "\x21" }
  node { op_type: "Gather" input: "table" input: "input_ids" output: "x" name: "embed" }
  node { op_type: "double" domain: "f" input: "x" output: "y" attribute { name: "k" f: 2 type: 1 } }
  node { op_type: "If" input: "use_cache_branch" output: "z"
    attribute { name: "then_branch" type: 5 g { name: "t" output { name: "t1" }
      node { op_type: "Shape" input: "past.key" output: "t1" } } }
    attribute { name: "else_branch" type: 5 g { name: "e" output { name: "e1" }
      node { op_type: "Shape" input: "x" output: "e1" } } } }
  node { op_type: "Range" input: "axes" input: "axes" input: "axes" output: "r" }
  node { op_type: "Attention" input: "y" input: "y" input: "y" output: "a" attribute { name: "q_num_heads" i: 2 type: 2 }
    attribute { name: "kv_num_heads" i: 2 type: 2 } attribute { name: "is_causal" i: 1 type: 2 } }
  node { op_type: "RMSNormalization" input: "a" input: "half" output: "n" attribute { name: "epsilon" f: 1e-5 type: 1 } }
  node { op_type: "Split" input: "n" output: "s0" output: "s1" attribute { name: "axis" i: -1 type: 2 } }
  node { op_type: "Gemm" input: "s0" input: "table" output: "g" attribute { name: "transB" i: 1 type: 2 } }
  node { op_type: "Slice" input: "g" input: "axes" input: "axes" input: "" input: "axes" output: "sl" }
  node { op_type: "Transpose" input: "sl" output: "tr" attribute { name: "perm" ints: [1, 0] type: 7 } }
  node { op_type: "Constant" output: "c" attribute { name: "value" type: 4
    t { dims: 2 data_type: 1 float_data: [1, 2] } } }
  node { op_type: "Constant" output: "cs" attribute { name: "value_strings" strings: ["a", "b"] type: 8 } }
  output { name: "tr" type { tensor_type { elem_type: 1 } } } output { name: "z" } }
"""))
