//===- SanitizerDefaults.cpp - Options of sanitized compiler binaries -----===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// LLVM's allocators poison what they have not handed out, where their headers are
// compiled with the sanitizer. The packaged libraries are not, and use it as it is.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0"; }

extern "C" const char *__ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }
