#!/usr/bin/env python3
"""Greedy continuations of SmolLM2-135M-Instruct by the reference implementation.

    reference_generation.py SmolLM2-135M-Instruct.Q4_1.gguf smollm2_greedy.json

The model is transformers' LlamaForCausalLM in float32 on the exact float32 values of the
GGUF's tensors (no rounding to bf16). 20 prompts of our own, 10 raw and 10 in the file's chat
template, are continued by 64 tokens each, the end-of-sequence token being a token like any
other. Every step's gap is the largest logit less the second largest: where it is small, two
correct implementations may part. Needs torch, transformers, tokenizers, gguf, jinja2, numpy.
"""

import json
import sys

import gguf
import jinja2
import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

NEW_TOKENS = 64

RAW_PROMPTS = [
    "The capital of France is",
    "Water boils at a temperature of",
    "def fibonacci(n):\n",
    "Once upon a time, in a small village by the sea,",
    "The three states of matter are",
    "A compiler is a program that",
    "In 1969, two people",
    "The recipe needs 2 cups of flour, 1 cup of sugar,",
    "Dear Sir or Madam,\n\nI am writing to",
    "Photosynthesis is the process by which",
]

CHAT_PROMPTS = [
    "What is the capital of Italy?",
    "Name three primary colors.",
    "Explain in one sentence why the sky is blue.",
    "Write a short poem about rain.",
    "What is 12 + 30?",
    "Translate 'good morning' to Spanish.",
    "Give me two tips for sleeping better.",
    "Who wrote Romeo and Juliet?",
    "Write a Python function that reverses a string.",
    "What do bees make?",
]


def unpermute(weight, heads):
    """GGUF interleaves the halves of each rotary head; put them back."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def load_model(reader):
    def field(name):
        return reader.fields["llama." + name].contents()

    heads, kv_heads = field("attention.head_count"), field("attention.head_count_kv")
    config = transformers.LlamaConfig(
        vocab_size=field("vocab_size"), hidden_size=field("embedding_length"),
        intermediate_size=field("feed_forward_length"), num_hidden_layers=field("block_count"),
        num_attention_heads=heads, num_key_value_heads=kv_heads,
        max_position_embeddings=field("context_length"),
        rms_norm_eps=float(np.float32(field("attention.layer_norm_rms_epsilon"))),
        rope_parameters={"rope_type": "default", "rope_theta": field("rope.freq_base")},
        tie_word_embeddings=True)
    names = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
             "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
             "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
             "token_embd": "embed_tokens", "output_norm": "norm"}
    state = {}
    for tensor in reader.tensors:
        value = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        parts = tensor.name.removesuffix(".weight").split(".")
        if parts[-1] in ("attn_q", "attn_k"):
            value = unpermute(value, heads if parts[-1] == "attn_q" else kv_heads)
        prefix = f"model.layers.{parts[1]}." if parts[0] == "blk" else "model."
        state[prefix + names[parts[-1]] + ".weight"] = torch.from_numpy(np.ascontiguousarray(value))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = transformers.LlamaForCausalLM(config).to(torch.float32).eval()
    model.load_state_dict(state)
    return model


def load_tokenizer(reader):
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ", 1)) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    kinds = reader.fields["tokenizer.ggml.token_type"].contents()
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    control = gguf.TokenType.CONTROL
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)
                                  for token, kind in zip(tokens, kinds) if kind == control])
    return tokenizer


def render_chat(reader, content):
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(reader.fields["tokenizer.chat_template"].contents())
    return template.render(messages=[{"role": "user", "content": content}], add_generation_prompt=True)


@torch.inference_mode()
def generate(model, prompt):
    tokens, gaps, cache = [], [], None
    step = torch.tensor([prompt])
    for _ in range(NEW_TOKENS):
        output = model(step, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        best = torch.topk(output.logits[0, -1], 2)
        tokens.append(int(best.indices[0]))
        gaps.append(round(float(best.values[0] - best.values[1]), 4))
        step = best.indices[:1].reshape(1, 1)
    return tokens, gaps


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    reader = gguf.GGUFReader(sys.argv[1])
    model, tokenizer = load_model(reader), load_tokenizer(reader)
    prompts = [(text, None) for text in RAW_PROMPTS]
    prompts += [(render_chat(reader, content), content) for content in CHAT_PROMPTS]
    entries = []
    for text, chat in prompts:
        prompt = tokenizer.encode(text, add_special_tokens=False).ids
        tokens, gaps = generate(model, prompt)
        entry = {"chat": chat} if chat is not None else {}
        entry |= {"prompt": text, "prompt_tokens": prompt, "tokens": tokens, "gaps": gaps,
                  "text": tokenizer.decode(tokens, skip_special_tokens=False)}
        entries.append(entry)
        print(f"{len(entries)}/{len(prompts)}: least gap {min(gaps)}", file=sys.stderr)
    with open(sys.argv[2], "w") as file:
        # One prompt a line: readable in a diff.
        file.write('{"model": "SmolLM2-135M-Instruct.Q4_1.gguf", "prompts": [\n')
        file.write(",\n".join(json.dumps(entry) for entry in entries))
        file.write("\n]}\n")


if __name__ == "__main__":
    main()
