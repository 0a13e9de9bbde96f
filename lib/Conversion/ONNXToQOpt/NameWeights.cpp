//===- NameWeights.cpp - Canonical names by role --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Raiser.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx_graph;

LogicalResult Raiser::rename(Value value, const Twine &name) {
  auto op = value.getDefiningOp<WeightOp>();
  std::string canonical = name.str();
  StringRef symbol = cast<FlatSymbolRefAttr>(op.getSources()[0]).getValue();
  auto view = views.find(symbol);
  if (view == views.end()) { // named before, by another role
    if (symbol == canonical)
      return success();
    return op.emitError() << "a weight is both '" << symbol << "' and '" << canonical << "'";
  }
  WeightOrigin origin{canonical, view->second.initializer.getName().str(), view->second.transposed,
                      view->second.rowOffset, view->second.shape[0]};
  auto other = llvm::find_if(result.weights,
                             [&](const WeightOrigin &weight) { return weight.name == canonical; });
  if (other == result.weights.end())
    result.weights.push_back(origin);
  else if (*other != origin)
    return op.emitError() << "initializers '" << other->initializer << "' and '"
                          << origin.initializer << "' are both '" << canonical << "'";
  named.insert(op);
  op.setSourcesAttr(builder.getArrayAttr(FlatSymbolRefAttr::get(builder.getContext(), canonical)));
  return success();
}

/// A weight that no layer of the model has.
LogicalResult Raiser::reportUnnamed() {
  LogicalResult result = success();
  for (WeightOp op : target.getOps<WeightOp>()) {
    if (named.contains(op) || op->use_empty())
      continue;
    WeightView view = views.lookup(cast<FlatSymbolRefAttr>(op.getSources()[0]).getValue());
    result = op.emitError() << "initializer '" << view.initializer.getName()
                            << "' has no role in a Llama model";
  }
  return result;
}

/// The only user of a kind; null when there is none or are several.
template <typename Op> static Op onlyUser(Value value) {
  Op found;
  for (Operation *user : value.getUsers())
    if (auto op = dyn_cast<Op>(user)) {
      if (found)
        return {};
      found = op;
    }
  return found;
}

LogicalResult Raiser::nameLinear(Value value, const Twine &name) {
  auto linear = value ? value.getDefiningOp<LinearOp>() : LinearOp();
  if (!linear)
    return target.emitError() << "'" << name << "' is no linear layer";
  if (failed(rename(linear.getWeight(), name + ".weight")))
    return failure();
  return linear.getBias() ? rename(linear.getBias(), name + ".bias") : success();
}

LogicalResult Raiser::nameNorm(Value value, const Twine &name) {
  auto norm = value ? value.getDefiningOp<RMSNormOp>() : RMSNormOp();
  if (!norm)
    return target.emitError() << "'" << name << "' is no RMSNorm";
  return rename(norm.getWeight(), name + ".weight");
}

/// A layer: norm, attention, residual, norm, MLP, residual.
LogicalResult Raiser::nameLayer(AttentionOp attention, size_t index) {
  std::string prefix = ("model.layers." + Twine(index) + ".").str();
  Value query = attention.getQuery().getDefiningOp<RopeOp>().getInput();
  Value key = attention.getKey().getDefiningOp<RopeOp>().getInput();
  auto output = onlyUser<LinearOp>(attention.getResult());
  auto first = output ? onlyUser<AddOp>(output.getResult()) : AddOp();
  auto norm = first ? onlyUser<RMSNormOp>(first.getResult()) : RMSNormOp();
  SiluMulOp product;
  if (norm)
    for (Operation *user : norm.getResult().getUsers())
      if (auto linear = dyn_cast<LinearOp>(user))
        if (auto silu = onlyUser<SiluMulOp>(linear.getResult()))
          product = silu;
  auto down = product ? onlyUser<LinearOp>(product.getResult()) : LinearOp();
  auto second = down ? onlyUser<AddOp>(down.getResult()) : AddOp();
  if (!second)
    return attention.emitError() << "layer " << index
                                 << " is not attention, residual, norm, MLP and residual";
  auto linear = query.getDefiningOp<LinearOp>();
  return success(
      succeeded(nameNorm(linear ? linear.getInput() : Value(), prefix + "input_layernorm")) &&
      succeeded(nameLinear(query, prefix + "self_attn.q_proj")) &&
      succeeded(nameLinear(key, prefix + "self_attn.k_proj")) &&
      succeeded(nameLinear(attention.getValue(), prefix + "self_attn.v_proj")) &&
      succeeded(nameLinear(output.getResult(), prefix + "self_attn.o_proj")) &&
      succeeded(nameNorm(norm.getResult(), prefix + "post_attention_layernorm")) &&
      succeeded(nameLinear(product.getGate(), prefix + "mlp.gate_proj")) &&
      succeeded(nameLinear(product.getUp(), prefix + "mlp.up_proj")) &&
      succeeded(nameLinear(down.getResult(), prefix + "mlp.down_proj")));
}

/// The logits' weight is the embedding table when it is the same initializer in the
/// same order.
LogicalResult Raiser::nameHead(LogitsOp head) {
  auto op = head.getWeight().getDefiningOp<WeightOp>();
  WeightView view = views.lookup(cast<FlatSymbolRefAttr>(op.getSources()[0]).getValue());
  const WeightOrigin &table = result.weights.front();
  if (table.initializer != view.initializer.getName() || table.transposed != view.transposed ||
      table.rowOffset != view.rowOffset || table.rows != view.shape[0])
    return rename(head.getWeight(), "lm_head.weight");
  op.setSourcesAttr(builder.getArrayAttr(FlatSymbolRefAttr::get(builder.getContext(), table.name)));
  named.insert(op);
  return success();
}

LogicalResult Raiser::nameWeights(Value logits) {
  // First of all, where nameHead looks for it.
  for (EmbeddingOp embedding : target.getOps<EmbeddingOp>())
    if (failed(rename(embedding.getTable(), "model.embed_tokens.weight")))
      return failure();
  for (auto [index, attention] : llvm::enumerate(layers))
    if (failed(nameLayer(attention, index)))
      return failure();
  auto head = logits.getDefiningOp<LogitsOp>();
  if (failed(nameNorm(head.getInput(), "model.norm")) || failed(nameHead(head)))
    return failure();
  return reportUnnamed();
}
