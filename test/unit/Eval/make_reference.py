#!/usr/bin/env python3
"""Writes EvaluateReference.inc: what EvaluateTest.cpp's models give, by numpy.

The logits follow the test's formula; see hashed() and logits() there.
"""

import pathlib

import numpy as np

VOCABULARY, WINDOW = 50, 16


def hashed(seed, index):
    mask = np.uint64(0xFFFFFFFF)
    x = (np.uint64(seed) + index.astype(np.uint64) * np.uint64(2654435761)) & mask
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x85EBCA6B)) & mask
    x = ((x ^ (x >> np.uint64(13))) * np.uint64(0xC2B2AE35)) & mask
    x ^= x >> np.uint64(16)
    return (x >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def logits(noise, position, token):
    index = np.arange(VOCABULARY) + (position * 31 + token) * VOCABULARY
    return np.float32(4) * hashed(1, index) + np.float32(noise) * hashed(2, index)


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max()
    return x - np.log(np.exp(x).sum())


def evaluate(tokens, windows):
    nll, reference_nll, kl, same = [], [], [], []
    for window in range(windows):
        for position in range(WINDOW):
            at = window * WINDOW + position
            q, p = (log_softmax(logits(n, position, tokens[at])) for n in (0.75, 0.0))
            if position + 1 < WINDOW:
                nll.append(-q[tokens[at + 1]])
                reference_nll.append(-p[tokens[at + 1]])
            kl.append((np.exp(p) * (p - q)).sum())
            same.append(q.argmax() == p.argmax())
    kl = np.array(kl)
    return [np.mean(nll), np.mean(reference_nll), kl.mean(), kl.std(ddof=1) / np.sqrt(len(kl)),
            np.percentile(kl, 99), np.mean(same)]


def main():
    tokens = [i * i * 7 % VOCABULARY for i in range(5 * WINDOW + 7)]
    lines = ["// Written by make_reference.py: nll, reference nll, KL, its error, p99, top-1."]
    for name, windows in (("three", 3), ("all", 5)):
        values = ", ".join(repr(float(v)) for v in evaluate(tokens, windows))
        lines.append(f"constexpr double {name}Windows[] = {{{values}}};")
    path = pathlib.Path(__file__).parent / "EvaluateReference.inc"
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
