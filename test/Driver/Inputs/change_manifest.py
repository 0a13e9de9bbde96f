"""Copies an artifact with a text of its manifest replaced by another of the
same length, wherever it stands, and the manifest's hash set right again.

  change_manifest.py FROM TO OLD NEW
"""

import ctypes
import os
import struct
import sys


class Hash(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


xxh3 = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
xxh3.restype = Hash
xxh3.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

source, target, old, new = sys.argv[1:]
assert len(old) == len(new)
with open(source, "rb") as file:
    data = bytearray(file.read())
# docs/artifact.md: the manifest's offset and size at bytes 16 and 24, its hash at 40.
offset, size = struct.unpack_from("<QQ", data, 16)
manifest = bytes(data[offset : offset + size])
assert os.fsencode(old) in manifest
manifest = manifest.replace(os.fsencode(old), os.fsencode(new))
data[offset : offset + size] = manifest
found = xxh3(manifest, size)
struct.pack_into(">QQ", data, 40, found.high, found.low)
with open(target, "wb") as file:
    file.write(data)
