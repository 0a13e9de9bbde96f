//===- BuiltinTables.h - The tables behind findBuiltin() ------ -*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_CHATTEMPLATE_BUILTINTABLES_H
#define QOPT_RUNTIME_CHATTEMPLATE_BUILTINTABLES_H

#include "Builtins.h"
#include <span>

namespace qopt::chat {

std::span<const Builtin> textFilters();
std::span<const Builtin> sequenceFilters();
std::span<const Builtin> tests();
std::span<const Builtin> functions();
std::span<const Builtin> methods();

} // namespace qopt::chat

#endif // QOPT_RUNTIME_CHATTEMPLATE_BUILTINTABLES_H
