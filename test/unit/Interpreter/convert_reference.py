#!/usr/bin/env python3
"""Writes the arrays of an export's reference as ref_past/<name>.npy.

    convert_reference.py ref_past.npz

The file holds the inputs and outputs of the reference implementation (float32) on the model of
test/fixtures/exports/hf: 7 tokens behind a past of 5, for a batch of 2.
"""

import pathlib
import sys

import numpy as np


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    names = {"ids": "input_ids", "am": "attention_mask", "pos": "position_ids"}
    folder = pathlib.Path(__file__).parent / "ref_past"
    folder.mkdir(exist_ok=True)
    for name, array in np.load(sys.argv[1]).items():
        np.save(folder / f"{names.get(name, name)}.npy", np.ascontiguousarray(array))


if __name__ == "__main__":
    main()
