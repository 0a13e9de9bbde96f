"""Copies an export of the fixtures with something else in it.

  edit_onnx.py EXPORT FOLDER OLD NEW [OLD NEW...]   texts of protoc's text format, each replaced
                                                    wherever it stands
  edit_onnx.py EXPORT FOLDER window N               a mask that hides what is N tokens back

Writes FOLDER/model.onnx, with the export's external data beside it.
"""

import os
import shutil
import subprocess
import sys

export, folder, edits = sys.argv[1], sys.argv[2], sys.argv[3:]
schema = os.path.join(os.path.dirname(__file__), "..", "..", "..", "lib", "Frontend", "ONNX")


def protoc(action, data):
    command = ["protoc", f"--{action}=qopt.onnx.ModelProto", f"--proto_path={schema}", "onnx.proto"]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def replace(text, old, new):
    if old not in text:
        sys.exit(f"edit_onnx.py: '{old}' is not in {export}")
    return text.replace(old, new)


def node(op, inputs, output):
    operands = "".join(f'    input: "{name}"\n' for name in inputs)
    return f'  node {{\n{operands}    output: "{output}"\n    name: "{output}"\n    op_type: "{op}"\n  }}\n'


def add_window(text, size):
    """keys <= queries becomes keys <= queries and keys > queries - size."""
    end = text.index('    op_type: "LessOrEqual"\n  }\n')
    start = text.rindex("  node {\n", 0, end)
    end = text.index("  }\n", end) + len("  }\n")
    keys, queries, result = [line.split('"')[1] for line in text[start:end].splitlines()[1:4]]
    window = (
        node("LessOrEqual", [keys, queries], "causal")
        + node("Sub", [queries, "window"], "window_begin")
        + node("Greater", [keys, "window_begin"], "is_near")
        + node("And", ["causal", "is_near"], result)
    )
    constant = f'  initializer {{\n    data_type: 7\n    name: "window"\n    int64_data: {size}\n  }}\n'
    return text[:start] + window + constant + text[end:]


with open(export, "rb") as file:
    text = protoc("decode", file.read()).decode("ascii")
if edits[0] == "window":
    text = add_window(text, int(edits[1]))
else:
    for old, new in zip(edits[::2], edits[1::2]):
        text = replace(text, old, new)
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "model.onnx"), "wb") as file:
    file.write(protoc("encode", text.encode("ascii")))
data = os.path.join(os.path.dirname(export), "exports.data")
shutil.copy(data, os.path.join(folder, "exports.data"))
