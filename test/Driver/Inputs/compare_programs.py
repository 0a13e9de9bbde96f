"""Compares the programs of an artifact for several targets with those of artifacts for
one each, by `qopt inspect --json`.

  compare_programs.py SEVERAL.json ONE.json...
"""

import json
import sys


def load(path):
    with open(path) as file:
        return json.load(file)["programs"]


def place_free(program):
    """Without what depends on the rest of the file: where sections are."""
    for section in [program["code"]] + [weight["section"] for weight in program["weights"]]:
        del section["offset"]
    return program


several = load(sys.argv[1])
offsets = [weight["section"]["offset"] for program in several for weight in program["weights"]]
shared = len(offsets) - len(set(offsets))
singles = [program for path in sys.argv[2:] for program in load(path)]
for program, single in zip(several, singles, strict=True):
    assert place_free(program) == place_free(single), program["target"]
print(f"{len(several)} programs, equal, {shared} sections shared")
