"""Copies an artifact with one bit changed.

  flip.py FROM TO code|weights|manifest|version
"""

import json
import struct
import subprocess
import sys

source, target, part = sys.argv[1:]
with open(source, "rb") as file:
    data = bytearray(file.read())
if part == "manifest":
    offset = struct.unpack_from("<Q", data, 16)[0]
elif part == "version":
    offset = 8
else:
    found = json.loads(subprocess.check_output(["qopt", "inspect", source, "--json"]))
    section = found["programs"][0]["code"] if part == "code" else found["programs"][0]["weights"][-1]["section"]
    offset = section["offset"] + section["size"] // 2
data[offset] ^= 1
with open(target, "wb") as file:
    file.write(data)
