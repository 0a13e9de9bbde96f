//===- ChatTemplate.cpp - Chat prompts from Jinja templates ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/ChatTemplate.h"
#include "Evaluator.h"
#include "Json.h"
#include "Parser.h"
#include "Text.h"
#include <algorithm>

namespace qopt {

using namespace chat;

struct ChatTemplate::Parsed {
  Block block;
  SpecialTokens tokens;
};

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, SpecialTokens tokens) {
  for (const auto *token : {&tokens.bos, &tokens.eos, &tokens.pad, &tokens.unk})
    if (*token && !isValidUtf8(**token))
      return Status::invalid("a special token is not valid UTF-8");
  Result<Block> block = parseTemplate(source);
  if (!block)
    return block.status();
  return ChatTemplate(std::make_shared<const Parsed>(Parsed{std::move(*block), std::move(tokens)}));
}

/// Older names of a message's reasoning, which transformers gives the templates
/// under the newest and under `thinking`.
static DictObject aliasReasoning(const DictObject &message) {
  const Value *reasoning = nullptr;
  for (std::string_view name : {"reasoning_content", "thinking", "reasoning"})
    if (!reasoning)
      reasoning = message.find(name);
  if (!reasoning)
    return message;
  DictObject aliased;
  aliased.insert(Value("thinking"), *reasoning);
  for (const auto &[key, value] : message.entries())
    aliased.insert(key, value);
  aliased.insert(Value("reasoning_content"), *reasoning);
  return aliased;
}

/// One message as the template sees it, or the reason why not.
static Result<Value> normalizeMessage(const Value &message, size_t index) {
  if (!message.isDict())
    return Status::invalid("message " + std::to_string(index) + " is a " + message.typeName() +
                           ", expected an object");
  DictObject kept;
  for (const auto &[key, value] : message.dict().entries())
    if (!value.isNone())
      kept.insert(key, value);
  return makeDict(aliasReasoning(kept));
}

static Result<Value> toValue(const ChatMessage &message, size_t index) {
  std::string name = "message " + std::to_string(index);
  if (!isValidUtf8(message.role) || (message.content && !isValidUtf8(*message.content)))
    return Status::invalid(name + " is not valid UTF-8");
  DictObject dict;
  dict.insert(Value("role"), Value(message.role));
  if (message.content)
    dict.insert(Value("content"), Value(*message.content));
  if (message.fields.empty())
    return makeDict(std::move(dict));
  Result<Value> fields = parseJson(message.fields, name);
  if (!fields)
    return fields.status();
  if (!fields->isDict())
    return Status::invalid(name + " has fields that are a " + fields->typeName() +
                           ", expected an object");
  for (const auto &[key, value] : fields->dict().entries())
    dict.insert(key, value);
  return makeDict(std::move(dict));
}

/// The JSON array in an option, or none where it is empty.
static Result<Value> parseArray(const std::string &text, const char *what) {
  if (text.empty())
    return Value(None{});
  Result<Value> value = parseJson(text, what);
  if (!value || value->isNone())
    return value;
  bool valid =
      value->isList() && std::all_of(value->list().items.begin(), value->list().items.end(),
                                     [](const Value &item) { return item.isDict(); });
  if (!valid)
    return Status::invalid(std::string(what) + " are not an array of objects");
  return value;
}

static Status addVariables(const RenderOptions &options, DictObject &variables) {
  static constexpr std::string_view reserved[] = {"messages", "tools", "documents",
                                                  "add_generation_prompt"};
  auto add = [&](const std::string &name, Value value) {
    if (std::find(std::begin(reserved), std::end(reserved), name) != std::end(reserved))
      return Status::invalid("variable '" + name + "' has an option of its own");
    variables.insert(Value(name), std::move(value));
    return Status::ok();
  };
  for (const auto &[name, text] : options.variables) {
    if (!isValidUtf8(name) || !isValidUtf8(text))
      return Status::invalid("variable '" + name + "' is not valid UTF-8");
    if (Status status = add(name, Value(text)); !status)
      return status;
  }
  if (options.variablesJson.empty())
    return Status::ok();
  Result<Value> more = parseJson(options.variablesJson, "the variables");
  if (!more)
    return more.status();
  if (!more->isDict())
    return Status::invalid(std::string("the variables are a ") + more->typeName() +
                           ", expected an object");
  for (const auto &[key, value] : more->dict().entries())
    if (Status status = add(key.string(), value); !status)
      return status;
  return Status::ok();
}

static Result<std::string> renderValues(const Block &block, const SpecialTokens &tokens,
                                        const std::vector<Value> &messages,
                                        const RenderOptions &options) {
  std::vector<Value> normalized;
  for (size_t i = 0; i < messages.size(); ++i) {
    Result<Value> message = normalizeMessage(messages[i], i);
    if (!message)
      return message.status();
    normalized.push_back(std::move(*message));
  }
  Result<Value> tools = parseArray(options.tools, "the tools");
  if (!tools)
    return tools.status();
  Result<Value> documents = parseArray(options.documents, "the documents");
  if (!documents)
    return documents.status();

  DictObject variables;
  const std::pair<const char *, const std::optional<std::string> &> special[] = {
      {"bos_token", tokens.bos},
      {"eos_token", tokens.eos},
      {"pad_token", tokens.pad},
      {"unk_token", tokens.unk}};
  for (const auto &[name, token] : special)
    if (token)
      variables.insert(Value(name), Value(*token));
  if (Status status = addVariables(options, variables); !status)
    return status;
  variables.insert(Value("messages"), makeList(std::move(normalized)));
  variables.insert(Value("tools"), std::move(*tools));
  variables.insert(Value("documents"), std::move(*documents));
  variables.insert(Value("add_generation_prompt"), Value(options.addGenerationPrompt));
  return Evaluator(variables, options).run(block);
}

Result<std::string> ChatTemplate::render(const std::vector<ChatMessage> &messages,
                                         const RenderOptions &options) const {
  std::vector<Value> values;
  for (size_t i = 0; i < messages.size(); ++i) {
    Result<Value> value = toValue(messages[i], i);
    if (!value)
      return value.status();
    values.push_back(std::move(*value));
  }
  return renderValues(parsed_->block, parsed_->tokens, values, options);
}

Result<std::string> ChatTemplate::renderJson(std::string_view messages,
                                             const RenderOptions &options) const {
  Result<Value> value = parseJson(messages, "the conversation");
  if (!value)
    return value.status();
  if (!value->isList())
    return Status::invalid(std::string("the conversation is a ") + value->typeName() +
                           ", expected an array");
  return renderValues(parsed_->block, parsed_->tokens, value->list().items, options);
}

} // namespace qopt
