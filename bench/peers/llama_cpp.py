#!/usr/bin/env python3
"""Runs the same decode and prefill in llama.cpp and in qopt, in turn, and prints the ratio.

  bench/peers/llama_cpp.py MODEL.gguf ARTIFACT --threads 1 2

Needs llama-cpp-python. The artifact is `qopt compile MODEL.gguf --format keep`, so that
both read the same integers. Every run is a process of its own, bound to the first
`threads` CPUs; what counts is the median of --repeat runs of each, alternating.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time


def run_llama_cpp(options):
    """One run in this process; prints its tokens/s as JSON."""
    sys.path.pop(0)  # this script's folder, where its own name is that of the package
    from llama_cpp import Llama

    model = Llama(options.gguf, n_ctx=options.prompt + options.steps + 64,
                  n_threads=options.threads[0], n_threads_batch=options.threads[0],
                  n_batch=options.prompt, n_ubatch=options.prompt, verbose=False)
    tokens = [(i * 7919 + 11) % model.n_vocab() for i in range(options.prompt)]
    result = {}
    for _ in range(2):  # the first warms
        model.reset()
        start = time.perf_counter()
        model.eval(tokens)
        middle = time.perf_counter()
        for i in range(options.steps):
            model.eval([tokens[i]])
        end = time.perf_counter()
        result = {"prefill": options.prompt / (middle - start),
                  "decode": options.steps / (end - middle)}
    print(json.dumps(result))


def in_child(command, threads):
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            preexec_fn=lambda: os.sched_setaffinity(0, cpus)).stdout
    return json.loads(output)


def llama_cpp(options, threads):
    command = [sys.executable, __file__, options.gguf, options.artifact, "--threads", str(threads),
               "--prompt", str(options.prompt), "--steps", str(options.steps), "--only-llama-cpp"]
    return in_child(command, threads)


def qopt(options, threads):
    common = ["--threads", str(threads), "--repeat", "1", "--json"]
    prefill = in_child([options.qopt, "bench", "prefill", options.artifact,
                        "--tokens", str(options.prompt), *common], threads)
    decode = in_child([options.qopt, "bench", "decode", options.artifact, "--context",
                       str(options.prompt), "--tokens", str(options.steps), *common], threads)
    return {"prefill": prefill["tokens_per_s"], "decode": decode["tokens_per_s"]}


def cpu_name():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gguf")
    parser.add_argument("artifact")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--prompt", type=int, default=512, help="tokens")
    parser.add_argument("--steps", type=int, default=48, help="of decode")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--qopt", default="qopt", help="the program")
    parser.add_argument("--output", help="a JSON file")
    parser.add_argument("--only-llama-cpp", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_llama_cpp:
        return run_llama_cpp(options)

    from importlib.metadata import version
    report = {"command": "bench/peers/llama_cpp.py " + " ".join(
                  [os.path.basename(options.gguf), os.path.basename(options.artifact),
                   "--threads", *map(str, options.threads), "--prompt", str(options.prompt),
                   "--steps", str(options.steps), "--repeat", str(options.repeat)]),
              "cpu": cpu_name(), "llama_cpp_python": version("llama-cpp-python"), "results": []}
    for threads in options.threads:
        runs = {"qopt": [], "llama.cpp": []}
        load = os.getloadavg()[0]
        for _ in range(options.repeat):
            runs["llama.cpp"].append(llama_cpp(options, threads))
            runs["qopt"].append(qopt(options, threads))
        for phase in ("prefill", "decode"):
            ours, theirs = ([run[phase] for run in runs[name]] for name in ("qopt", "llama.cpp"))
            ratio = statistics.median(ours) / statistics.median(theirs)
            print(f"{phase:8} {threads} threads: qopt {statistics.median(ours):8.1f} tokens/s, "
                  f"llama.cpp {statistics.median(theirs):8.1f}, {ratio:.2f} x")
            report["results"].append({"phase": phase, "threads": threads, "ratio": ratio,
                                      "load_before": load, "qopt_tokens_per_s": ours,
                                      "llama_cpp_tokens_per_s": theirs})
    if options.output:
        with open(options.output, "w") as file:
            json.dump(report, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
