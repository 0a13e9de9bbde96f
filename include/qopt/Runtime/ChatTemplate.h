//===- ChatTemplate.h - Chat prompts from Jinja templates -------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Renders a conversation with the chat template that a model carries. The
/// templates are written in Jinja2; this is the subset that published chat
/// templates use, with the bytes that transformers' apply_chat_template gives
/// (trim_blocks, lstrip_blocks, the sandbox's immutable values, loop controls,
/// `tojson`, `raise_exception`, `strftime_now` and the generation tag).
///
///   Result<ChatTemplate> chat = ChatTemplate::parse(source, {.eos = "</s>"});
///   if (!chat)
///     return report(chat.status().message()); // names construct, line:column
///   Result<std::string> prompt =
///       chat->render({{"user", "Hello"}}, {.addGenerationPrompt = true});
///
/// Templates are untrusted: parsing bounds the nesting, rendering bounds the
/// work, the recursion and the output. A parsed template is immutable and may
/// be rendered from any number of threads at once.
///
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_H
#define QOPT_RUNTIME_CHATTEMPLATE_H

#include "qopt/Runtime/Status.h"
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qopt {

/// The special tokens that a template sees as `bos_token`, `eos_token`,
/// `pad_token` and `unk_token`; an absent one is undefined in the template.
struct SpecialTokens {
  std::optional<std::string> bos;
  std::optional<std::string> eos;
  std::optional<std::string> pad;
  std::optional<std::string> unk;
};

/// One message of a conversation. All text is UTF-8.
struct ChatMessage {
  std::string role;
  /// Absent where the message has none (an assistant's bare tool call).
  std::optional<std::string> content;
  /// JSON text of an object with further keys (`tool_calls`, `name`, a
  /// `content` in parts); it wins over `content`. Empty: none.
  std::string fields = {};
};

/// Bounds on what one rendering may cost.
struct RenderLimits {
  /// Bytes of the rendered prompt.
  size_t maxOutputBytes = size_t(64) << 20;
  /// Units of work: one for each byte of text copied or searched, sixteen for
  /// each expression, statement and element visited.
  uint64_t maxWork = uint64_t(1) << 30;
};

/// What a rendering depends on besides the messages.
struct RenderOptions {
  /// End with the header of the assistant's next message.
  bool addGenerationPrompt = false;
  /// JSON text of an array of tool descriptions; empty: `tools` is none.
  std::string tools = {};
  /// JSON text of an array of documents; empty: `documents` is none.
  std::string documents = {};
  /// Further string variables, such as {"date_string", "26 Jul 2024"}.
  std::vector<std::pair<std::string, std::string>> variables = {};
  /// JSON text of an object with further variables of any type; empty: none.
  std::string variablesJson = {};
  /// The clock behind `strftime_now`; by default the local time.
  std::function<std::tm()> now = {};
  RenderLimits limits = {};
};

class ChatTemplate {
public:
  /// Parses \p source. A syntax error or a construct outside the subset (tag,
  /// filter, test, function, method) is an error that names it with its
  /// line:column.
  static Result<ChatTemplate> parse(std::string_view source, SpecialTokens tokens = {});

  /// Renders \p messages. Errors: the template called `raise_exception`, an
  /// operation is invalid for its values, a JSON option or a text is malformed,
  /// or a limit is exceeded.
  Result<std::string> render(const std::vector<ChatMessage> &messages,
                             const RenderOptions &options = {}) const;

  /// The same with the messages as JSON text: an array of objects whose keys
  /// the template sees in their order. As transformers does, keys whose value
  /// is null are dropped from the messages.
  Result<std::string> renderJson(std::string_view messages,
                                 const RenderOptions &options = {}) const;

private:
  struct Parsed;
  explicit ChatTemplate(std::shared_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}

  std::shared_ptr<const Parsed> parsed_;
};

} // namespace qopt

#endif // QOPT_RUNTIME_CHATTEMPLATE_H
