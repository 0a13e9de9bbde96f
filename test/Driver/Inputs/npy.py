"""Prints the type and shape of a .npy file and whether its size fits them."""

import ast
import math
import struct
import sys

with open(sys.argv[1], "rb") as file:
    assert file.read(8) == b"\x93NUMPY\x01\x00"
    header = ast.literal_eval(file.read(struct.unpack("<H", file.read(2))[0]).decode())
    data = file.read()
values = struct.unpack(f"<{len(data) // 4}f", data)
assert len(data) == 4 * math.prod(header["shape"]), (len(data), header)
assert not header["fortran_order"]
print(header["descr"], header["shape"], "finite" if all(map(math.isfinite, values)) else "not finite")
