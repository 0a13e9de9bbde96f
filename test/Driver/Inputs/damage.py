"""Damages a file and runs a command that reads it.

  damage.py FILE NAME FOLDER COMMAND...

FILE is cut at some places, and has a bit flipped at others. Each time the command must end with
exit code 1, one error that has NAME in it, and nothing in FOLDER; of a flipped bit that leaves a
valid file, with exit code 0.
"""

import os
import random
import subprocess
import sys

places = 10
path, name, folder, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
with open(path, "rb") as file:
    whole = file.read()
numbers = random.Random(1)


def write(data):
    with open(path, "wb") as file:
        file.write(data)


def clear():
    for entry in os.listdir(folder):
        os.remove(os.path.join(folder, entry))


def run(what, data, codes):
    write(data)
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    text = result.stderr.decode(errors="replace")
    if result.returncode not in codes:
        sys.exit(f"{what}: exit code {result.returncode}: {text}")
    if result.returncode == 0:
        return clear()
    if not text.startswith("qopt: error: ") or text.count("qopt: error: ") > 1 or name not in text:
        sys.exit(f"{what}: expected one error with '{name}', found: {text}")
    if any(not c.isprintable() for c in text.replace("\n", "")):
        sys.exit(f"{what}: control characters in {text!r}")
    if os.listdir(folder):
        sys.exit(f"{what}: {os.listdir(folder)} were left")


run("whole", whole, [0])
for _ in range(places):
    size = numbers.randrange(len(whole))
    run(f"the first {size} bytes", whole[:size], [1])
for _ in range(places):
    place, bit = numbers.randrange(len(whole)), numbers.randrange(8)
    data = bytearray(whole)
    data[place] ^= 1 << bit
    run(f"bit {bit} of byte {place}", data, [0, 1])
write(whole)
