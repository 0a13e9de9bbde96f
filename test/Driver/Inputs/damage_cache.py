"""Damages every object of a cache: by turns a flipped bit, a missing end, no bytes.

  damage_cache.py FOLDER
"""

import os
import sys

for index, name in enumerate(sorted(os.listdir(sys.argv[1]))):
    path = os.path.join(sys.argv[1], name)
    with open(path, "rb") as file:
        data = bytearray(file.read())
    if index % 3 == 0:
        data[len(data) // 2] ^= 4
    with open(path, "wb") as file:
        file.write(data if index % 3 == 0 else data[:-1] if index % 3 == 1 else b"")
