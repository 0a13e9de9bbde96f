"""Compiles that don't reach their end.

  interrupt_compile.py killed FOLDER COMMAND...   killed at many times
  interrupt_compile.py full FOLDER COMMAND...     no room for the file: prints the exit code and error

Fails when the artifact is neither the old one (if there was one) nor the whole new one.
"""

import os
import resource
import subprocess
import sys
import time

kind, folder, command = sys.argv[1], sys.argv[2], sys.argv[3:]
os.makedirs(folder)
path = os.path.join(folder, "x.qopt")
command += ["-o", path]
start = time.monotonic()
subprocess.run(command, check=True)
seconds = time.monotonic() - start
with open(path, "rb") as file:
    whole = file.read()


def check(what, before):
    names = os.listdir(folder)
    if kind == "full" and names not in ([], ["x.qopt"]):
        sys.exit(f"{what}: {names} were left")
    now = None
    if "x.qopt" in names:
        with open(path, "rb") as file:
            now = file.read()
    if now not in (before, whole):
        sys.exit(f"{what}: half an artifact of {len(now or b'')} bytes")


def prepare(before):
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    if before is not None:
        with open(path, "wb") as file:
            file.write(before)


if kind == "killed":
    for i in range(12):
        before = b"the one before" if i % 2 else None
        prepare(before)
        process = subprocess.Popen(command)
        time.sleep(seconds * (i + 1) / 12)
        process.kill()
        process.wait()
        check(f"killed after {i + 1}/12 of the time", before)
else:
    # One byte too few for the end, and too few for the last weights.
    for limit in (len(whole) - 1, len(whole) - len(whole) // 8):
        for before in (None, b"the one before"):
            prepare(before)
            # As from a shell: SIGXFSZ would end a program that doesn't expect it.
            result = subprocess.run(
                command, stderr=subprocess.PIPE, text=True,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            print(f"exit code {result.returncode}: {result.stderr}", end="")
            check(f"at most {limit} bytes", before)
    # A small disk, where this user may mount one.
    prepare(None)
    mount = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && "$@"; code=$?; ls "${@: -1}" 2>&1; exit $code'
    room = str(len(whole) - len(whole) // 8)
    small = ["unshare", "--mount", "bash", "-c"]
    if subprocess.run(small + ['mount -t tmpfs none "$0"', folder], stderr=subprocess.DEVNULL).returncode == 0:
        result = subprocess.run(small + [mount, "bash", room, folder] + command,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        print(f"exit code {result.returncode}: {result.stderr}", end="")
        if "No such file" not in result.stdout + result.stderr:
            sys.exit("on a full disk: a file was left")
