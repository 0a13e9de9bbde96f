"""Plans ready configurations in every format for every target, without weights: the
plan checker runs at the end.

  plan_models.py MODELS OPTION...      models with commas between
"""

import subprocess
import sys

models, *options = sys.argv[1:]
count = 0
for model in models.split(","):
    for target in ("cpu:x86-64-v4", "cuda:sm_90a"):
        for form in ("fp32", "bf16", "w8a8-fp8", "w8a8-int8", "w4a16"):
            if form == "fp32" and (target.startswith("cuda") or "8bit" in options):
                continue
            command = ["qopt", "compile", model, "--random-weights", "1", "--target", target, "--format", form]
            subprocess.check_call(command + ["--emit", "kernel", "-q", "-o", "/dev/null"] + options)
            count += 1
print(f"{count} plans of {models} are right")
