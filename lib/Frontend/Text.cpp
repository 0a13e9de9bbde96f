//===- Text.cpp - Values as they stand in errors -----------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/Text.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include <charconv>

using namespace llvm;
using namespace qopt;

std::string qopt::printable(StringRef text) {
  std::string escaped;
  for (char c : text.take_front(200)) {
    bool isControl = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    escaped += isControl ? "\\x" + utohexstr(c, /*LowerCase=*/true, 2) : std::string(1, c);
  }
  return text.size() > 200 ? escaped + "..." : escaped;
}

bool qopt::isUTF8(StringRef text) {
  const UTF8 *begin = text.bytes_begin();
  return isLegalUTF8String(&begin, text.bytes_end());
}

std::string qopt::numberText(double number) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), number).ptr);
}

std::string qopt::shapeText(ArrayRef<int64_t> shape) {
  std::string text = "[";
  raw_string_ostream stream(text);
  interleaveComma(shape, stream);
  return text + "]";
}

Error qopt::inContext(const Twine &what, Error error) {
  return createStringError(what + ": " + toString(std::move(error)));
}
