//===- DeviceHeaders.cpp - The device headers as text ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceHeaders.h"
#include "llvm/ADT/STLExtras.h"
#include <map>

using namespace qopt;

static constexpr DeviceHeader allHeaders[] = {
#include "DeviceHeaders.inc"
};

static void collect(llvm::StringRef text, std::map<llvm::StringRef, DeviceHeader> &found) {
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    text = rest;
    if (!line.consume_front("#include \""))
      continue;
    llvm::StringRef name = line.split('"').first;
    const DeviceHeader *header =
        llvm::find_if(allHeaders, [&](const DeviceHeader &h) { return h.name == name; });
    if (header != std::end(allHeaders) && found.emplace(header->name, *header).second)
      collect(header->text, found);
  }
}

std::vector<DeviceHeader> qopt::includedHeaders(llvm::StringRef text) {
  std::map<llvm::StringRef, DeviceHeader> found;
  collect(text, found);
  std::vector<DeviceHeader> headers;
  for (const auto &[name, header] : found)
    headers.push_back(header);
  return headers;
}
