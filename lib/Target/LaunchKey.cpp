//===- LaunchKey.cpp - Which launches are the same kernel -------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LaunchKey.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

/// Operations of a scalar region with numbered values.
static void describeRegion(Region &region, llvm::raw_ostream &os) {
  DenseMap<Value, unsigned> numbers;
  for (Value argument : region.getArguments())
    numbers.try_emplace(argument, numbers.size());
  for (Operation &op : region.front()) {
    os << "\n  " << op.getName() << op.getAttrDictionary();
    for (Value operand : op.getOperands())
      os << " " << numbers.at(operand);
    for (Value result : op.getResults()) {
      os << " " << result.getType();
      numbers.try_emplace(result, numbers.size());
    }
  }
}

std::string qopt::launchKey(Operation *launch) {
  std::string key;
  llvm::raw_string_ostream os(key);
  os << launch->getName();
  for (Type type : launch->getOperandTypes())
    os << " " << type;
  for (NamedAttribute attr : launch->getAttrDictionary()) {
    StringRef name = attr.getName();
    if (name == "entry" || name == "layer")
      continue;
    os << " " << name << "=";
    if (auto schedule = dyn_cast<kernel::ScheduleAttr>(attr.getValue()))
      os << schedule.getParams();
    else
      os << attr.getValue();
  }
  for (Region &region : launch->getRegions())
    describeRegion(region, os);
  return key;
}

std::string qopt::elementName(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return "fp8";
  std::string name;
  llvm::raw_string_ostream os(name);
  if (type.isInteger())
    os << "int" << type.getIntOrFloatBitWidth();
  else
    os << type;
  return name;
}

std::string qopt::formatName(kernel::GemmOp op) {
  Type input = cast<MemRefType>(op.getInput().getType()).getElementType();
  auto weight = dyn_cast<QuantizedType>(op.getWeight().getType().getTensor().getElementType());
  if (op.getQuantize())
    input = weight.getStorage(); // as which the input is multiplied
  if (!weight)
    return elementName(input);
  std::string name = "w" + std::to_string(weight.getStorage().getIntOrFloatBitWidth()) + "a" +
                     std::to_string(input.getIntOrFloatBitWidth());
  if (op.getScales() || op.getQuantize())
    return name + "_" + elementName(input);
  if (weight.isAffine())
    name += "_affine";
  return weight.isGrouped() ? name + "_g" + std::to_string(weight.getGroupSize()) : name;
}
