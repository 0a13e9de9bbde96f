#!/usr/bin/env python3
#===- make_reference.py - Small templates rendered by transformers --------===//
#
# Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===----------------------------------------------------------------------===//
"""Writes reference.json: small templates of our own, each construct that chat
templates use, rendered by transformers (see test/e2e/chat_reference.py for the
format). Needs transformers and jinja2.

  make_reference.py            writes test/unit/ChatTemplate/reference.json
"""
import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "e2e"))
import chat_reference  # noqa: E402

# What the snippets see besides `messages`.
DATA = {
    "n": 7, "m": -3, "x": 2.5, "big": 1e16, "tiny": 1e-5, "t": True, "f": False, "z": None,
    "s": "Hello World", "pad": "  \tpadded\u00a0\n", "u": "na\u00efve \u0130\u03a3\u03c2 stra\u00dfe \ufb01 \U0001f600",
    "empty": "", "list": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "nested": [[1, 2], [3, [4]]],
    "d": {"b": 1, "a": {"k": [1, None, True, 1.0]}, "items": "key", "get": 5, "10": "ten"},
    "people": [{"name": "Ann", "age": 41, "tags": ["a"]}, {"name": "bob", "age": 7},
               {"name": "Cy", "age": 41, "tags": []}],
    "lines": "one\ntwo\r\n\nfour\u2028five", "html": "<a href='x'>\"&\"</a>", "csv": "a,b,,c",
    "esc": "tab\t nl\n q\" b\\ \x01\x7f \u00e9 \u2028 \U0001f600",
}

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Bye"}]

SNIPPETS = r"""
{{ s }}|{{ n }}|{{ x }}|{{ t }}|{{ z }}|{{ missing }}|{{ list }}|{{ d }}
{{ big }} {{ tiny }} {{ 1.0 }} {{ 1e3 }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1.5e-7 }} {{ 123456789012345678 }}
{{ 'single' "double" 'a\nb\t\\\'\"\x41\u00e9\U0001F600\101\q' }}
{{ '\é \中' }}
{{ n + 1 }} {{ n - 10 }} {{ n * 2 }} {{ n / 2 }} {{ n // 2 }} {{ n % 4 }} {{ n ** 2 }} {{ m // 2 }} {{ m % 5 }} {{ -n // 2 }} {{ x % -2 }} {{ x // -2 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }}
{{ 1 + t }} {{ +t }} {{ -t }} {{ - n }} {{ +x }} {{ 7.0 // 2 }} {{ -7.5 % 2 }} {{ 0.1 + 0.2 }} {{ 1 / 3 }}
{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ [1] * 2 }} {{ 'a' * -1 }}| {{ [1] + [2] }} {{ (1,) + (2, 3) }} {{ 'a' + 'b' }}
{{ s ~ n ~ z ~ missing ~ x ~ [1, 'a'] }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 == 1.0 }} {{ t == 1 }} {{ 'a' != 'b' }} {{ 3 >= 3 }} {{ z == none }} {{ missing == other }} {{ (1,) == [1] }}
{{ 'lo' in s }} {{ 'x' not in s }} {{ 2 in list }} {{ 9 in list }} {{ 'a' in d }} {{ 1 in d }} {{ 'x' in missing }} {{ [1, 2] in nested }} {{ not 'a' in s }}
{{ s and n }} {{ empty or 'else' }} {{ not empty }} {{ z or f or 0 }} {{ t and '' }} {{ not not n }}
{{ 'yes' if n > 3 else 'no' }} {{ 'yes' if f }}| {{ 1 if f else 2 if t else 3 }} {{ ('x' if f) is undefined }}
{{ list[0] }} {{ list[-1] }} {{ list[5] }}| {{ s[0] }} {{ s[-1] }} {{ u[2] }} {{ d['b'] }} {{ d.b }} {{ d.a.k[1] }} {{ d['nope'] }}| {{ nested.1.1.0 }} {{ list[true] }}
{{ list[1:] }} {{ list[:-1] }} {{ list[::-1] }} {{ list[::2] }} {{ s[::-1] }} {{ s[1:-1:2] }} {{ u[1:4] }} {{ list[5:1:-1] }} {{ list[-100:100] }} {{ (1, 2, 3)[1:] }} {{ list[none:2] }} {{ range(10)[2:8:3] | list }}
{{ d.items() | list }} {{ d['items'] }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.get('b') }} {{ d.get('q') }} {{ d.get('q', 3) }} {{ d['get'] }} {{ d['keys']() | list }} {{ d.items() | length }}
{{ [] }} {{ () }} {{ {} }} {{ (1,) }} {{ (1, 'a', none) }} {{ {'a': 1, 2: [3], none: true, 1.5: 'x'} }} {{ {'a': 1, 'a': 2} }} {{ [1, 2,] }} {{ {'q': "it's", 'r': 'say "hi"', 's': '\'"'} }}
{{ [esc, u] }}
{{ 1, 2 }} {{ 'a', }}
{% if n > 10 %}a{% elif n > 5 %}b{% elif t %}c{% else %}d{% endif %}{% if f %}e{% else %}f{% endif %}{% if z %}g{% endif %}
{% if n is odd and not f or z %}yes{% endif %}
{% for i in list %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.depth }}/{{ loop.depth0 }}={{ i }};{% endfor %}
{% for i in list %}{{ loop.previtem }}<{{ i }}<{{ loop.nextitem }} {{ loop.previtem is defined }} {{ loop.nextitem is undefined }};{% endfor %}
{% for i in [] %}x{% else %}empty{% endfor %}{% for i in list %}{{ i }}{% else %}no{% endfor %}{% for i in missing %}x{% else %}none{% endfor %}
{% for i in list if i > 1 %}{{ loop.index }}:{{ i }}{{ ',' if not loop.last }}{% else %}nothing{% endfor %}
{% for i in list if i > 9 %}x{% else %}nothing{% endfor %}
{% set ns = namespace(k=0) %}{% for i in [1, 2, 3, 4] if ns.k < 2 %}{% set ns.k = ns.k + 1 %}{{ i }}{% endfor %}
{% set ns = namespace(k=0) %}{% for i in [1, 2, 3, 4] if ns.k < 2 %}{% set ns.k = ns.k + 1 %}{{ i }}{{ loop.last }}{% endfor %}
{% set ns = namespace(k=0) %}{% for i in [1, 2, 3, 4] if ns.k < 2 %}{% set ns.k = ns.k + 1 %}{{ i }}{{ loop.length }}{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% for a, b in nested %}{{ b }}{% endfor %}
{% for c in 'aé😀' %}[{{ c }}]{% endfor %}{% for k in d %}{{ k }},{% endfor %}{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 1, -2) %}{{ i }}{% endfor %}{{ range(2, 4) | list }}{{ range(3) | length }}
{% for i in list %}{% for j in 'ab' %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}
{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in [1, 2] %}{% break %}{% else %}else{% endfor %}|{% for i in [1, 2] %}{{ i }}{% if i == 2 %}{% break %}{% endif %}{% else %}else{% endfor %}|{% for i in [1, 2] %}{% continue %}{% else %}else{% endfor %}
{% for i in list %}{{ loop.cycle('odd', 'even') }}{{ loop.changed(i > 1) }};{% endfor %}
{% for i in list %}{% set last = i %}{% endfor %}{{ last is defined }}{% set v = 1 %}{% for i in list %}{{ v }}{% set v = i %}{{ v }}{% endfor %}{{ v }}
{% set ns = namespace(a=1, b='x') %}{% for i in list %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.nope is defined }}{% set ns.new = [1] %}{{ ns.new }}{{ ns['b'] }}
{% set ns = namespace({'p': 1}, q=2) %}{{ ns.p + ns.q }}{{ dict(a=1, b=2) }}{{ dict([('x', 1)], y=2) }}{{ dict(d, z=1) | length }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d2) = 'xy' %}{{ c }}{{ d2 }}{% set ns = namespace() %}{% set ns.p, e = [5, 6] %}{{ ns.p }}{{ e }}
{% macro m(a, b='B', c=a) %}<{{ a }}{{ b }}{{ c }}>{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m(b=1, a=0) }}{{ m() }}{{ m(1) | length }}{{ m(1) ~ '!' }}
{% macro fact(k) %}{% if k <= 1 %}1{% else %}{{ k }}*{{ fact(k - 1) }}{% endif %}{% endmacro %}{{ fact(5) }}
{% macro outer() %}({{ caller() }}){% endmacro %}{% call outer() %}body {{ n }}{% endcall %}{% macro twice() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}{% call(k) twice() %}[{{ k }}]{% endcall %}{% macro maybe() %}{{ caller is defined }}{% endmacro %}{{ maybe() }}
{% set g = 1 %}{% macro reads() %}{{ g }}{{ late }}{% set g = 5 %}{{ g }}{% endmacro %}{% set late = 2 %}{{ reads() }}{{ g }}
{% for i in list %}{% macro mm(a) %}{{ a }}{{ i }}{% endmacro %}{{ mm('v') }}{% endfor %}
{% filter upper %}loud {{ s }}{% endfilter %}{% filter replace('a', 'b') | trim %} banana {% endfilter %}
{% with a = 1, b = n %}{{ a }}{{ b }}{% set c = 3 %}{% endwith %}{{ a is defined }}{{ c is defined }}{% with %}x{% endwith %}{% set w = 1 %}{% with w = 2, v = w %}{{ w }}{{ v }}{% endwith %}
{% generation %}made {{ n }}{% set gg = 1 %}{% endgeneration %}{{ gg is defined }}
{% raw %}{{ raw }} {% if %}{# c #}{% endraw %}|{%- raw -%}  a  {%- endraw -%}  |
{# comment #}a{#- trims -#}  b  {#+ keeps +#}  c
a {% if t %} b {% endif %} c
{{ s | upper }} {{ s | lower }} {{ 'hELLO wORLD' | capitalize }} {{ "foo bar-baz (qux) it's" | title }} {{ u | upper }} {{ u | lower }} {{ n | upper }} {{ z | lower }}
[{{ pad | trim }}] [{{ 'xxaxx' | trim('x') }}] [{{ missing | trim }}] [{{ n | trim }}]
{{ d | tojson }} {{ list | tojson }} {{ s | tojson }} {{ z | tojson }} {{ t | tojson }} {{ x | tojson }} {{ big | tojson }} {{ (1, 2) | tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}
{{ d | tojson(indent=2) }}{{ [] | tojson(indent=4) }}{{ {} | tojson(indent=4) }}{{ nested | tojson(indent=1) }}{{ list | tojson(indent='--') }}{{ list | tojson(indent=0) }}
{{ esc | tojson }} {{ esc | tojson(ensure_ascii=true) }} {{ d | tojson(separators=(',', ':')) }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ d | tojson(indent=2, separators=[' ; ', ' = ']) }}
{{ list | join(', ') }} {{ list | join }} {{ people | join('+', attribute='name') }} {{ 'abc' | join('-') }} {{ [1, none, true] | join(' ') }} {{ d | join(',') }} {{ missing | join(',') }}|
{{ s | length }} {{ u | length }} {{ list | count }} {{ d | length }} {{ missing | length }} {{ people | map(attribute='name') | list | length }}
{{ 'abc' | list }} {{ d | list }} {{ (1, 2) | list }} {{ missing | list }}
{{ missing | default('x') }} {{ z | default('x') }} {{ z | default('x', true) }} {{ empty | d('y', boolean=true) }} {{ missing | default }}| {{ n | default(1) }} {{ d.nope | default('q') }}
{{ d | items | list }} {{ missing | items | list }} {% for k, v in d | dictsort %}{{ k }}{{ v }};{% endfor %}{{ {'B': 1, 'a': 2} | dictsort }} {{ {'B': 1, 'a': 2} | dictsort(true) }} {{ {'x': 2, 'y': 1} | dictsort(by='value', reverse=true) }}
{{ people | map(attribute='name') | join(',') }} {{ words | map('upper') | list }} {{ people | map(attribute='tags', default='none') | list }} {{ [' a ', 'b '] | map('trim') | join('|') }} {{ nested | map(attribute='1') | list }} {{ [{'a': [{'b': 1}]}] | map(attribute='a.0.b') | list }} {{ ['aXb'] | map('replace', 'X', '-') | first }} {{ people | map('tojson', indent=1) | first }}
{{ [0, 1, '', 'a', none] | select | list }} {{ list | select('odd') | list }} {{ list | select('gt', 1) | list }} {{ list | reject('equalto', 2) | list }} {{ [0, 1] | reject | list }} {{ words | select('in', ['fig']) | list }}
{{ people | selectattr('tags') | map(attribute='name') | list }} {{ people | selectattr('age', 'equalto', 41) | map(attribute='name') | list }} {{ people | rejectattr('age', '>', 10) | list }} {{ people | selectattr('tags', 'defined') | list | length }} {{ people | rejectattr('tags') | list | length }} {{ messages | selectattr('role', 'in', ['user', 'system']) | map(attribute='content') | join(' ') }}
{% set gen = list | map('string') %}{{ gen | first }}{{ gen | list }}{{ gen | list }}{% set g2 = list | select %}{% for i in g2 %}{{ i }}{% break %}{% endfor %}{{ g2 | list }}{{ 1 in g2 }}
{{ s | replace('l', 'L') }} {{ s | replace('l', 'L', 1) }} {{ 'ab' | replace('', '-') }} {{ n | replace(7, 8) }} {{ 'aaa' | replace('aa', 'b') }} {{ 'ab' | replace('', '-', 2) }}
{{ list | first }} {{ list | last }} {{ [] | first }}| {{ [] | last is undefined }} {{ 'abc' | first }} {{ s | last }} {{ d | first }} {{ (messages | last).content }}
{{ '12' | int }} {{ ' -7 ' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ '3.9' | int }} {{ 3.9 | int }} {{ -3.9 | int }} {{ '0x1f' | int(base=16) }} {{ 'ff' | int(0, 16) }} {{ z | int }} {{ t | int }} {{ '1_000' | int }} {{ '' | int }} {{ '1e3' | int }} {{ 'nan' | int }}
{{ '1.5' | float }} {{ 'x' | float }} {{ 'x' | float(2.5) }} {{ 3 | float }} {{ ' 2e3 ' | float }} {{ 'inf' | float }} {{ z | float }} {{ '-0' | float }}
{{ 1 | string ~ 2 }} {{ x | string }} {{ list | string }} {{ missing | string }}|{{ -5 | abs }} {{ (-2.5) | abs }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 2.1 | round(method='ceil') }} {{ 2.19 | round(1, 'floor') }} {{ 7 | round }}
{{ list | sort }} {{ list | sort(reverse=true) }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ people | sort(attribute='age') | map(attribute='name') | list }} {{ people | sort(attribute='age', reverse=true) | map(attribute='name') | list }}
{{ list | max }} {{ list | min }} {{ words | max }} {{ words | min }} {{ people | max(attribute='age') }} {{ [] | max is undefined }} {{ list | sum }} {{ people | sum(attribute='age') }} {{ list | sum(start=10) }} {{ words | unique | list }} {{ [1, 1, 2] | unique | list }}
{{ list | reverse | list }} {{ 'añb' | reverse }} {{ (1, 2) | reverse | join }}
{{ lines | indent }}|{{ lines | indent(2) }}|{{ lines | indent(2, true) }}|{{ lines | indent(2, true, true) }}|{{ 'a\nb' | indent('> ', first=true) }}|{{ '' | indent(2, true) }}|{{ 'a\n' | indent }}
{{ n | indent }}
{{ html | safe }} {{ html | e }} {{ html | escape ~ '<' }} {{ html | escape | escape }} {{ html | safe | e }} {% set h = d | tojson | safe if t else 'x' %}{{ h }} {{ h ~ '<' }} {{ n | e }}
{{ n is defined }} {{ missing is defined }} {{ missing is undefined }} {{ d.nope is defined }} {{ z is none }} {{ s is string }} {{ n is string }} {{ d is mapping }} {{ list is mapping }} {{ list is iterable }} {{ s is iterable }} {{ n is iterable }} {{ list is sequence }} {{ s is sequence }} {{ d is sequence }} {{ missing is sequence }}
{{ n is number }} {{ t is number }} {{ x is number }} {{ s is number }} {{ t is boolean }} {{ n is boolean }} {{ t is true }} {{ f is false }} {{ 1 is true }} {{ n is integer }} {{ t is integer }} {{ x is float }} {{ n is float }} {{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }}
{{ n is equalto 7 }} {{ n is eq(7) }} {{ n is ne 7 }} {{ n is gt 3 }} {{ n is lt 3 }} {{ n is ge 7 }} {{ n is le 6 }} {{ n is greaterthan 1 }} {{ n is lessthan 1 }} {{ n is in [7] }} {{ 'a' is in d }} {{ n is not none }} {{ n is not defined }} {{ z is sameas none }} {{ 'ABC' is upper }} {{ 'abc' is lower }} {{ '1' is lower }} {{ range is callable }} {{ n is callable }}
{{ 'a' if d.b is defined and d.b == 1 else 'b' }} {{ not n is none }} {{ s is string and s | length > 3 }} {{ n is defined or x }} {{ s|upper is upper }} {{ -n|abs }} {{ 'a' ~ 1 + '2' ~ 3 }}
[{{ pad.strip() }}] [{{ pad.lstrip() }}] [{{ pad.rstrip() }}] [{{ 'xyaxy'.strip('yx') }}] [{{ 'éaé'.strip('é') }}] [{{ '\n\na\n'.strip('\n') }}] [{{ 'aab'.lstrip('a') }}] [{{ 'abb'.rstrip('b') }}]
{{ csv.split(',') }} {{ csv.split(',', 1) }} {{ ' a  b c '.split() }} {{ ' a  b c '.split(none, 1) }} {{ csv.rsplit(',', 1) }} {{ ' a  b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a<sep>b'.split('<sep>')[-1] }} {{ 'aaa'.rsplit('aa') }} {{ csv.split(maxsplit=1, sep=',') }} {{ lines.splitlines() }} {{ lines.splitlines(true) }}
{{ s.startswith('He') }} {{ s.endswith('ld') }} {{ s.startswith(('x', 'H')) }} {{ s.startswith('l', 2) }} {{ s.endswith('lo', 0, 5) }} {{ s.startswith('', 20) }} {{ s.find('o') }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ u.find('😀') }} {{ s.find('o', 5) }} {{ s.count('l') }} {{ 'aaaa'.count('aa') }} {{ 'abc'.count('') }} {{ s.find('') }}
{{ s.upper() }} {{ s.lower() }} {{ "they're bill's".title() }} {{ 'hELLO'.capitalize() }} {{ s.replace('o', '0') }} {{ s.replace('o', '0', 1) }} {{ '-'.join(['a', 'b']) }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }}
{{ '12'.isdigit() }} {{ '1²'.isdigit() }} {{ ''.isdigit() }} {{ 'abé'.isalpha() }} {{ 'ab1'.isalnum() }} {{ ' \t'.isspace() }} {{ 'AB1'.isupper() }} {{ 'ab'.islower() }} {{ list.index(1) }} {{ list.count(2) }} {{ nested.count([1, 2]) }}
{{ strftime_now('%Y-%m-%d') }} {{ strftime_now('%d %b %Y') }} {{ strftime_now('%A, %B %-d, %H:%M:%S %p %j %y %% %I %a') }}|{{ strftime_now('') }}|{{ strftime_now('%Z%z') }}|{{ strftime_now is defined }}
{{ raise_exception('stop: ' ~ n) }}
{% if messages | length > 9 %}{{ raise_exception('no') }}{% endif %}fine
{{ bos_token }}{{ eos_token }}{{ unk_token is defined }}{{ add_generation_prompt }}{{ tools is none }}{{ documents is none }}{{ messages[0].role }}
{{ missing.attribute }}
{{ missing + 1 }}
{{ missing['x'] }}
{{ d.nope.deeper }}
{{ d.b.c.e }}
{{ 'a' + 1 }}
{{ 1 < 'a' }}
{{ list + 'a' }}
{{ z.x }}|
{{ z.x.y }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ n | length }}
{{ 1 in 5 }}
{{ 1 in s }}
{{ missing | tojson }}
{{ missing | int }}
{% for a, b in [[1]] %}{% endfor %}
{% for i in 5 %}{% endfor %}
{% set q = 1 %}{% set q.a = 2 %}
{% macro one(a) %}{% endmacro %}{{ one(1, 2) }}
{% macro one(a) %}{% endmacro %}{{ one(b=2) }}
{% macro one(a) %}{{ a }}{{ a is defined }}{% endmacro %}{{ one() }}
{{ list | map('upper') | first | first }}
{{ people | map('length') | last }}
{{ '%s' | upper }}{{ '{}' }}
{% macro rec() %}{{ rec() }}{% endmacro %}{{ rec() }}
{{ 'x' * 3 ~ '=' * 2 }} {{ 2 - -1 }} {{ n -1 }} {{ [1,2][0] }} {{ {'a': [1]}['a'][0] }} {{ (s).upper() }} {{ 'abc'[1] }} {{ s.split(' ')[0].lower() }}
{%- set x1 = 1 -%}  {%- set x2 = 2 %}   {{- x1 + x2 -}}   end
{% if s == "Hello World" %}{{- "a" -}}{% endif %}{{ "}}" }}{{ '%}' }}{{ {'a': {'b': 1}}['a']['b'] }}
"""

# Several lines each, parted by lines of ====.
BLOCKS = r"""a
  {% if t %}
  b
  {% endif %}
  c
====
a
  {%- if t -%}
  b
  {%- endif -%}
  c
====
a
  {%+ if t +%}
  b
  {%+ endif +%}
  c
====
  {{ s }}
  {{- s -}}
  {{ s }}
  {# comment #}
x{% if t %}

y{% endif %}

z
====
{% for m in messages %}
{% if m.role == 'user' %}
U: {{ m.content }}
{% else %}
O: {{ m['content'] }}
{% endif %}
{% endfor %}
====
{% set block %}  text {{ n }}{% set inner = 1 %}
{% endset %}[{{ block }}]{{ inner is defined }}{% set up | upper | trim %} abc {% endset %}[{{ up }}]
====
  {% raw %}
 {{ a }}
  {% endraw %}
 b
   {#- c #}
d
"""

CHATS = {
    "markers": r"""{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|begin|>system\nYou answer questions.<|stop|>\n' }}{% endif %}{{ '<|begin|>' + message['role'] + '\n' + message['content'] + '<|stop|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|begin|>assistant\n' }}{% endif %}""",
    "brackets": r"""{% if messages[0]['role'] == 'system' %}
{% set rest = messages[1:] %}
{% set system = messages[0]['content'] %}
{% else %}
{% set rest = messages %}
{% set system = false %}
{% endif %}
{% for message in rest %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('roles must alternate: user, assistant, user, ...') }}
{% endif %}
{% if loop.index0 == 0 and system != false %}
{% set content = '((SYS))\n' + system + '\n((/SYS))\n\n' + message['content'] %}
{% else %}
{% set content = message['content'] %}
{% endif %}
{% if message['role'] == 'user' %}
{{ bos_token + '(ASK) ' + content.strip() + ' (/ASK)' }}
{% elif message['role'] == 'assistant' %}
{{ ' ' + content.strip() + ' ' + eos_token }}
{% endif %}
{% endfor %}""",
    "headers": r"""{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "1 Jan 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message, if there is one. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|head|>system<|/head|>\n\n" }}
{%- if tools is not none %}
    {{- "Tools may be called.\n" }}
{%- endif %}
{{- "Today: " + date_string + "\n\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|turn|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content'] | trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("tools need a first user message") }}
    {%- endif %}
    {{- '<|head|>user<|/head|>\n\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
    {{- first_user_message + "<|turn|>" }}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|head|>' + message['role'] + '<|/head|>\n\n' + message['content'] | trim + '<|turn|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls | length == 1 %}
            {{- raise_exception("one call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|head|>assistant<|/head|>\n\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|turn|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|head|>ipython<|/head|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|turn|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|/head|>\n\n' }}
{%- endif %}
""",
    "calls": r"""{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "(TOOLS)[" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "(/TOOLS)" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "(ASK)" + system_message + "\n\n" + message["content"] + "(/ASK)" }}
        {%- else %}
            {{- "(ASK)" + message["content"] + "(/ASK)" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "(CALLS)[" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("ids have nine characters") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '(RESULTS){"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id + '"}(/RESULTS)' }}
    {%- else %}
        {{- raise_exception("only user and assistant, system first") }}
    {%- endif %}
{%- endfor %}
""",
    "thinking": r"""{%- if tools %}
    {{- '<s>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools><e>\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<s>system\n' + messages[0].content + '<e>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<r>') and message.content.endswith('</r>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<s>' + message.role + '\n' + content + '<e>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content)) %}
            {{- '<s>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
        {%- else %}
            {{- '<s>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<c>{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}</c>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<e>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<s>user' }}
        {%- endif %}
        {{- '\n<r>\n' + content + '\n</r>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<e>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<s>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}""",
    "schema": r"""{%- macro python_type(spec) %}
{%- set basic = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"} %}
{%- if basic[spec.type] is defined %}
    {{- basic[spec.type] }}
{%- elif spec.type == "array" %}
    {{- "list[" + python_type(spec['items']) + "]" }}
{%- elif spec.type is iterable and spec.type is not string and spec.type is not mapping %}
    {{- "Union[" }}
    {%- for t in spec.type %}
        {{- python_type({"type": t}) }}
        {%- if not loop.last %}
            {{- "," }}
        {%- endif %}
    {%- endfor %}
    {{- "]" }}
{%- else %}
    {{- "Any" }}
{%- endif %}
{%- endmacro %}
{{- bos_token }}
{% for tool in tools or [] %}
{%- set f = tool.function if tool.function is defined else tool %}
{{ f.name }}({% for name, spec in f.parameters.properties | items %}{{ name }}: {{ python_type(spec) }}{{ ", " if not loop.last }}{% endfor %}){{ " -> " ~ f['return'].type if f['return'] }} # {{ f.description | title }}
{% endfor %}
{% for message in messages %}
{% generation %}
<|{{ message.role }}|>
{{ message.content if message.content is string else message.content | map(attribute='text') | join('\n') }}{{ eos_token }}
{% endgeneration %}
{% endfor %}
{% if add_generation_prompt %}
<|assistant|>
{% endif %}""",
}


def main():
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    # A case takes from `shared` what it doesn't have of its own.
    shared = {"messages": MESSAGES, "variables": DATA}
    templates = []
    for i, source in enumerate(SNIPPETS.strip("\n").split("\n") + BLOCKS.split("====\n")):
        case = chat_reference.render(source, tokens, shared)
        case = {key: value for key, value in case.items() if key not in shared}
        templates.append({"name": f"snippet {i}", "source": source, "tokens": tokens,
                          "cases": [case]})
    for name, source in CHATS.items():
        rng = random.Random(name)
        cases = [chat_reference.random_case(rng) for _ in range(30)]
        templates.append({"name": name, "source": source, "tokens": tokens,
                          "cases": [chat_reference.render(source, tokens, case) for case in cases]})
    text = json.dumps({"shared": shared, "templates": templates}, indent=0)
    (HERE / "reference.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
