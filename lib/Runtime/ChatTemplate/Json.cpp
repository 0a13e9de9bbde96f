//===- Json.cpp - JSON to and from the values of a template ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Json.h"
#include "Text.h"
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace qopt::chat {

namespace {

/// Builds values from the parser's events, so that no tree of another kind is
/// ever made and the depth is bounded on the way.
class Builder : public nlohmann::json_sax<nlohmann::json> {
public:
  Value result;
  std::string error;

  bool null() override { return add(Value(None{})); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(number_integer_t value) override { return add(Value(int64_t(value))); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > uint64_t(INT64_MAX))
      return refuse("integer " + std::to_string(value) + " doesn't fit in 64 bits");
    return add(Value(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t &text) override {
    if (text.find_first_of(".eE") == std::string::npos)
      return refuse("integer " + text + " doesn't fit in 64 bits");
    return add(Value(double(value)));
  }
  bool string(string_t &value) override { return add(Value(std::move(value))); }
  bool binary(binary_t &) override { return false; }
  bool start_object(std::size_t) override { return open(true); }
  bool key(string_t &value) override {
    open_.back().key = std::move(value);
    return true;
  }
  bool end_object() override {
    Value dict = makeDict(std::move(open_.back().dict));
    open_.pop_back();
    return add(std::move(dict));
  }
  bool start_array(std::size_t) override { return open(false); }
  bool end_array() override {
    Value list = makeList(std::move(open_.back().items));
    open_.pop_back();
    return add(std::move(list));
  }
  bool parse_error(std::size_t position, const std::string &,
                   const nlohmann::detail::exception &) override {
    return refuse("syntax error at byte " + std::to_string(position));
  }

private:
  struct Container {
    bool isObject;
    std::string key;
    DictObject dict;
    std::vector<Value> items;
  };

  bool refuse(std::string message) {
    if (error.empty())
      error = std::move(message);
    return false;
  }
  bool open(bool isObject) {
    if (open_.size() >= size_t(maxValueDepth))
      return refuse("nests deeper than " + std::to_string(maxValueDepth));
    open_.push_back({isObject, {}, {}, {}});
    return true;
  }
  bool add(Value value) {
    if (open_.empty())
      result = std::move(value);
    else if (Container &container = open_.back(); container.isObject)
      container.dict.insert(Value(std::move(container.key)), std::move(value));
    else
      container.items.push_back(std::move(value));
    return true;
  }

  std::vector<Container> open_;
};

class Writer {
public:
  Writer(Evaluator &evaluator, const JsonLayout &layout, std::string &out)
      : evaluator_(evaluator), layout_(layout), out_(out) {}

  bool write(const Value &value, int level);

private:
  bool writeList(const Value &value, int level);
  bool writeDict(const Value &value, int level);
  void writeString(std::string_view text);
  static std::string number(double value);
  bool newLine(int level) {
    if (!layout_.indent)
      return true;
    if (!evaluator_.charge(layout_.indent->size() * static_cast<uint64_t>(level) + 1))
      return false;
    out_ += '\n';
    for (int i = 0; i < level; ++i)
      out_ += *layout_.indent;
    return true;
  }
  bool separate(const std::string &separator) {
    out_ += separator;
    return evaluator_.charge(separator.size());
  }

  Evaluator &evaluator_;
  const JsonLayout &layout_;
  std::string &out_;
};

std::string Writer::number(double value) {
  if (std::isnan(value))
    return "NaN";
  return std::isinf(value) ? (value < 0 ? "-Infinity" : "Infinity") : floatRepr(value);
}

void Writer::writeString(std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  auto unit = [&](uint32_t value) {
    out_ += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4)
      out_ += hex[(value >> shift) & 15];
  };
  static constexpr std::string_view plain = "\"\\\n\r\t\f\b", names = "\"\\nrtfb";
  out_ += '"';
  for (size_t i = 0; i < text.size();) {
    CodePoint c = decodeAt(text, i);
    size_t escape = c.value < 0x80 ? plain.find(static_cast<char>(c.value)) : plain.npos;
    if (escape != plain.npos) {
      (out_ += '\\') += names[escape];
    } else if (c.value < 0x20 || (layout_.ensureAscii && c.value > 0x7e && c.value < 0x10000)) {
      unit(c.value);
    } else if (layout_.ensureAscii && c.value >= 0x10000) {
      unit(0xd800 + ((c.value - 0x10000) >> 10));
      unit(0xdc00 + ((c.value - 0x10000) & 0x3ff));
    } else {
      out_.append(text.substr(i, c.length));
    }
    i += c.length;
  }
  out_ += '"';
}

bool Writer::writeList(const Value &value, int level) {
  const std::vector<Value> &items = value.list().items;
  if (items.empty()) {
    out_ += "[]";
    return true;
  }
  out_ += '[';
  for (size_t i = 0; i < items.size(); ++i)
    if ((i && !separate(layout_.itemSeparator)) || !newLine(level + 1) ||
        !write(items[i], level + 1))
      return false;
  if (!newLine(level))
    return false;
  out_ += ']';
  return true;
}

bool Writer::writeDict(const Value &value, int level) {
  using Entry = std::pair<Value, Value>;
  std::vector<const Entry *> entries;
  for (const Entry &entry : value.dict().entries())
    entries.push_back(&entry);
  if (layout_.sortKeys) {
    if (std::any_of(entries.begin(), entries.end(),
                    [](const Entry *entry) { return !entry->first.isString(); })) {
      evaluator_.fail("sorting keys that are no str is not supported");
      return false;
    }
    std::sort(entries.begin(), entries.end(),
              [](const Entry *a, const Entry *b) { return a->first.string() < b->first.string(); });
  }
  if (entries.empty()) {
    out_ += "{}";
    return true;
  }
  out_ += '{';
  bool first = true;
  for (const auto *entry : entries) {
    if ((!std::exchange(first, false) && !separate(layout_.itemSeparator)) || !newLine(level + 1))
      return false;
    const Value &key = entry->first;
    if (key.isString())
      writeString(key.string());
    else if (key.isFloat())
      writeString(number(key.number()));
    else if (key.isBool() || key.isNone())
      writeString(key.isNone() ? "null" : key.boolean() ? "true" : "false");
    else
      writeString(std::to_string(key.integer()));
    if (!separate(layout_.keySeparator) || !write(entry->second, level + 1))
      return false;
  }
  if (!newLine(level))
    return false;
  out_ += '}';
  return true;
}

bool Writer::write(const Value &value, int level) {
  if (value.isList() &&
      (value.list().kind == ListObject::Kind::list || value.list().kind == ListObject::Kind::tuple))
    return writeList(value, level);
  if (value.isDict())
    return writeDict(value, level);
  if (value.isString())
    writeString(value.string());
  else if (value.isNone())
    out_ += "null";
  else if (value.isBool())
    out_ += value.boolean() ? "true" : "false";
  else if (value.isFloat())
    out_ += number(value.number());
  else if (value.isInteger())
    out_ += std::to_string(value.integer());
  else {
    evaluator_.fail(std::string("a ") + value.typeName() + " can't be written as JSON");
    return false;
  }
  return true;
}

} // namespace

Result<Value> parseJson(std::string_view text, std::string_view what) {
  Builder builder;
  if (!nlohmann::json::sax_parse(text, &builder))
    return Status::invalid(std::string(what) + " is not usable JSON: " + builder.error);
  return builder.result;
}

bool dumpJson(Evaluator &evaluator, const Value &value, const JsonLayout &layout,
              std::string &out) {
  return evaluator.charge(value.weight()) && Writer(evaluator, layout, out).write(value, 0);
}

} // namespace qopt::chat
