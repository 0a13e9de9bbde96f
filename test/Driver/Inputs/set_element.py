"""Sets element [1, 2] of a float matrix in a .safetensors file.

  set_element.py FILE TENSOR VALUE
"""

import json
import struct
import sys

path, tensor, value = sys.argv[1], sys.argv[2], float(sys.argv[3])
with open(path, "rb") as file:
    data = bytearray(file.read())
length = struct.unpack_from("<Q", data)[0]
entry = json.loads(data[8 : 8 + length])[tensor]
element = entry["shape"][1] + 2
start = 8 + length + entry["data_offsets"][0]
if entry["dtype"] == "F32":
    struct.pack_into("<f", data, start + 4 * element, value)
elif entry["dtype"] == "F16":
    struct.pack_into("<e", data, start + 2 * element, value)
else:
    assert entry["dtype"] == "BF16", entry["dtype"]
    data[start + 2 * element : start + 2 * element + 2] = struct.pack("<f", value)[2:]
with open(path, "wb") as file:
    file.write(data)
