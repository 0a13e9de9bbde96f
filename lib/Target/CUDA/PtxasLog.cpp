//===- PtxasLog.cpp - What the assembler says of a kernel -----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PtxasLog.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/Twine.h"

using namespace qopt;
using llvm::StringRef;

constexpr StringRef notes[] = {"C7504", "C7508", "C7510", "C7515", "C7519"};

/// The number in front of `unit`: 12 of "used 1 barriers, 12 bytes smem".
static uint32_t numberBefore(StringRef line, StringRef unit) {
  size_t at = line.find(unit);
  if (at == StringRef::npos)
    return 0;
  StringRef number = line.take_front(at).rtrim();
  number = number.substr(number.find_last_not_of("0123456789") + 1);
  uint32_t value = 0;
  number.getAsInteger(10, value);
  return value;
}

llvm::Expected<KernelResources> qopt::readPtxasLog(StringRef log, StringRef kernel) {
  KernelResources resources;
  llvm::SmallVector<StringRef> lines;
  log.split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef line : lines) {
    for (StringRef note : notes)
      if (line.contains(note))
        return llvm::createStringError("kernel '" + kernel + "' is serialised: " + line.trim());
    resources.spillBytes += numberBefore(line, " bytes spill stores");
    if (line.contains(" registers")) {
      resources.registers = numberBefore(line, " registers");
      resources.sharedBytes = numberBefore(line, " bytes smem");
    }
  }
  if (resources.spillBytes > 0)
    return llvm::createStringError("kernel '" + kernel + "' spills " +
                                   llvm::Twine(resources.spillBytes) + " bytes of registers at " +
                                   llvm::Twine(resources.registers) + " registers");
  if (resources.registers == 0)
    return llvm::createStringError("kernel '" + kernel + "' has no line of registers in the log: " +
                                   log.trim());
  return resources;
}
