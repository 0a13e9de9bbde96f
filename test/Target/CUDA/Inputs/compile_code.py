"""Compiles the code of ready configurations in every format, without weights, and says
which kernels spill registers.

  compile_code.py FOLDER MODELS [--target TARGET] OPTION...
      MODELS: names or files of configurations, with commas between
"""

import json
import os
import subprocess
import sys

folder, models, *options = sys.argv[1:]
target = "cuda:sm_90a"
if options[:1] == ["--target"]:
    target, options = options[1], options[2:]
formats = ["bf16", "w8a8-fp8", "w8a8-int8", "w4a16"]
if target != "cuda:sm_90a":
    formats.remove("w8a8-fp8")
for source in models.split(","):
    model = os.path.splitext(os.path.basename(source))[0] if source.endswith(".json") else source
    for form in formats:
        path = os.path.join(folder, f"{model}-{form}.json")
        command = ["qopt", "compile", source, "--random-weights", "1", "--target", target, "--format", form]
        subprocess.check_call(command + ["--code-only", "-q", "--report", path] + options)
        with open(path) as file:
            kernels = json.load(file)["targets"][0]["kernels"]
        spilling = [kernel for kernel in kernels if kernel["spill_bytes"]]
        for kernel in spilling:
            print(f"{kernel['entry']} spills {kernel['spill_bytes']} bytes at {kernel['registers']} registers")
        print(f"{model} {form}: {len(kernels)} kernels, {len(spilling)} of them spill")
