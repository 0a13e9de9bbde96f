#!/usr/bin/env python3
"""Writes tokenizers.jsonl: small tokenizers of many kinds, a line each, with
what Hugging Face's tokenizers makes of some strings:
  {"name", "tokenizer", "strings": [{"text", "ids", "plain", "decoded", "visible"}]}
ids: special tokens parsed and added; plain: neither; decoded and visible: the
text of ids with and without special tokens.

  make_tokenizers.py > tokenizers.jsonl
"""

import json

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import BPE

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
MERGES = """h e|l l|he ll|hell o|Ġ w|o r|Ġw or|l d|Ġwor ld|Ġ Ġ|ĠĠ ĠĠ|1 2|12 3|a b|ab c|b c|a a|aa aa
Ã ©|Ġ a|Ġa b|' s|' l|'l l|< s|Ġ <|\u010a \u010a|ð Ł|ðŁ ĺ|ðŁĺ Ģ|t e|te s|tes t|Ċ \u0120|e \u00cc|x y"""
STRINGS = [
    "",
    " ",
    "hello world",
    "  hello   world  ",
    "hello\n\n world\t\n",
    "123 1234 12a3",
    "abc ab bc abcabc aaaaaaa",
    "it's IT'S we'll WE'LL he'\u017f",
    "café cafe\u0301 é e\u0301!",
    "😀😀 \U0001f600x",
    "½ ² Ⅷ ٣ \U00011de3 \U00016ff5",
    "\u180e \u200b\u00a0x\u3000y\u0085z",
    "\U000323b0\U00010d50 \u1c89\u0897",
    "<s>hello</s>",
    "hello <s> world</s> <s>",
    "x <mask> y",
    "x  \n<mask>  y",
    "<mask><mask>",
    " <right>  \t x<right>",
    "a word b",
    "sword word wordy word",
    "\u00e9word word\u200c word\u24b6 (word)",
    "abcd abc ab",
    "e\u0301!? \u00e9! o\u0304!? \u014d! \u014d\u014d\u014d o\u0304\u014d",
    "<s",
    "<s><mask",
    "one<|two|>three",
    "a-b--c",
    "xy" * 40,
    "a" * 100,
    " " * 70 + "x",
    "hello world" * 9,
    "\x00\x7f\ufffd\uffff\U0010ffff",
    "\u1100\u1161\u11a8 \uac01",
    "\u0958 \u2126 \u212b",
    "a\u0315\u0300\u05ae\u0300b",
]


def base(**options):
    alphabet = [*map(chr, [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)])]
    alphabet += [chr(0x100 + i) for i in range(256 - len(alphabet))]
    for character in options.pop("without", ""):
        alphabet.remove(character)
    vocab = {c: i for i, c in enumerate(alphabet)}
    merges = []
    for merge in MERGES.replace("\n", "|").split("|"):
        left, right = merge.split(" ")
        if left in vocab and right in vocab:
            vocab.setdefault(left + right, len(vocab))
            merges.append((left, right))
    vocab["whole"] = len(vocab)  # only found whole
    if "unk_token" in options:
        vocab[options["unk_token"]] = len(vocab)
    tokenizer = Tokenizer(BPE(vocab, merges, **options))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def add_tokens(tokenizer):
    tokenizer.add_tokens(
        [
            AddedToken("<s>", special=True),
            AddedToken("</s>", special=True),
            AddedToken("<mask>", special=True, lstrip=True),
            AddedToken("<right>", rstrip=True, special=True),
            AddedToken("word", single_word=True, normalized=False),
            AddedToken("ab"),
            AddedToken("abcd"),
            AddedToken("o\u0304!", normalized=True),
            AddedToken("\u014d\u014d", normalized=False),
            AddedToken("--", normalized=False),
            AddedToken("<|two|>", special=True, normalized=False),
        ]
    )
    ids = [(t, tokenizer.token_to_id(t)) for t in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=ids
    )
    return tokenizer


def tokenizers():
    t = base()
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    yield "prefix_space", t
    t = add_tokens(base())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    yield "prefix_space_added", t
    t = add_tokens(base())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    yield "digits", t
    t = base()
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split("-", "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    yield "split_string", t
    t = add_tokens(base(ignore_merges=True))
    t.normalizer = normalizers.Sequence([normalizers.NFC()])
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ]
    )
    t.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=True), t.post_processor]
    )
    yield "llama3_nfc", t
    t = base()
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"(?=l)|\u006f{2,}|x*"), "isolated"),
            pre_tokenizers.ByteLevel(False),
        ]
    )
    yield "empty_matches", t
    yield "dropped_bytes", base(without="wĠÃ")
    yield "unknown_bytes", base(without="wĠÃ", unk_token="<unk>")


for name, tokenizer in tokenizers():
    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.encode_special_tokens = True
    strings = []
    for text in [*STRINGS, "whole whole"]:
        ids = tokenizer.encode(text).ids
        strings.append(
            {
                "text": text,
                "ids": ids,
                "plain": plain.encode(text, add_special_tokens=False).ids,
                "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                "visible": tokenizer.decode(ids, skip_special_tokens=True),
            }
        )
    print(
        json.dumps({"name": name, "tokenizer": json.loads(tokenizer.to_str()), "strings": strings})
    )
