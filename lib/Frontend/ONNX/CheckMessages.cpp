//===- CheckMessages.cpp - What parsing an ONNX file would make -----------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReaderDetail.h"
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

using namespace llvm;
using namespace qopt;
using namespace qopt::onnx;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

namespace {

enum class Message {
  model,
  graph,
  node,
  attribute,
  tensor,
  value,
  type,
  tensorType,
  shape,
  function,
  plain
};

struct Field {
  Message owner;
  int number;
  Message message;
};

/// The fields of onnx.proto that hold messages with messages or lists in them.
constexpr Field fields[] = {
    {Message::model, 7, Message::graph},         {Message::model, 25, Message::function},
    {Message::graph, 1, Message::node},          {Message::graph, 5, Message::tensor},
    {Message::graph, 11, Message::value},        {Message::graph, 12, Message::value},
    {Message::graph, 13, Message::value},        {Message::node, 5, Message::attribute},
    {Message::attribute, 5, Message::tensor},    {Message::attribute, 6, Message::graph},
    {Message::value, 2, Message::type},          {Message::type, 1, Message::tensorType},
    {Message::tensorType, 2, Message::shape},    {Message::function, 7, Message::node},
    {Message::function, 11, Message::attribute},
};

constexpr int64_t maxMessages = 1 << 18;
constexpr int maxDepth = 100; // the parser's own

/// False when there are too many.
bool count(CodedInputStream &stream, Message owner, int depth, int64_t &number) {
  while (uint32_t tag = stream.ReadTag()) {
    uint32_t length;
    if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      if (!WireFormatLite::SkipField(&stream, tag))
        return true;
      continue;
    }
    if (++number > maxMessages)
      return false;
    if (!stream.ReadVarint32(&length))
      return true;
    const Field *field = find_if(fields, [&](const Field &f) {
      return f.owner == owner && f.number == WireFormatLite::GetTagFieldNumber(tag);
    });
    if (field == std::end(fields) || depth == maxDepth) {
      if (length > INT32_MAX || !stream.Skip(static_cast<int>(length)))
        return true;
      continue;
    }
    CodedInputStream::Limit limit = stream.PushLimit(static_cast<int>(length));
    if (length > INT32_MAX || !count(stream, field->message, depth + 1, number))
      return length > INT32_MAX;
    if (stream.BytesUntilLimit() > 0) // not well-formed
      return true;
    stream.PopLimit(limit);
  }
  return true;
}

} // namespace

Error onnx::checkMessages(StringRef file) {
  if (file.size() > INT32_MAX)
    return onnx::error("has {0} bytes, expected at most {1}", file.size(), INT32_MAX);
  CodedInputStream stream(file.bytes_begin(), static_cast<int>(file.size()));
  int64_t number = 0;
  if (!count(stream, Message::model, 0, number))
    return onnx::error("has more than {0} messages and texts", maxMessages);
  return Error::success();
}
