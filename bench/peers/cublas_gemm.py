"""cuBLASLt (through PyTorch) on the Llama-3.1-8B linear shapes, timed by CUDA-graph replay over rotating weights.

Prints one row per (layer, M, format): microseconds, TFLOP/s, TB/s of weights. Needs an sm_90 GPU and PyTorch >= 2.6.

    python3 bench/peers/cublas_gemm.py [--tokens 1 64 4096] [--layers qkv down] [--output out.json]
"""

import argparse
import json

import torch

SHAPES = {"qkv": (6144, 4096), "o": (4096, 4096), "gate_up": (28672, 4096), "down": (4096, 14336), "lm_head": (128256, 4096)}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--tokens", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096])
parser.add_argument("--layers", nargs="+", choices=SHAPES, default=list(SHAPES))
parser.add_argument("--output", help="JSON file")
arguments = parser.parse_args()


def replay_us(call, n):
    """Median microseconds of one call, from a graph of n calls over rotating operands."""
    for i in range(3):
        call(i)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(n):
            call(i)
    times = []
    for _ in range(9):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record(); graph.replay(); b.record(); torch.cuda.synchronize()
        times.append(a.elapsed_time(b) / n * 1e3)
    return sorted(times)[4]


torch.manual_seed(0)
rows = []
for name in arguments.layers:
    N, K = SHAPES[name]
    count = max(2, min(16, int(500e6 // (N * K)) + 1))          # rotate past the 60 MB L2
    bf16 = [torch.randn(N, K, device="cuda", dtype=torch.bfloat16) * 0.02 for _ in range(count)]
    fp8 = [w.to(torch.float8_e4m3fn) for w in bf16]
    int8 = [(w * 1000).clamp(-127, 127).to(torch.int8) for w in bf16]
    for M in arguments.tokens:
        x = torch.randn(M, K, device="cuda", dtype=torch.bfloat16)
        x8, xi = x.to(torch.float8_e4m3fn), (x * 40).clamp(-127, 127).to(torch.int8)
        per_row, per_col, one = torch.ones(M, 1, device="cuda"), torch.ones(1, N, device="cuda"), torch.ones((), device="cuda")
        calls = {
            "bf16": (2, lambda i: torch.mm(x, bf16[i % count].t())),
            "fp8 row-wise": (1, lambda i: torch._scaled_mm(x8, fp8[i % count].t(), scale_a=per_row, scale_b=per_col, out_dtype=torch.bfloat16, use_fast_accum=True)),
            "fp8 tensor-wise": (1, lambda i: torch._scaled_mm(x8, fp8[i % count].t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True)),
            "int8": (1, lambda i: torch._int_mm(xi, int8[i % count].t())),
        }
        for kind, (width, call) in calls.items():
            try:
                us = replay_us(call, max(count, 8))
            except RuntimeError:
                continue
            rows.append(dict(layer=name, M=M, N=N, K=K, kind=kind, us=us, tflops=2e-6 * M * N * K / us, weight_tbs=1e-6 * width * N * K / us))
            r = rows[-1]
            print(f"{name:8s} M={M:<5d}{kind:16s}{us:9.2f} us {r['tflops']:7.0f} TFLOP/s {r['weight_tbs']:6.2f} TB/s", flush=True)
    del bf16, fp8, int8
    torch.cuda.empty_cache()
if arguments.output:
    with open(arguments.output, "w") as file:
        json.dump(rows, file, indent=1)
