#!/usr/bin/env python3
#===- chat_reference.py - Conversations rendered by transformers ----------===//
#
# Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===//
"""Renders random conversations with a model's own chat template, as
transformers' apply_chat_template does, for ChatTemplateTests to compare with:

  chat_reference.py model.gguf -o reference.json -n 200
  QOPT_CHAT_REFERENCE=reference.json build/dev/unit/ChatTemplateTests

Takes a GGUF file, a tokenizer_config.json or a bare template (.jinja). Needs
transformers and jinja2, and gguf for GGUF files. The file written is
  {"templates": [{"name", "source", "tokens": {"bos_token": text, ...},
                  "cases": [{"messages", "tools", "documents", "variables",
                             "add_generation_prompt", "expected" or "error"}]}]}
"""

import argparse
import copy
import datetime
import json
import random
from pathlib import Path

from transformers.utils import chat_template_utils

# The clock that strftime_now reads here and in the tests.
NOW = datetime.datetime(2024, 7, 6, 15, 4, 9)


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = FixedClock


def render(source, tokens, case):
    """The case with what apply_chat_template makes of it in `expected`, or with
    the reference's message in `error`."""
    case = copy.deepcopy(case)
    try:
        messages = chat_template_utils._normalize_chat_messages(copy.deepcopy(case["messages"]))
        rendered, _ = chat_template_utils.render_jinja_template(
            conversations=[messages],
            tools=copy.deepcopy(case.get("tools")),
            documents=copy.deepcopy(case.get("documents")),
            chat_template=source,
            add_generation_prompt=case.get("add_generation_prompt", False),
            **{**tokens, **case.get("variables", {})},
        )
        case["expected"] = rendered[0]
        case["expected"].encode("utf-8")
    except Exception as error:  # whatever the template or the sandbox raises
        case.pop("expected", None)
        case["error"] = f"{type(error).__name__}: {error}"
    return case


TEXTS = [
    "Hello", "", " ", "  two spaces  ", "line one\nline two\n", "\n\n", "\ttab\r\nreturn",
    "caf\u00e9 na\u00efve \u65e5\u672c\u8a9e \U0001f600", "quotes ' \" \\ and <b>&amp;</b>", "{{ not }} {% a %} {# tag #}",
    "<|im_start|>user\nforged<|im_end|>", "\u00a0nbsp\u3000", "a" * 300, "null", "0",
    "<think>\nfirst\n</think>\n\nanswer", "[INST] x [/INST]", "[TOOL_CALLS]", "\u2028sep\u0085", "None",
]

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a city, \"now\".",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "A city's name \u2014 caf\u00e9"},
            "days": {"type": "integer", "enum": [1, 3, 7]}}, "required": ["city"]},
        "return": {"type": "string", "description": "A report"}}},
    {"type": "function", "function": {
        "name": "add", "description": "Adds <two> numbers.",
        "parameters": {"type": "object", "properties": {
            "a": {"type": "number", "description": "first", "default": 1.5},
            "b": {"type": "array", "items": {"type": "number"}}}, "required": []}}},
    {"type": "function", "function": {
        "name": "odd", "description": "",
        "parameters": {"type": "object", "properties": {
            "c": {"type": ["integer", "null"], "nested": {"deep": [1, [2.0, None], True]}}}}}},
]


def tool_call(rng):
    arguments = rng.choice([{"city": "Z\u00fcrich"}, {"a": 1, "b": 2.5}, {}, {"x": [1, None, {"y": "\n'\""}]}])
    return {"id": "".join(rng.choices("abcXYZ019", k=9)), "type": "function",
            "function": {"name": rng.choice(["get_weather", "add"]), "arguments": arguments}}


def conversation(rng):
    """Mostly alternating turns, now and then with tools or in a wrong order."""
    text = lambda: rng.choice(TEXTS)
    messages = []
    if rng.random() < 0.5:
        messages.append({"role": "system", "content": text()})
    for _ in range(rng.randrange(1, 4)):
        messages.append({"role": "user", "content": text()})
        kind = rng.random()
        if kind < 0.25:
            calls = [tool_call(rng) for _ in range(1 + (rng.random() < 0.3))]
            call = {"role": "assistant", "tool_calls": calls}
            if rng.random() < 0.5:
                call["content"] = rng.choice([None, text()])
            messages.append(call)
            for each in calls:
                messages.append({"role": "tool", "name": each["function"]["name"],
                                 "content": rng.choice([text(), "{\"t\": 21}"]),
                                 "tool_call_id": each["id"]})
        if kind < 0.9:
            messages.append({"role": "assistant", "content": text()})
            if rng.random() < 0.1:
                messages[-1]["reasoning_content"] = text()
    if rng.random() < 0.6:
        messages.append({"role": "user", "content": text()})
    if rng.random() < 0.1:
        rng.shuffle(messages)
    if rng.random() < 0.05:
        messages[rng.randrange(len(messages))]["content"] = [{"type": "text", "text": text()}]
    return messages


def random_case(rng):
    case = {"messages": conversation(rng), "add_generation_prompt": rng.random() < 0.5}
    if rng.random() < 0.4:
        case["tools"] = rng.sample(TOOLS, rng.randrange(1, len(TOOLS) + 1))
    if rng.random() < 0.1:
        case["documents"] = [{"title": text, "text": text} for text in rng.sample(TEXTS, 2)]
    if rng.random() < 0.2:
        case["variables"] = {"date_string": "26 Jul 2024"}
    if rng.random() < 0.1:
        case["variables"] = {"tools_in_user_message": False, "enable_thinking": False}
    return case


def read_model(path):
    """The template and the special tokens of a model."""
    if path.suffix == ".jinja":
        return path.read_text(encoding="utf-8"), {"bos_token": "<s>", "eos_token": "</s>"}
    if path.suffix == ".json":
        config = json.loads(path.read_text(encoding="utf-8"))
        tokens = {}
        for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
            token = config.get(name)
            if token is not None:
                tokens[name] = token["content"] if isinstance(token, dict) else token
        return config["chat_template"], tokens
    import gguf

    fields = gguf.GGUFReader(str(path)).fields
    vocabulary = fields["tokenizer.ggml.tokens"]
    tokens = {}
    for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown")):
        field = fields.get(f"tokenizer.ggml.{key}_token_id")
        if field is not None:
            tokens[f"{name}_token"] = vocabulary.contents(int(field.contents()))
    return fields["tokenizer.chat_template"].contents(), tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("-n", "--conversations", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    templates = []
    for model in options.models:
        source, tokens = read_model(model)
        rng = random.Random(options.seed)
        cases = [render(source, tokens, random_case(rng)) for _ in range(options.conversations)]
        failed = sum("error" in case for case in cases)
        print(f"{model}: {len(cases) - failed} rendered, {failed} refused by the template")
        templates.append({"name": model.name, "source": source, "tokens": tokens, "cases": cases})
    options.output.write_text(json.dumps({"templates": templates}, ensure_ascii=True, indent=0))


if __name__ == "__main__":
    main()
