"""A Llama-3.1-8B-shaped model, random weights, through torch.compile and CUDA graphs.

Prints milliseconds of a decode step for each batch (static bf16 KV cache, greedy token fed
back) and of a prefill, for bf16, int8 weight-only and fp8 (dynamic row-wise) linear layers;
lm_head is bf16 in all. Needs an sm_90 GPU and PyTorch >= 2.6.

Layers are compiled once and used 32 times, cut where they are added to the residual, so that
nothing that a compiler of the whole model could fuse is cut apart; a step is one CUDA graph.

    python3 bench/peers/torch_compile.py [--formats bf16 fp8] [--batches 1 16] [--prefill 4096] [--output out.json]
"""

import argparse
import json

import torch
import torch.nn.functional as F
from torch import nn

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INTERMEDIATE, LAYERS, VOCABULARY = 4096, 32, 8, 128, 14336, 32, 128256


class Linear(nn.Module):
    """[out, in] weights in one of the formats."""

    def __init__(self, out, columns, kind):
        super().__init__()
        self.kind = kind
        w = torch.randn(out, columns, dtype=torch.bfloat16, device="cuda") * 0.02
        if kind == "int8":
            self.register_buffer("w", (w * 2000).clamp(-127, 127).to(torch.int8))
            self.register_buffer("s", torch.full((out,), 5e-4, dtype=torch.bfloat16, device="cuda"))
        elif kind == "fp8":
            self.register_buffer("w", (w * 2000).to(torch.float8_e4m3fn))
            self.register_buffer("s", torch.full((1, out), 5e-4, dtype=torch.float32, device="cuda"))
        else:
            self.register_buffer("w", w)

    def forward(self, x):
        if self.kind == "int8":
            return F.linear(x, self.w.to(x.dtype)) * self.s
        if self.kind == "fp8":
            rows = x.reshape(-1, x.shape[-1])
            scale = rows.abs().amax(-1, keepdim=True).float().clamp(min=1e-12) / 448
            codes = (rows.float() / scale).to(torch.float8_e4m3fn)
            y = torch._scaled_mm(codes, self.w.t(), scale_a=scale, scale_b=self.s, out_dtype=torch.bfloat16, use_fast_accum=True)
            return y.reshape(*x.shape[:-1], -1)
        return F.linear(x, self.w)


def rms_norm(x, w):
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * w


class Block(nn.Module):
    def __init__(self, kind, batch, context):
        super().__init__()
        self.qkv = Linear((HEADS + 2 * KV_HEADS) * HEAD_DIM, HIDDEN, kind)
        self.o = Linear(HIDDEN, HEADS * HEAD_DIM, kind)
        self.gate_up = Linear(2 * INTERMEDIATE, HIDDEN, kind)
        self.down = Linear(HIDDEN, INTERMEDIATE, kind)
        for name in ("norm1", "norm2"):
            self.register_buffer(name, torch.ones(HIDDEN, dtype=torch.bfloat16, device="cuda"))
        for name in ("k", "v"):
            self.register_buffer(name, torch.zeros(batch, KV_HEADS, context, HEAD_DIM, dtype=torch.bfloat16, device="cuda"))

    def forward(self, x, update, position, cos, sin, mask):
        """x + update is the residual so far; returns it and this layer's update, apart."""
        x = x + update
        batch, length, _ = x.shape
        q, k, v = self.qkv(rms_norm(x, self.norm1)).split([HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM], -1)
        q, k, v = (t.view(batch, length, -1, HEAD_DIM).transpose(1, 2) for t in (q, k, v))

        def rotate(t):
            a, b = t.chunk(2, -1)
            return t * cos + torch.cat((-b, a), -1) * sin

        q, k = rotate(q), rotate(k)
        if mask is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            self.k[:, :, position] = k
            self.v[:, :, position] = v
            y = F.scaled_dot_product_attention(q, self.k, self.v, attn_mask=mask, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(batch, length, -1))
        gate, up = self.gate_up(rms_norm(x, self.norm2)).chunk(2, -1)
        return x, self.down(F.silu(gate) * up)


class Model(nn.Module):
    def __init__(self, kind, batch, context):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN, dtype=torch.bfloat16, device="cuda")
        self.blocks = nn.ModuleList(Block(kind, batch, context) for _ in range(LAYERS))
        self.head = Linear(VOCABULARY, HIDDEN, "bf16")
        self.register_buffer("norm", torch.ones(HIDDEN, dtype=torch.bfloat16, device="cuda"))
        frequency = 1 / (500000 ** (torch.arange(0, HEAD_DIM, 2, device="cuda") / HEAD_DIM))
        angle = torch.outer(torch.arange(max(context, 8192), device="cuda"), frequency)
        angle = torch.cat((angle, angle), -1)
        self.register_buffer("cos", angle.cos().bfloat16())
        self.register_buffer("sin", angle.sin().bfloat16())
        self.register_buffer("mask", torch.tril(torch.ones(context, context, dtype=torch.bool, device="cuda")))

        self.block = torch.compile(Block.forward, fullgraph=True, dynamic=False)
        self.end = torch.compile(Model.choose, fullgraph=True, dynamic=False)

    def choose(self, x, update):
        return self.head(rms_norm(x[:, -1:] + update[:, -1:], self.norm)).argmax(-1)

    def run(self, tokens, position, mask):
        x = self.embedding(tokens)
        update = torch.zeros_like(x)
        cos, sin = self.cos[position], self.sin[position]
        for block in self.blocks:
            x, update = self.block(block, x, update, position, cos, sin, mask)
        return self.end(self, x, update)

    def decode(self, tokens, position):
        return self.run(tokens, position, self.mask[position][None, None])

    def prefill(self, tokens, position):
        return self.run(tokens, position, None)


class Recording:
    """`step` of static tensors, compiled by two calls, then as a CUDA graph."""

    def __init__(self, step, *tensors):
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(2):
                step(*tensors)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=stream):
            self.output = step(*tensors)

    def __call__(self):
        self.graph.replay()
        return self.output


def median_ms(call, count, calls_each=1):
    """Median milliseconds of a call, from `count` times of `calls_each` calls in a row."""
    times = []
    for _ in range(count):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(calls_each):
            call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / calls_each)
    return sorted(times)[count // 2]


def decode_ms(model, batch, context):
    tokens = torch.randint(VOCABULARY, (batch, 1), device="cuda")
    position = torch.tensor([context], device="cuda")

    def step(tokens, position):
        tokens.copy_(model.decode(tokens, position))
        position += 1

    recording = Recording(step, tokens, position)
    for _ in range(6):
        recording()
    return median_ms(recording, 5, 10)


def prefill_ms(model, tokens):
    ids = torch.randint(VOCABULARY, (1, tokens), device="cuda")
    return median_ms(Recording(model.prefill, ids, torch.arange(tokens, device="cuda")), 7)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", nargs="+", choices=["bf16", "int8", "fp8"], default=["bf16", "int8", "fp8"])
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 16, 64, 256])
    parser.add_argument("--context", type=int, default=512, help="tokens in the cache before the first step")
    parser.add_argument("--prefill", type=int, nargs="*", default=[4096])
    parser.add_argument("--output", help="JSON file")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch._inductor.config.fx_graph_cache = True
    rows = []

    def report(kind, what, size, ms):
        rows.append({"format": kind, "what": what, "size": size, "ms": ms})
        print(f"torch.compile {kind:5s} {what:8s}{size:6d} {ms:9.3f} ms", flush=True)

    with torch.no_grad():
        for kind in arguments.formats:
            for batch in arguments.batches or [1]:
                model = Model(kind, batch, arguments.context + 64)
                if arguments.batches:
                    report(kind, "decode", batch, decode_ms(model, batch, arguments.context))
                if batch == (arguments.batches or [1])[0]:
                    for tokens in arguments.prefill:
                        report(kind, "prefill", tokens, prefill_ms(model, tokens))
                del model
                torch._dynamo.reset()
                torch.cuda.empty_cache()
    if arguments.output:
        with open(arguments.output, "w") as file:
            json.dump({"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
