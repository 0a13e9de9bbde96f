#!/usr/bin/env python3
"""Writes a Hugging Face folder in the shapes of Llama-3.1-8B with random bf16 weights, 16 GB.

    bench/random_checkpoint.py FOLDER

To time the compiler on a checkpoint of a real size. Needs numpy. There is no tokenizer.
"""

import json
import os
import sys

import numpy

HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS, VOCABULARY = 4096, 14336, 32, 32, 8, 128256
KV = HIDDEN // HEADS * KV_HEADS
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "vocab_size": VOCABULARY,
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                     "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
    "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
LINEAR = {
    "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (KV, HIDDEN),
    "self_attn.v_proj": (KV, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN), "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}  # fmt: skip


def tensors_of(layer):
    prefix = f"model.layers.{layer}."
    tensors = {prefix + name + ".weight": shape for name, shape in LINEAR.items()}
    for norm in ("input_layernorm", "post_attention_layernorm"):
        tensors[prefix + norm + ".weight"] = (HIDDEN,)
    return tensors


def write_shard(path, tensors, noise):
    """`noise`: random bf16 as uint16; each tensor takes it from another place on."""
    header, offset = {}, 0
    for name, shape in tensors.items():
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for index, shape in enumerate(tensors.values()):
            left, start = int(numpy.prod(shape)), index * 1000003 % len(noise)
            while left:
                piece = noise[start : start + left]
                file.write(piece.tobytes())
                left, start = left - len(piece), 0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    os.makedirs(folder)
    random = numpy.random.default_rng(1)
    values = random.standard_normal(1 << 26, dtype=numpy.float32) * numpy.float32(0.02)
    noise = (values.view(numpy.uint32) >> 16).astype(numpy.uint16)
    ends = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,),
            "lm_head.weight": (VOCABULARY, HIDDEN)}  # fmt: skip
    shards = [tensors_of(layer) for layer in range(LAYERS)] + [ends]
    names = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for name, tensors in zip(names, shards):
        write_shard(os.path.join(folder, name), tensors, noise)
    weight_map = {tensor: name for name, tensors in zip(names, shards) for tensor in tensors}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {}, "weight_map": weight_map}, file)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(CONFIG, file)


main()
