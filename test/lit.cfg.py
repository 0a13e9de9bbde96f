"""lit's view of the tests: every .mlir and .test file below this folder.

Features that a test can require:
  smollm2                      QOPT_TEST_SMOLLM2 names the GGUF of SmolLM2-135M-Instruct
  plugin                       this build has a plugin for mlir-opt (shared LLVM)
  nvrtc                        NVIDIA's runtime compiler is where qopt looks for it
  gpu                          the CUDA driver finds a GPU
  cpu=FLAG                     this machine's CPU has the flag, as /proc/cpuinfo names it
"""

import ctypes
import ctypes.util
import os
import re

import lit.formats

config.name = "qopt"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "fixtures"]  # unit/ is a suite of its own
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.qopt_binary_dir, "test")

tools = os.path.join(config.qopt_binary_dir, "bin")
config.environment["PATH"] = os.pathsep.join([tools, config.llvm_tools_dir, os.environ["PATH"]])
# The user's own caches stay as they are.
config.environment["XDG_CACHE_HOME"] = os.path.join(config.test_exec_root, "cache")
config.substitutions += [
    ("%python", config.python),
    ("%source_dir", config.qopt_source_dir),
    # A small Hugging Face folder, and options that make its compile fast.
    ("%tiny_model", os.path.join(config.test_source_root, "fixtures", "frontend", "hf-tiny")),
    ("%tiny_options", "--max-tokens 64 --buckets 64"),
    # `%exits CODE COMMAND` fails unless the command ends with that exit code.
    ("%exits", f"{config.python} {os.path.join(config.test_source_root, 'Driver', 'Inputs', 'exits.py')}"),
    ("%plugin", os.path.join(config.qopt_binary_dir, "lib", "libQOptPlugin" + config.shared_library_suffix)),
]
if config.plugin:
    config.available_features.add("plugin")



def nvrtc():
    """Whether a toolkit or the loader has libnvrtc: where the compiler looks too."""
    given = [os.environ.get(name) for name in ("QOPT_NVRTC", "CUDA_HOME")]
    for folder in [path for path in given if path] + ["/usr/local/cuda"]:
        for pattern in ("", "lib", "lib64", "targets/x86_64-linux/lib", "nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"):
            for name in ("libnvrtc.so.13", "libnvrtc.so.12"):
                if os.path.exists(os.path.join(folder, pattern, name)):
                    return True
    return ctypes.util.find_library("nvrtc") is not None


def gpu():
    """Whether the CUDA driver finds a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


if gpu():
    config.available_features.add("gpu")

for variable in ("QOPT_NVRTC", "CUDA_HOME"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]
if nvrtc():
    config.available_features.add("nvrtc")

model = os.environ.get("QOPT_TEST_SMOLLM2")
if model:
    config.environment["QOPT_TEST_SMOLLM2"] = model
    config.substitutions.append(("%smollm2", model))
    config.available_features.add("smollm2")

try:
    with open("/proc/cpuinfo") as cpuinfo:
        flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read(), re.MULTILINE)
        for flag in flags.group(1).split() if flags else []:
            if re.match(r"avx|fma|amx|sse4", flag):
                config.available_features.add("cpu=" + flag)
except OSError:
    pass  # not Linux: tests of one instruction set are unsupported
