#!/usr/bin/env python3
"""Logits of the tiny model by transformers in float32, for TinyReferenceTest.cpp.

    make_tiny_reference.py       # needs torch and transformers

Writes tiny_reference/tokens.npy, int64 [2, 24], and logits.npy, float32
[2, 24, vocabulary]: each row run alone.
"""

import pathlib

import numpy as np
import torch
import transformers

here = pathlib.Path(__file__).parent
model = transformers.LlamaForCausalLM.from_pretrained(
    here.parent.parent / "fixtures/exports/hf", dtype=torch.float32).eval()
tokens = np.random.default_rng(5).integers(0, model.config.vocab_size, size=(2, 24))
with torch.no_grad():
    logits = [model(torch.from_numpy(row[None])).logits[0].numpy() for row in tokens]
out = here / "tiny_reference"
out.mkdir(exist_ok=True)
np.save(out / "tokens.npy", tokens.astype(np.int64))
np.save(out / "logits.npy", np.stack(logits).astype(np.float32))
