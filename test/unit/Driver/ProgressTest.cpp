//===- ProgressTest.cpp - What phases took --------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Driver/Progress.h"
#include <gtest/gtest.h>
#include <thread>

using namespace qopt;

namespace {

TEST(Progress, CountsSecondsAndBytesOfPhases) {
  Progress progress(/*quiet=*/true);
  progress.begin("first");
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  progress.begin("second", 100);
  progress.advance(40, 1000);
  progress.advance(60, 234);
  progress.note("all at once");
  progress.end();
  progress.end();
  ASSERT_EQ(progress.phases().size(), 2u);
  EXPECT_EQ(progress.phases()[0].name, "first");
  EXPECT_GE(progress.phases()[0].seconds, 0.005);
  EXPECT_EQ(progress.phases()[0].bytes, 0u);
  EXPECT_EQ(progress.phases()[1].bytes, 1234u);
  EXPECT_EQ(progress.phases()[1].note, "all at once");
}

} // namespace
