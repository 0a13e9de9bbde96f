//===- ErrorTest.cpp - Errors of chat templates and their places ----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/ChatTemplate.h"
#include <gtest/gtest.h>

using namespace qopt;

namespace {

struct Example {
  std::string_view source;
  std::string_view error; ///< after "chat template:"
};

std::string expected(const Example &example) {
  return "chat template:" + std::string(example.error);
}

TEST(ChatTemplateError, AtParsing) {
  const Example examples[] = {
      // Lexer.
      {"{{ 'abc", "1:4: the string is not closed"},
      {"{{ 'abc\\", "1:4: the string is not closed"},
      {"a\nb {# x", "2:3: the comment is not closed, expected '#}'"},
      {"{% raw %} x", "1:3: 'raw' is not closed, expected '{% endraw %}'"},
      {"{{ a", "1:5: unexpected end of the template, expected '}}'"},
      {"{% if a", "1:8: unexpected end of the template, expected '%}'"},
      {"{{ a $ b }}", "1:6: unexpected character '$'"},
      {"{{ caf\u00e9 }}", "1:7: unexpected character '\u00e9'"},
      {"{{ (a] }}", "1:6: unexpected ']', expected ')'"},
      {"{{ a) }}", "1:5: unexpected ')'"},
      {"{{ '\\x4' }}", "1:5: the escape needs 2 hexadecimal digits"},
      {"{{ '\\ud800' }}", "1:5: the escape is not a Unicode character"},
      {"{{ '\\N{DASH}' }}", "1:5: the escape '\\N' is not supported"},
      {"{{ 9223372036854775808 }}", "1:4: integer '9223372036854775808' doesn't fit in 64 bits"},
      {"{{ 07 }}", "1:4: integer '07' has a leading zero"},
      // Statements.
      {"{% if a %}b", "1:11: unexpected end of the template, expected 'endif'"},
      {"{% for a in b %}c{% else %}", "1:28: unexpected end of the template, expected 'endfor'"},
      {"{% endfor %}", "1:4: unknown or unsupported tag 'endfor'"},
      {"{% if a %}{% endfor %}", "1:14: unknown or unsupported tag 'endfor'"},
      {"x\n{% include 'a' %}", "2:4: unknown or unsupported tag 'include'"},
      {"{% block a %}{% endblock %}", "1:4: unknown or unsupported tag 'block'"},
      {"{% do x %}", "1:4: unknown or unsupported tag 'do'"},
      {"{% 1 %}", "1:4: unexpected number, expected a tag's name"},
      {"{% if %}{% endif %}", "1:7: unexpected '%}', expected an expression"},
      {"{% if a b %}{% endif %}", "1:9: unexpected 'b', expected '%}'"},
      {"{% for in x %}{% endfor %}", "1:11: unexpected 'x', expected 'in'"},
      {"{% for 1 in x %}{% endfor %}", "1:8: unexpected number, expected a name to assign to"},
      {"{% for a of x %}{% endfor %}", "1:10: unexpected 'of', expected 'in'"},
      {"{% for a in x recursive %}{% endfor %}", "1:15: recursive loops are not supported"},
      {"{% break %}", "1:4: the tag 'break' is outside of a loop"},
      {"{% for a in b %}{% generation %}{% continue %}{% endgeneration %}{% endfor %}",
       "1:36: the tag 'continue' is outside of a loop"},
      {"{% for a in b %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
       "1:35: the tag 'break' is outside of a loop"},
      {"{% set true = 1 %}", "1:8: can't assign to 'true'"},
      {"{% set a. = 1 %}", "1:11: unexpected '=', expected an attribute's name"},
      {"{% set a._b = 1 %}", "1:8: can't assign to the attribute '_b', which starts with '_'"},
      {"{% set a = %}", "1:12: unexpected '%}', expected an expression"},
      {"{% macro 1() %}", "1:10: unexpected number, expected a macro's name"},
      {"{% macro m %}{% endmacro %}", "1:12: unexpected '%}', expected '('"},
      {"{% macro m(1) %}{% endmacro %}", "1:12: unexpected number, expected a parameter's name"},
      {"{% macro m(a=1, b) %}{% endmacro %}",
       "1:17: parameter 'b' needs a default, as the one before has one"},
      {"{% macro m(caller) %}{% endmacro %}", "1:12: a parameter named 'caller' is not supported"},
      {"{% call m %}{% endcall %}", "1:9: the tag 'call' needs a call of a macro"},
      {"{% filter 1 %}{% endfilter %}", "1:11: unexpected number, expected a filter's name"},
      {"{% filter safe %}{% endfilter %}", "1:11: the filter 'safe' is not supported here"},
      // Expressions.
      {"{{ }}", "1:4: unexpected '}}', expected an expression"},
      {"{{ a b }}", "1:6: unexpected 'b', expected '}}'"},
      {"{{ a. }}", "1:7: expected an attribute's name after '.'"},
      {"{{ a.__class__ }}", "1:6: the attribute '__class__' is not supported"},
      {"{{ a[] }}", "1:6: unexpected ']', expected an index"},
      {"{{ a[1:2:3:4] }}", "1:11: unexpected ':', expected ']'"},
      {"{{ [1 2] }}", "1:7: unexpected number, expected ','"},
      {"{{ {'a' 1} }}", "1:9: unexpected number, expected ':'"},
      {"{{ self }}", "1:4: the name 'self' is not supported"},
      {"{{ '%d' % 1 }}", "1:9: formatting a string with '%' is not supported"},
      {"{{ '{}'.format(1) }}", "1:9: unknown or unsupported method 'format'"},
      {"{{ a.append(1) }}", "1:6: unknown or unsupported method 'append'"},
      {"{{ lipsum() }}", "1:4: unknown function 'lipsum'"},
      {"{{ a(*b) }}", "1:6: unpacking arguments with '*' is not supported"},
      {"{{ a(b=1, b=2) }}", "1:11: argument 'b' is given twice"},
      {"{{ a(b=1, 2) }}", "1:11: a positional argument follows a named one"},
      {"{{ range() }}", "1:4: function 'range' needs the argument 'start'"},
      {"{{ range(1, 2, 3, 4) }}", "1:4: function 'range' takes at most 3 arguments, found 4"},
      {"{{ strftime_now('%q') }}", "1:4: function 'strftime_now' takes no conversion '%q'"},
      {"{{ strftime_now('%') }}", "1:4: function 'strftime_now' takes no conversion '%'"},
      {"{{ strftime_now('%9999d') }}", "1:4: function 'strftime_now' takes no conversion '%9'"},
      {"{{ strftime_now('\\0') }}",
       "1:4: function 'strftime_now' takes no format with a zero byte"},
      // Filters and tests.
      {"{{ a | }}", "1:8: unexpected '}}', expected a filter's name"},
      {"{{ a | xmlattr }}", "1:8: unknown or unsupported filter 'xmlattr'"},
      {"{{ a | trim(1, 2) }}", "1:8: filter 'trim' takes at most 1 arguments, found 2"},
      {"{{ a | tojson(width=2) }}", "1:8: filter 'tojson' takes no argument 'width'"},
      {"{{ a | replace('a', old='b') }}",
       "1:8: filter 'replace' is given the argument 'old' twice"},
      {"{{ a | map }}", "1:8: filter 'map' expects a filter's name or 'attribute'"},
      {"{{ a | map('nope') }}", "1:12: unknown or unsupported filter 'nope'"},
      {"{{ a | map('select') }}", "1:12: unknown or unsupported filter 'select'"},
      {"{{ a | map(b) }}", "1:12: filter 'map' expects the name of a filter as a constant string"},
      {"{{ a | map('trim', 1, 2) }}", "1:12: filter 'trim' takes at most 1 arguments, found 2"},
      {"{{ a | select('nope') }}", "1:15: unknown or unsupported test 'nope'"},
      {"{{ a | select(x=1) }}", "1:8: filter 'select' takes no argument 'x'"},
      {"{{ a | selectattr }}", "1:8: filter 'selectattr' expects an attribute"},
      {"{{ a | selectattr('b', c) }}",
       "1:24: filter 'selectattr' expects the name of a test as a constant string"},
      {"{{ a | selectattr('b', 'eq') }}", "1:24: test 'eq' needs the argument 'other'"},
      {"{{ a is }}", "1:9: unexpected '}}', expected a test's name"},
      {"{{ a is nope }}", "1:9: unknown or unsupported test 'nope'"},
      {"{{ a is string is string }}", "1:16: tests can't be chained with 'is'"},
      {"{{ a is eq }}", "1:9: test 'eq' needs the argument 'other'"},
      {"{{ (a | safe) + b }}",
       "1:9: text from the filter 'safe' or 'escape' can only be printed, assigned or joined "
       "with '~'"},
      {"{% if a | e %}{% endif %}",
       "1:11: text from the filter 'safe' or 'escape' can only be printed, assigned or joined "
       "with '~'"},
      {"{{ a | escape(1) }}", "1:8: the filter 'escape' is not supported here"},
  };
  for (const Example &example : examples) {
    Result<ChatTemplate> chat = ChatTemplate::parse(example.source);
    ASSERT_FALSE(chat) << example.source;
    EXPECT_EQ(chat.status().message(), expected(example)) << example.source;
    EXPECT_EQ(chat.status().code(), StatusCode::invalidInput);
  }
}

TEST(ChatTemplateError, AtRendering) {
  const Example examples[] = {
      {"a\n{{ raise_exception('no ' ~ 1) }}", "2:4: the template refuses the conversation: no 1"},
      {"{{ nope.a }}", "1:9: 'nope' is undefined"},
      {"{{ d.nope.a }}", "1:11: a dict has no attribute 'nope'"},
      {"{{ l[9].a }}", "1:9: a list has no element 9"},
      {"{{ none + 1 }}", "1:9: unsupported operands of '+': none and int"},
      {"{{ -'a' }}", "1:4: unsupported operand of '-': str"},
      {"{{ 1 < 'a' }}", "1:6: unsupported operands of '<': int and str"},
      {"{{ s % 1 }}", "1:6: formatting a string with '%' is not supported"},
      {"{{ 1 // 0 }}", "1:6: division by zero"},
      {"{{ 0.0 ** -1 }}", "1:8: zero to a negative power"},
      {"{{ (-1) ** 0.5 }}", "1:9: a negative number to a fractional power"},
      {"{{ 9223372036854775807 + 1 }}", "1:24: the integer result of '+' doesn't fit in 64 bits"},
      {"{{ (-9223372036854775807 - 1) // -1 }}",
       "1:31: the integer result of '//' doesn't fit in 64 bits"},
      {"{{ 10 ** 19 }}", "1:7: the integer power doesn't fit in 64 bits"},
      {"{{ 1 in 1 }}", "1:6: a int can't be iterated"},
      {"{{ 1 in s }}", "1:6: 'in' a str needs a str, found int"},
      {"{{ [] in d }}", "1:7: a list as the key of a dict is not supported"},
      {"{{ l[::0] }}", "1:5: a slice needs a step other than zero"},
      {"{{ l['a':] }}", "1:5: a slice needs integers, found str"},
      {"{{ d[1:] }}", "1:5: can't slice a dict"},
      {"{% for a, b in [[1, 2, 3]] %}{% endfor %}", "1:8: expected 2 values to unpack, found 3"},
      {"{% set a.b = 1 %}", "1:8: can't assign to the attribute 'b' of what is not a namespace"},
      {"{{ namespace(_a=1) }}",
       "1:4: a namespace can't hold attributes that start with '_' or are no str"},
      {"{{ dict([[1]]) }}", "1:4: a dict is made of pairs, found 1 values"},
      {"{% set f = 1 %}{{ f() }}", "1:19: can't call a int"},
      {"{% set m = nope %}{{ m() }}", "1:22: 'nope' is undefined"},
      {"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}",
       "1:34: macro 'm' takes at most 1 arguments, found 2"},
      {"{% macro m(a) %}{% endmacro %}{{ m(b=1) }}", "1:34: macro 'm' takes no argument 'b'"},
      {"{% macro m(a) %}{% endmacro %}{{ m(1, a=1) }}",
       "1:34: macro 'm' is given the argument 'a' twice"},
      {"{% macro m(a) %}{{ a.b }}{% endmacro %}{{ m() }}", "1:22: parameter 'a' was not provided"},
      {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "1:19: the template recurses too deeply"},
      {"{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}",
       "1:38: macro 'm' has no use for the body of a 'call'"},
      {"{% call range(2) %}{% endcall %}", "1:9: the tag 'call' needs a macro"},
      {"{% for i in l %}{{ caller().a }}{% endfor %}", "1:20: 'caller' is undefined"},
      {"{{ range }}", "1:4: a function can't be printed"},
      {"{{ l | map('string') }}", "1:8: a generator can't be printed"},
      {"{{ d.items() }}", "1:6: a dict view can't be printed"},
      {"{{ range(100001) }}", "1:4: 'range' has 100001 items, expected at most 100000"},
      {"{{ range(1, 2, 0) }}", "1:4: 'range' needs a step other than zero"},
      {"{{ range('a') }}", "1:4: 'range' needs integers, found str"},
      {"{{ strftime_now(1) }}", "1:4: 'strftime_now' needs a str"},
      {"{{ strftime_now(s ~ '%q') }}", "1:4: 'strftime_now' takes no conversion '%q'"},
      {"{{ s.split('') }}", "1:6: can't split at an empty separator"},
      {"{{ s.split(1) }}", "1:6: a method needs a str, found int"},
      {"{{ s.split(none, 'a') }}", "1:6: a method needs an integer, found str"},
      {"{{ s.startswith(1) }}", "1:6: expected a str or a tuple of them, found int"},
      {"{{ ','.join(l) }}", "1:8: 'join' needs strs, found int"},
      {"{{ l.index(9) }}", "1:6: 'index' doesn't find the value in the list"},
      {"{{ l.strip() }}", "1:6: a list has no attribute 'strip'"},
      {"{{ s.get(1) }}", "1:6: a str has no attribute 'get'"},
      {"{{ s.strip(1, 2) }}", "1:6: 'strip' takes at most 1 arguments, found 2"},
      {"{{ d.update }}", "1:6: the attribute 'update' of a dict is not supported"},
      {"{{ '\ufb01x'.title() }}", "1:9: the case of a letter with special casing is not supported"},
      {"{{ '\ufb01x' | capitalize }}",
       "1:11: 'capitalize' of a letter with special casing is not supported"},
      {"{{ s | trim(1) }}", "1:8: 'trim' needs a str of characters"},
      {"{{ s | replace('a', 'b', 'c') }}", "1:8: 'replace' needs an integer count"},
      {"{{ s | indent([]) }}", "1:8: 'indent' needs a width or a str"},
      {"{{ 1 | indent }}", "1:8: 'indent' needs a str, found int"},
      {"{{ s | tojson(indent=[]) }}", "1:8: 'tojson' needs an integer or a str as indent"},
      {"{{ s | tojson(separators=1) }}", "1:8: 'tojson' needs two strs as separators"},
      {"{{ range | tojson }}", "1:12: a function can't be written as JSON"},
      {"{{ {1: 2} | tojson(sort_keys=true) }}",
       "1:13: sorting keys that are no str is not supported"},
      {"{{ s | int(0, 1) }}", "1:8: 'int' needs a base from 2 to 36"},
      {"{{ 1e300 | int }}", "1:12: the result of 'int' doesn't fit in 64 bits"},
      {"{{ s | abs }}", "1:8: 'abs' needs a number, found str"},
      {"{{ s | round }}", "1:8: 'round' needs a number, found str"},
      {"{{ 1.5 | round(-1) }}", "1:10: 'round' needs a precision from 0 to 300"},
      {"{{ 1.5 | round(1, 'x') }}",
       "1:10: 'round' knows the methods common, ceil and floor, found 'x'"},
      {"{{ 1 | length }}", "1:8: a int has no length"},
      {"{{ l | map('string') | last }}", "1:24: a generator has no last item"},
      {"{{ l | map('string') | reverse }}", "1:24: a generator can't be reversed"},
      {"{{ l | items }}", "1:8: 'items' needs a dict, found list"},
      {"{{ l | dictsort }}", "1:8: 'dictsort' needs a dict, found list"},
      {"{{ d | dictsort(by='x') }}", "1:8: 'dictsort' sorts by 'key' or 'value', found 'x'"},
      {"{{ [1, 'a'] | sort }}", "1:15: only numbers, or only strs, can be put in order"},
      {"{{ l | sort(attribute='a,b') }}", "1:8: comparing by several attributes is not supported"},
      {"{{ l | sum(start='') }}", "1:8: 'sum' can't add strs"},
      {"{{ l is sameas l }}", "1:9: 'sameas' is supported for true, false and none only"},
      {"{% set h = s | safe %}{{ h | trim }}",
       "1:30: text from the filter 'safe' or 'escape' can only be printed"},
      {"{% set n = namespace() %}{% for i in l %}{% set n.loop = loop %}{% endfor %}"
       "{{ n.loop.index }}",
       "1:87: the loop that 'loop' belongs to has ended"},
      {"{% set n = namespace(x=0) %}{% for i in range(101) %}{% set n.x = [n.x] %}{% endfor %}",
       "1:67: lists nest too deeply"},
      {"{% set n = namespace(x=0) %}{% for i in range(101) %}{% set n.x = {1: n.x} %}{% endfor %}",
       "1:67: dicts nest too deeply"},
  };
  RenderOptions options;
  options.variablesJson = R"({"s": "text", "l": [1, 2], "d": {"a": 1}})";
  for (const Example &example : examples) {
    Result<ChatTemplate> chat = ChatTemplate::parse(example.source);
    ASSERT_TRUE(chat) << example.source << ": " << chat.status().message();
    Result<std::string> text = chat->render({}, options);
    ASSERT_FALSE(text) << example.source << " rendered " << *text;
    EXPECT_EQ(text.status().message(), expected(example)) << example.source;
  }
}

} // namespace
