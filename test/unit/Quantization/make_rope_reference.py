"""Writes RopeReference.inc: rotary frequencies of transformers' LlamaRotaryEmbedding.

    python make_rope_reference.py > RopeReference.inc      (torch and transformers 5)
"""
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
CASES = [
    (64, {"rope_type": "default", "rope_theta": 100000.0}),
    (80, {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}),
    (128, {**LLAMA3, "rope_theta": 500000.0, "original_max_position_embeddings": 8192}),
    (16, {**LLAMA3, "rope_theta": 500000.0, "original_max_position_embeddings": 256}),
]
NAMES = {"default": "none", "linear": "linear", "llama3": "llama3"}

print("// Made by make_rope_reference.py.")
for head_dim, rope in CASES:
    config = LlamaConfig(hidden_size=4 * head_dim, num_attention_heads=4, head_dim=head_dim,
                         max_position_embeddings=131072, rope_parameters=dict(rope))
    table = LlamaRotaryEmbedding(config).inv_freq.tolist()
    print("{%d, %r, RopeConfig::Scaling::%s, %r, %d, {" % (
        head_dim, rope["rope_theta"], NAMES[rope["rope_type"]], rope.get("factor", 1.0),
        rope.get("original_max_position_embeddings", 0)))
    for i in range(0, len(table), 4):
        print("    " + " ".join(value.hex() + "f," for value in table[i:i + 4]))
    print("}},")
