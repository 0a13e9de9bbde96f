//===- MakeSchedule.cpp - A schedule with its reason ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Target/MakeSchedule.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace qopt;

kernel::ScheduleAttr qopt::makeSchedule(MLIRContext *context,
                                        ArrayRef<std::pair<StringRef, int64_t>> params,
                                        const Twine &reason, ArrayRef<std::string> rejected) {
  Builder builder(context);
  SmallVector<NamedAttribute> named;
  for (auto [name, value] : params)
    named.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(value)));
  SmallVector<Attribute> others;
  for (const std::string &text : rejected)
    others.push_back(builder.getStringAttr(text));
  return kernel::ScheduleAttr::get(context, builder.getDictionaryAttr(named),
                                   builder.getStringAttr(reason),
                                   others.empty() ? ArrayAttr() : builder.getArrayAttr(others));
}
