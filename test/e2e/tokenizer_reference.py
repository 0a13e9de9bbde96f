#!/usr/bin/env python3
"""Writes a folder with reference tokenizations, which TokenizerReferenceTest
compares with qopt's when QOPT_TOKENIZER_REFERENCE names the folder.

  tokenizer_reference.py smollm2 MODEL.gguf FOLDER [--text FILE]
  tokenizer_reference.py llama3 tokenizer.model FOLDER [--text FILE]

Needs the Python packages tokenizers and, for smollm2, gguf; for llama3 the
strings are compared with the package tiktoken too where it is installed.

The folder gets tokenizer.json (the reference, built here from the source's
vocabulary), vocabulary.json or tokenizer.model (the source as qopt's importers
take it) and strings.jsonl, a line per string or id sequence:
  {"text", "ids", "plain"}   ids with special tokens parsed and added, and
                             with neither
  {"ids", "decoded", "visible"}  the text with and without special tokens
"""

import argparse
import base64
import json
import os
import random
import shutil
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

LLAMA3_REGEX = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_alphabet():
    """GPT-2's byte -> printable character."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}


def smollm2(path, folder):
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    value = lambda name: fields["tokenizer.ggml." + name].contents()
    tokens, types, merges = value("tokens"), value("token_type"), value("merges")
    vocabulary = {"tokens": tokens, "types": types, "merges": merges}
    for key in ("model", "pre"):
        vocabulary[key] = value(key)
    for key, field in (
        ("bos", "bos_token_id"),
        ("eos", "eos_token_id"),
        ("pad", "padding_token_id"),
    ):
        vocabulary[key] = value(field)
    vocabulary["addBos"] = value("add_bos_token")
    with open(os.path.join(folder, "vocabulary.json"), "w") as file:
        json.dump(vocabulary, file)

    model = BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges])
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = [t for t, kind in zip(tokens, types) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in specials])
    return tokenizer, specials, None


def llama3_specials():
    names = [
        "begin_of_text",
        "end_of_text",
        "reserved_special_token_0",
        "reserved_special_token_1",
        "finetune_right_pad_id",
        "reserved_special_token_2",
        "start_header_id",
        "end_header_id",
        "eom_id",
        "eot_id",
        "python_tag",
    ]
    names += [f"reserved_special_token_{i}" for i in range(3, 248)]
    return [f"<|{name}|>" for name in names]


def llama3(path, folder):
    shutil.copyfile(path, os.path.join(folder, "tokenizer.model"))
    ranks = {}
    with open(path) as file:
        for line in file:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    alphabet = byte_alphabet()
    spell = lambda token: "".join(alphabet[b] for b in token)
    merges = []
    for token, rank in ranks.items():
        cuts = [(ranks.get(token[:i]), ranks.get(token[i:]), i) for i in range(1, len(token))]
        cuts = sorted(c for c in cuts if c[0] is not None and c[1] is not None)
        merges += [(rank, spell(token[:i]), spell(token[i:])) for _, _, i in cuts]
    merges.sort(key=lambda merge: merge[0])
    vocab = {spell(token): rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(BPE(vocab, [(l, r) for _, l, r in merges], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3_REGEX), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = llama3_specials()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in specials])
    bos = specials[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    try:
        import tiktoken
    except ImportError:
        return tokenizer, specials, None
    ids = {t: tokenizer.token_to_id(t) for t in specials}
    return (
        tokenizer,
        specials,
        tiktoken.Encoding(
            "llama3", pat_str=LLAMA3_REGEX, mergeable_ranks=ranks, special_tokens=ids
        ),
    )


WORDS = """the of and to in is that it was for on are as with his they at be this from have or by
one had not but what all were when we there can an your which their said if do will each about how
Antidisestablishmentarianism HTTP GPUs iPhone McDonald naïve café Zürich straße Ελληνικά αρχή привет мир
שלום مرحبا नमस्ते สวัสดี こんにちは 世界 안녕하세요 你好 Việt Nam ქართული ትግርኛ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﬁn ǅ İstanbul ſharp""".split()
SPACES = [
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\v",
    "\f",
    "\x85",
    "\xa0",
    "\u1680",
    "\u180e",
    "\u2003",
    "\u2028",
    "\u2029",
    "\u202f",
    "\u3000",
    "\u200b",
    "\ufeff",
    " \n ",
    "\n \n",
]
DIGITS = [
    "0",
    "7",
    "42",
    "123",
    "2024",
    "1234567890",
    "3.14",
    "1,000",
    "½",
    "²",
    "Ⅷ",
    "٣",
    "१२३",
    "①",
    "𝟘",
    "𑁦",
    "一",
    "\U00011de3",
    "\U00016ff5",
    "\u3007",
    "0x1F",
    "1e-5",
]
CONTRACTIONS = [
    "'s",
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "'S",
    "'RE",
    "'Ll",
    "'ſ",
    "'sT",
    "’s",
    "''s",
    "'x",
    "'",
    "'\u212a",
    "'lſ",
    "'vE",
]
EMOJI = [
    "😀",
    "👍🏽",
    "👨\u200d👩\u200d👧",
    "🇨🇭",
    "❤️",
    "1️⃣",
    "🏴\U000e0067\U000e0062\U000e007f",
    "\U0001fae8",
]
MARKS = [
    "e\u0301",
    "a\u0308\u0301",
    "\u0301",
    "क\u094d\u0937",
    "n\u0303o",
    "\u1acf",
    "\U00011fff",
    "각",
    "\u1100\u1161",
]
PUNCTUATION = list('.,;:!?()[]{}<>@#$%^&*-_=+/\\|~`"') + [
    "...",
    "——",
    "«",
    "»",
    "。",
    "、",
    "¿",
    "€",
    "->",
    "!=",
    "\x00",
    "\x7f",
    "\x1b[0m",
    "\ufffd",
    "\ufffe",
    "\uffff",
]


def strings(specials):
    """At least 10,000 strings, the same in every run."""
    rng = random.Random(0)
    yield ""
    # Every code point of every plane.
    points = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    for i in range(0, len(points), 128):
        yield "".join(map(chr, points[i : i + 128]))
    # Every assigned one outside of the big ideographic blocks (and a sample of the others) in context.
    for c in points:
        if (
            unicodedata.category(chr(c)) in ("Cn", "Co")
            or "IDEOGRAPH" in unicodedata.name(chr(c), "")
            or "HANGUL SYL" in unicodedata.name(chr(c), "")
        ):
            if rng.random() > 0.002:
                continue
        elif rng.random() > 0.25:
            continue
        x = chr(c)
        yield f"a{x}b {x} {x}{x}1{x}  {x}\n{x}'s{x}"
    # Runs.
    for unit in [
        *SPACES,
        "a",
        "ab",
        "é",
        "世",
        "0",
        "12",
        "!",
        "'s",
        "😀",
        "-",
        "\u0301",
        "Ġ",
        specials[0][0],
    ]:
        for count in (2, 3, 4, 5, 8, 17, 31, 32, 33, 34, 63, 100, 257, 1000, 4099):
            yield unit * count
            yield "x" + unit * count + "y"
    # Mixtures.
    pools = [WORDS, SPACES, DIGITS, CONTRACTIONS, EMOJI, MARKS, PUNCTUATION, [" "], specials]
    weights = [8, 3, 3, 2, 1, 1, 3, 8, 1]
    for _ in range(12000):
        pool = rng.choices(pools, weights, k=rng.randint(1, 24))
        yield "".join(rng.choice(p) for p in pool)
    for special in specials:
        yield f"{special}"
        yield f" {special} x{special}{special}\n{special[:-1]} {special[1:]} {special}{special[-1]}"
    # Random characters of all planes.
    for _ in range(3000):
        yield "".join(chr(rng.choice(points)) for _ in range(rng.randint(1, 40)))


def id_sequences(size):
    """Random ids: most of them are no text, many end inside of a character."""
    rng = random.Random(1)
    for _ in range(3000):
        yield [rng.randrange(size) for _ in range(rng.randint(1, 30))]
    for _ in range(3000):  # single bytes and their like
        yield [rng.randrange(min(size, 400)) for _ in range(rng.randint(1, 12))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("smollm2", "llama3"))
    parser.add_argument("source")
    parser.add_argument("folder")
    parser.add_argument("--text", help="a file to tokenize as a whole and by lines")
    arguments = parser.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    tokenizer, specials, second = globals()[arguments.kind](arguments.source, arguments.folder)
    tokenizer.save(os.path.join(arguments.folder, "tokenizer.json"))

    texts = list(strings(specials))
    if arguments.text:
        with open(arguments.text, encoding="utf-8", newline="") as file:
            text = file.read()
        texts += [text, *text.splitlines(keepends=True)]

    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.encode_special_tokens = True
    different = 0
    with open(os.path.join(arguments.folder, "strings.jsonl"), "w") as out:
        for text in texts:
            ids = tokenizer.encode(text).ids
            entry = {
                "text": text,
                "ids": ids,
                "plain": plain.encode(text, add_special_tokens=False).ids,
            }
            print(json.dumps(entry), file=out)
            if second:
                bos = ids[:1]
                different += bos + second.encode(text, allowed_special="all") != ids
        for ids in id_sequences(tokenizer.get_vocab_size()):
            entry = {
                "ids": ids,
                "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                "visible": tokenizer.decode(ids, skip_special_tokens=True),
            }
            print(json.dumps(entry), file=out)
    print(f"{len(texts)} strings, vocabulary of {tokenizer.get_vocab_size()}")
    if second:
        print(f"tiktoken differs from tokenizers in {different} of them")
    return 0


sys.exit(main())
