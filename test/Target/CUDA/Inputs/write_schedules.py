"""Writes a schedule table, or checks what is said of wrong ones.

write_schedules.py FILE [NAME VALUE]   two entries, NAME of the second with another value
write_schedules.py --check FILE QOPT-OPT MODULE
"""

import copy
import json
import subprocess
import sys

ENTRY = {
    "op": "gemm", "codes": "bf16", "n": 4224, "k": 4224, "group": 4224, "affine": False, "scale": "bf16",
    "pair": False, "output": "bf16", "rows": 8,
    "params": {"tile_n": 32, "tile_t": 8, "k_stage": 128, "stages": 4, "k_warps": 1, "row_copies": True,
               "wgmma": False},
    "us": 10.25, "model_us": 12.5, "device": "NVIDIA H200",
}
WRONG = [
    ("op", "conv"), ("codes", "s3"), ("n", "big"), ("k", None), ("group", 0), ("affine", 1), ("scale", "f64"),
    ("output", "s8"), ("rows", -1), ("us", "fast"), ("model_us", 0), ("device", 7), ("params", 3),
    ("tile_n", 24), ("stages", 100), ("tile_n", 8192),
]


def write(path, name=None, value=None):
    first, second = copy.deepcopy(ENTRY), copy.deepcopy(ENTRY)
    first["n"] = 8192
    if name:
        (second["params"] if name in second["params"] else second)[name] = value
    with open(path, "w") as file:
        json.dump({"schedules": [first, second]}, file)


def check(path, tool, module):
    for name, value in WRONG:
        write(path, name, value)
        option = f"--kernel-select-schedule=target=cuda:sm_90a schedule={path}"
        result = subprocess.run([tool, module, option], capture_output=True, text=True)
        assert result.returncode == 1, (name, value)
        line = next(line for line in result.stderr.splitlines() if "error: " in line)
        print(f"{name}={json.dumps(value)}: {line.split(path + ': ')[1]}", flush=True)


if sys.argv[1] == "--check":
    check(*sys.argv[2:])
else:
    write(*sys.argv[1:])
