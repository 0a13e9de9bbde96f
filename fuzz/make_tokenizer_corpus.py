#!/usr/bin/env python3
#===- make_tokenizer_corpus.py - Seeds of TokenizerFuzzer -----------------===//
#
# Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===//
"""Writes fuzz/corpus/TokenizerFuzzer: small tokenizers, spelled in protobuf's
text format and encoded by protoc, each with a text."""
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMA = HERE.parent / "lib/Runtime/Artifact"

BYTES = "".join(f'vocabulary: "\\{byte:03o}" ' for byte in range(97, 103))  # a to f
MERGES = 'vocabulary: "ab" vocabulary: "abc" merges: [0, 1, 6, 6, 2, 7] '
SEEDS = {
    "merges": (BYTES + MERGES, "abcabfed"),
    "regex": (BYTES + MERGES + r"""splits { kind: ISOLATED_REGEX regex: "\\p{L}+|\\s+(?!\\S)|\\s+" }
              splits { kind: INDIVIDUAL_DIGITS } ignore_merges: true add_prefix_space: true""",
              "abc  ab 12\u00e9\n"),
    "added": (BYTES + MERGES + """vocabulary: "<s>" vocabulary: "</s>" vocabulary: " x"
              added_tokens { id: 8 special: true } added_tokens { id: 9 lstrip: true rstrip: true }
              added_tokens { id: 10 single_word: true normalized: true }
              bos_id: 8 eos_id: 9 unk_id: 10 add_bos: true add_eos: true nfc: true""",
              "a<s> b  </s>  x xe\u0301"),
}

for name, (tokenizer, text) in SEEDS.items():
    encoded = subprocess.run(
        ["protoc", f"--proto_path={SCHEMA}", "--encode=qopt.artifact.Tokenizer", "tokenizer.proto"],
        input=tokenizer.encode(), stdout=subprocess.PIPE, check=True).stdout
    seed = len(encoded).to_bytes(2, "little") + encoded + text.encode()
    (HERE / "corpus/TokenizerFuzzer" / name).write_bytes(seed)
