#!/usr/bin/env python3
"""Writes tiny_logits.npy, the reference implementation's logits of TestModel.h's tiny model.

The weights are drawn by TestModel.h's formula, so that only the logits are stored: float32
[2, 12, 96], of two sequences of 12 and 10 tokens run alone; the second one stands behind two
rows of zeros, where the test pads it. Needs torch, transformers, numpy.
"""

import pathlib

import numpy as np
import torch
import transformers


def value_of(name, count):
    mask = np.uint64(0xFFFFFFFF)
    x = 2166136261
    for c in name.encode():
        x = ((x ^ c) * 16777619) & 0xFFFFFFFF
    x = (np.uint64(x) + np.arange(count, dtype=np.uint64) * np.uint64(2654435761)) & mask
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x85EBCA6B)) & mask
    x = ((x ^ (x >> np.uint64(13))) * np.uint64(0xC2B2AE35)) & mask
    x ^= x >> np.uint64(16)
    return (x >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def main():
    config = transformers.LlamaConfig(
        vocab_size=96, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=8, num_key_value_heads=2, head_dim=8, max_position_embeddings=512,
        rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0,
                         "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 32})
    model = transformers.LlamaForCausalLM(config).to(torch.float32).eval()
    state = {}
    for name, tensor in model.state_dict().items():
        base = 1.0 if tensor.dim() == 1 else 0.0
        value = np.float32(base) + np.float32(0.25) * value_of(name, tensor.numel())
        state[name] = torch.from_numpy(value.reshape(tuple(tensor.shape)))
    model.load_state_dict(state)
    logits = np.zeros((2, 12, 96), dtype=np.float32)
    for row, (length, step) in enumerate([(12, 7), (10, 11)]):
        tokens = [(3 + step * i) % 96 for i in range(length)]
        with torch.inference_mode():
            logits[row, 12 - length:] = model(torch.tensor([tokens])).logits[0].numpy()
    np.save(pathlib.Path(__file__).parent / "tiny_logits.npy", logits)


if __name__ == "__main__":
    main()
