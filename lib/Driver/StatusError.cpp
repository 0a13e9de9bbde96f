//===- StatusError.cpp - A runtime's status as an error -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StatusError.h"

char qopt::StatusError::ID = 0;
