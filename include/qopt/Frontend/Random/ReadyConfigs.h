//===- ReadyConfigs.h - Configurations known by name -------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_FRONTEND_RANDOM_READYCONFIGS_H
#define QOPT_FRONTEND_RANDOM_READYCONFIGS_H

#include "qopt/Frontend/LlamaConfig.h"

namespace qopt {

/// llama-3.2-1b, llama-3.1-8b, llama-3.1-70b, llama-3.1-405b: the published
/// shapes, in bf16. Nothing for another name.
std::optional<LlamaConfig> findReadyConfig(llvm::StringRef name);

/// "llama-3.2-1b, llama-3.1-8b, ..."
std::string readyConfigNames();

} // namespace qopt

#endif // QOPT_FRONTEND_RANDOM_READYCONFIGS_H
