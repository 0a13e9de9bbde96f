//===- LimitsTest.cpp - Hostile chat templates are bounded ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/ChatTemplate.h"
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>

using namespace qopt;

namespace {

std::string repeated(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i)
    out += text;
  return out;
}

/// Parses and renders with little work allowed; the message, or empty.
std::string outcome(std::string_view source, RenderLimits limits = {1 << 20, 1 << 24}) {
  Result<ChatTemplate> chat = ChatTemplate::parse(source);
  if (!chat)
    return chat.status().message();
  RenderOptions options;
  options.limits = limits;
  Result<std::string> text = chat->render({{"user", "hello"}, {"assistant", "hi"}}, options);
  return text ? std::string() : text.status().message();
}

TEST(ChatTemplateLimits, NestingIsBoundedAtParsing) {
  const std::string sources[] = {
      "{{ " + repeated("(", 5000) + "1" + repeated(")", 5000) + " }}",
      "{{ " + repeated("[", 5000) + repeated("]", 5000) + " }}",
      "{{ " + repeated("{1:", 5000) + "1" + repeated("}", 5000) + " }}",
      "{{ " + repeated("not ", 5000) + "1 }}",
      "{{ " + repeated("-", 5000) + "1 }}",
      "{{ 1" + repeated(" + 1", 5000) + " }}",
      "{{ a" + repeated(".a", 5000) + " }}",
      "{{ a" + repeated("[0]", 5000) + " }}",
      "{{ a" + repeated("()", 5000) + " }}",
      "{{ a" + repeated("|trim", 5000) + " }}",
      "{{ a" + repeated(" is defined or b", 5000) + " }}",
      "{{ 1" + repeated(" if a else 1", 5000) + " }}",
      "{{ 1" + repeated(" if a", 5000) + " }}",
      repeated("{% if a %}", 5000) + repeated("{% endif %}", 5000),
      repeated("{% for a in b %}", 5000) + repeated("{% endfor %}", 5000),
      "{% for " + repeated("(", 5000) + "a" + repeated(")", 5000) + " in b %}{% endfor %}",
      "{% filter trim" + repeated("|trim", 5000) + " %}{% endfilter %}",
  };
  for (const std::string &source : sources) {
    std::string message = outcome(source);
    EXPECT_NE(message.find("nests deeper than 200"), std::string::npos)
        << source.substr(0, 40) << ": " << message;
  }
}

TEST(ChatTemplateLimits, LongTemplatesAreNotDeep) {
  EXPECT_EQ(outcome("{{ 1" + repeated(" ~ 1", 5000) + " }}"), "");
  EXPECT_EQ(outcome("{% if a %}" + repeated("{% elif a %}", 5000) + "{% endif %}"), "");
  EXPECT_EQ(outcome("{% set x = [" + repeated("1,", 5000) + "] %}"), "");
  EXPECT_EQ(outcome(repeated("{{ 1 }}", 5000)), "");
}

TEST(ChatTemplateLimits, SizeOfTheTemplate) {
  std::string message = outcome(std::string((16 << 20) + 1, 'x'));
  EXPECT_EQ(message, "chat template:1:1: the template has 16777217 bytes, expected at most "
                     "16777216");
}

TEST(ChatTemplateLimits, Output) {
  EXPECT_EQ(outcome("{% for i in range(9) %}0123456789{% endfor %}", {90, 1 << 20}), "");
  EXPECT_EQ(outcome("{% for i in range(10) %}0123456789{% endfor %}", {90, 1 << 20}),
            "chat template:1:25: rendering exceeds the limit of 90 bytes");
}

TEST(ChatTemplateLimits, Work) {
  constexpr std::string_view loop = "{% for i in range(100000) %}";
  const std::string sources[] = {
      std::string(loop) + loop.data() + "{% endfor %}{% endfor %}",
      "{% set n = namespace(s='x') %}" + std::string(loop) +
          "{% set n.s = n.s + n.s %}{% endfor %}",
      "{% set n = namespace(s='x') %}" + std::string(loop) +
          "{% set n.s = n.s ~ n.s %}{% endfor %}",
      "{% set n = namespace(s=[1]) %}" + std::string(loop) +
          "{% set n.s = n.s + n.s %}{% endfor %}",
      "{% set n = namespace(s=[1]) %}" + repeated("{% set n.s = [n.s, n.s] %}", 60) + "{{ n.s }}",
      "{% set n = namespace(s=[1]) %}" + repeated("{% set n.s = [n.s, n.s] %}", 60) +
          "{{ n.s == [n.s] or n.s | tojson }}",
      "{{ 'x' * 9223372036854775807 }}",
      "{{ [1] * 9223372036854775807 }}",
      "{{ ['x' * 1000] * 1000 * 1000 }}",
      "{{ ['a', 'b'] | join('x' * 10000000) * 2 }}",
      "{{ [1] | tojson(indent=9223372036854775807) }}",
      "{{ 'x' | indent(9223372036854775807, true) }}",
      "{{ ('x' * 1000) | replace('x', 'y' * 100000) }}",
      "{{ ('x' * 1000).replace('', 'y' * 100000) }}",
      "{% set s = 'x' * 100000 %}" + std::string(loop) + "{{ s | length }}{% endfor %}",
      "{% set s = 'x' * 100000 %}" + std::string(loop) + "{{ s[1:2] }}{% endfor %}",
      "{% set s = 'x' * 100000 %}" + std::string(loop) + "{{ 'y' in s }}{% endfor %}",
      "{% set l = range(10000) | list %}" + std::string(loop) + "{{ 'y' in l }}{% endfor %}",
      "{% set l = range(10000) | list %}" + std::string(loop) +
          "{% set x = l | sort %}{% endfor %}",
      std::string(loop) + "{% set n = namespace() %}{% macro m() %}{% endmacro %}{% endfor %}",
  };
  for (const std::string &source : sources) {
    std::string message = outcome(source, {size_t(1) << 30, 1 << 22});
    EXPECT_NE(message.find("exceeds the limit of 4194304 units of work"), std::string::npos)
        << source.substr(0, 80) << ": " << message;
  }
}

/// Ours, so that every construct is among them.
std::vector<std::string> storedSources() {
  std::ifstream file(QOPT_TEST_DIR "/unit/ChatTemplate/reference.json");
  nlohmann::json reference = nlohmann::json::parse(file, nullptr, false);
  std::vector<std::string> sources;
  for (const auto &entry : reference["templates"])
    sources.push_back(entry["source"]);
  return sources;
}

TEST(ChatTemplateLimits, TruncatedTemplates) {
  for (const std::string &source : storedSources())
    for (size_t size = 0; size < source.size(); size += source.size() > 500 ? 7 : 1)
      outcome(source.substr(0, size), {1 << 16, 1 << 18});
}

TEST(ChatTemplateLimits, MutatedTemplates) {
  std::mt19937 random(7);
  auto below = [&](size_t n) { return random() % n; };
  std::vector<std::string> sources = storedSources();
  constexpr std::string_view bits[] = {"{{", "}}", "{%", "%}", "(", ")", "[",    "]",    "|",  "'",
                                       "\"", ".",  ",",  "-",  "=", "~", "not ", " is ", "{#", "9"};
  for (int i = 0; i < 4000; ++i) {
    std::string source = sources[below(sources.size())];
    for (size_t edits = 1 + below(4); edits && !source.empty(); --edits) {
      size_t at = below(source.size());
      switch (below(4)) {
      case 0:
        source.erase(at, 1 + below(8));
        break;
      case 1:
        source.insert(at, bits[below(std::size(bits))]);
        break;
      case 2:
        source[at] = static_cast<char>(below(128));
        break;
      default: {
        const std::string &other = sources[below(sources.size())];
        source.insert(at, other, below(other.size() + 1), below(40));
      }
      }
    }
    outcome(source, {1 << 16, 1 << 18});
  }
}

} // namespace
