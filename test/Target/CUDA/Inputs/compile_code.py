"""Compiles the code of ready configurations in every format, without weights, and says
which kernels spill registers.

  compile_code.py FOLDER MODELS OPTION...      models with commas between
"""

import json
import os
import subprocess
import sys

folder, models, *options = sys.argv[1:]
for model in models.split(","):
    for form in ("bf16", "w8a8-fp8", "w8a8-int8", "w4a16"):
        path = os.path.join(folder, f"{model}-{form}.json")
        command = ["qopt", "compile", model, "--random-weights", "1", "--target", "cuda:sm_90a", "--format", form]
        subprocess.check_call(command + ["--code-only", "-q", "--report", path] + options)
        with open(path) as file:
            kernels = json.load(file)["targets"][0]["kernels"]
        spilling = [kernel for kernel in kernels if kernel["spill_bytes"]]
        for kernel in spilling:
            print(f"{kernel['entry']} spills {kernel['spill_bytes']} bytes at {kernel['registers']} registers")
        print(f"{model} {form}: {len(kernels)} kernels, {len(spilling)} of them spill")
