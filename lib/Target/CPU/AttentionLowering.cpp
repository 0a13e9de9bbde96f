//===- AttentionLowering.cpp - Causal attention over pages ----------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CachePages.h"
#include "ElementConversions.h"
#include "KernelEmitters.h"
#include "MathApproximations.h"
#include <limits>

using namespace mlir;
using namespace qopt;
using arith::CmpIPredicate;

/// Accumulators, in vectors, that leave registers for the rest.
static int64_t maxAccumulators(const CPUTarget &target) { return target.avx512 ? 16 : 8; }

namespace {

/// Emits the attention of one token and one KV head: the heads of a group share
/// every load of keys and values. Online softmax, page after page:
///
///   m' = max(m, s_j), c = exp(m - m'), p_j = exp(s_j - m')
///   l' = l c + sum p_j, y' = y c + sum p_j v_j, at the end y / l
class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &b, kernel::AttentionOp op, const KernelArguments &args)
      : b(b), op(op), args(args), pages(op.getCache().getType()), query(op.getQuery()),
        out(op.getOuts()[0]), group(op.getNumHeads() / pages.kvHeads),
        tokenLanes(widest(pages.pageTokens)), channelLanes(widest(pages.headDim)),
        queries(b.scratch(4 * group * pages.headDim)), sums(b.scratch(4 * group * pages.headDim)),
        weights(b.scratch(4 * group * pages.pageTokens)), maxima(b.scratch(4 * group)),
        totals(b.scratch(4 * group)) {}

  void run() {
    auto [first, last] = args.share(b, b.mulI(args.rows, pages.kvHeads));
    b.loop(first, last, 1,
           [&](Value unit) { emitUnit(b.divU(unit, pages.kvHeads), b.remU(unit, pages.kvHeads)); });
  }

private:
  /// The most lanes, a power of two, whose vectors divide `count`.
  int64_t widest(int64_t count) const {
    int64_t lanes = b.lanes();
    while (count % lanes != 0)
      lanes /= 2;
    return lanes;
  }

  Value headRow(const Rows &rows, Value buffer, Value row, Value kvHead) {
    Value pointer = b.rowAt(args.pointer(buffer), row, rows.rowBytes);
    return b.at(pointer, b.mulI(kvHead, group * pages.headDim * rows.elementBytes()));
  }

  void emitUnit(Value row, Value kvHead) {
    Type f32 = b.getF32Type();
    Value from = headRow(query, op.getQuery(), row, kvHead);
    b.loop(b.i64(0), b.i64(group * pages.headDim), channelLanes, [&](Value i) {
      Value q =
          loadF32(b, query.element, b.at(from, b.mulI(i, query.elementBytes())), channelLanes);
      b.store(q, b.rowAt(queries, i, 4));
      b.store(b.constantF(b.vecF32(channelLanes), 0.0), b.rowAt(sums, i, 4));
    });
    for (int64_t head = 0; head < group; ++head) {
      b.store(b.constantF(f32, -std::numeric_limits<float>::infinity()), b.at(maxima, 4 * head));
      b.store(b.constantF(f32, 0.0), b.at(totals, 4 * head));
    }
    Value tokens = b.addI(pages.position(b, args, row), 1);
    Value pageCount = b.divU(b.addI(tokens, pages.pageTokens - 1), pages.pageTokens);
    b.loop(b.i64(0), pageCount, 1, [&](Value index) {
      Value left = b.subI(tokens, b.mulI(index, pages.pageTokens));
      Value valid = b.minU(left, b.i64(pages.pageTokens));
      Value page = pages.page(b, args, op.getCache(), row, index);
      emitScores(pages.keys(b, page, kvHead), valid);
      for (int64_t head = 0; head < group; ++head)
        emitSoftmax(head);
      emitWeightedSum(pages.values(b, page, kvHead), valid);
    });
    Value to = headRow(out, op.getOuts()[0], row, kvHead);
    for (int64_t head = 0; head < group; ++head) {
      Value total = b.splat(b.load(f32, b.at(totals, 4 * head)), channelLanes);
      b.loop(b.i64(0), b.i64(pages.headDim), channelLanes, [&](Value i) {
        Value column = b.addI(i, head * pages.headDim);
        Value y = b.divF(b.load(b.vecF32(channelLanes), b.rowAt(sums, column, 4)), total);
        storeF32(b, out.element, y, b.at(to, b.mulI(column, out.elementBytes())));
      });
    }
  }

  /// Blocks of heads x vectors that fit the registers.
  template <typename Body> void forBlocks(int64_t vectors, Body body) {
    int64_t limit = maxAccumulators(b.target);
    int64_t width = std::min(vectors, limit), height = std::max<int64_t>(1, limit / width);
    for (int64_t head = 0; head < group; head += height)
      for (int64_t vector = 0; vector < vectors; vector += width)
        body(head, std::min(height, group - head), vector, std::min(width, vectors - vector));
  }

  SmallVector<Value> zeros(int64_t count, int64_t lanes) {
    return SmallVector<Value>(count, b.constantF(b.vecF32(lanes), 0.0));
  }

  /// weights[head][token] = scale * sum_d q[head][d] k[d][token]; -inf for tokens
  /// beyond the query's, whatever their slots hold.
  void emitScores(Value keys, Value valid) {
    double scale = op.getScale().convertToDouble();
    forBlocks(pages.pageTokens / tokenLanes, [&](int64_t head, int64_t heads, int64_t vector,
                                                 int64_t vectors) {
      SmallVector<Value> scores =
          b.loop(b.i64(0), b.i64(pages.headDim), 1, zeros(heads * vectors, tokenLanes),
                 [&](Value d, ValueRange carried) {
                   SmallVector<Value> next(carried);
                   Value row = b.rowAt(keys, d, pages.keyRowBytes());
                   for (int64_t v = 0; v < vectors; ++v) {
                     int64_t offset = (vector + v) * tokenLanes * pages.elementBytes();
                     Value k = loadF32(b, pages.element, b.at(row, offset), tokenLanes);
                     for (int64_t h = 0; h < heads; ++h) {
                       Value pointer = b.rowAt(b.at(queries, 4 * (head + h) * pages.headDim), d, 4);
                       Value q = b.splat(b.load(b.getF32Type(), pointer), tokenLanes);
                       Value &sum = next[h * vectors + v];
                       sum = b.mulAdd(q, k, sum);
                     }
                   }
                   return next;
                 });
      Value masked = b.constantF(b.vecF32(tokenLanes), -std::numeric_limits<float>::infinity());
      for (int64_t v = 0; v < vectors; ++v) {
        Value isValid = emitIsValid((vector + v) * tokenLanes, valid);
        for (int64_t h = 0; h < heads; ++h) {
          Value score = b.select(isValid, b.mulF(scores[h * vectors + v], scale), masked);
          b.store(score, b.at(weights, weightOffset(head + h, (vector + v) * tokenLanes)));
        }
      }
    });
  }

  Value emitIsValid(int64_t firstToken, Value valid) {
    SmallVector<int32_t> numbers;
    for (int64_t i = 0; i < tokenLanes; ++i)
      numbers.push_back(firstToken + i);
    auto attr = DenseElementsAttr::get(b.vecI32(tokenLanes), ArrayRef<int32_t>(numbers));
    Value tokens = arith::ConstantOp::create(b, cast<TypedAttr>(attr));
    Value limit = b.splat(b.trunc(valid, b.getI32Type()), tokenLanes);
    return b.cmpI(CmpIPredicate::slt, tokens, limit);
  }

  int64_t weightOffset(int64_t head, int64_t token) const {
    return 4 * (head * pages.pageTokens + token);
  }

  /// Scores to exp(score - maximum), and what came before to the new maximum.
  void emitSoftmax(int64_t head) {
    auto max = [&](Value x, Value y) {
      return b.select(b.cmpF(arith::CmpFPredicate::OGT, x, y), x, y);
    };
    VectorType type = b.vecF32(tokenLanes);
    SmallVector<Value> scores;
    for (int64_t token = 0; token < pages.pageTokens; token += tokenLanes)
      scores.push_back(b.load(type, b.at(weights, weightOffset(head, token))));
    Value largest = scores.front();
    for (Value score : ArrayRef(scores).drop_front())
      largest = max(largest, score);
    Value before = b.load(b.getF32Type(), b.at(maxima, 4 * head));
    Value maximum = max(before, b.reduce(largest, max));
    Value total = b.constantF(type, 0.0);
    for (auto [index, score] : llvm::enumerate(scores)) {
      Value weight = emitExp(b, b.subF(score, b.splat(maximum, tokenLanes)));
      b.store(weight, b.at(weights, weightOffset(head, index * tokenLanes)));
      total = b.addF(total, weight);
    }
    Value correction = b.lane(emitExp(b, b.splat(b.subF(before, maximum), 1)), 0);
    Value previous = b.load(b.getF32Type(), b.at(totals, 4 * head));
    b.store(b.mulAdd(previous, correction, b.reduceAddF(total)), b.at(totals, 4 * head));
    b.store(maximum, b.at(maxima, 4 * head));
    b.loop(b.i64(0), b.i64(pages.headDim), channelLanes, [&](Value i) {
      Value pointer = b.rowAt(b.at(sums, 4 * head * pages.headDim), i, 4);
      Value sum = b.load(b.vecF32(channelLanes), pointer);
      b.store(b.mulF(sum, b.splat(correction, channelLanes)), pointer);
    });
  }

  /// sums[head][d] += sum over the valid tokens of weight * v[token][d].
  void emitWeightedSum(Value values, Value valid) {
    forBlocks(pages.headDim / channelLanes, [&](int64_t head, int64_t heads, int64_t vector,
                                                int64_t vectors) {
      auto sumAt = [&](int64_t h, int64_t v) {
        return b.at(sums, 4 * ((head + h) * pages.headDim + (vector + v) * channelLanes));
      };
      SmallVector<Value> carried;
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t v = 0; v < vectors; ++v)
          carried.push_back(b.load(b.vecF32(channelLanes), sumAt(h, v)));
      SmallVector<Value> result =
          b.loop(b.i64(0), valid, 1, carried, [&](Value token, ValueRange before) {
            SmallVector<Value> next(before);
            Value row = b.rowAt(values, token, pages.valueRowBytes());
            for (int64_t v = 0; v < vectors; ++v) {
              int64_t offset = (vector + v) * channelLanes * pages.elementBytes();
              Value x = loadF32(b, pages.element, b.at(row, offset), channelLanes);
              for (int64_t h = 0; h < heads; ++h) {
                Value pointer = b.rowAt(b.at(weights, weightOffset(head + h, 0)), token, 4);
                Value weight = b.splat(b.load(b.getF32Type(), pointer), channelLanes);
                Value &sum = next[h * vectors + v];
                sum = b.mulAdd(weight, x, sum);
              }
            }
            return next;
          });
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t v = 0; v < vectors; ++v)
          b.store(result[h * vectors + v], sumAt(h, v));
    });
  }

  KernelBuilder &b;
  kernel::AttentionOp op;
  const KernelArguments &args;
  CachePages pages;
  Rows query, out;
  int64_t group;                    ///< heads that share a KV head
  int64_t tokenLanes, channelLanes; ///< lanes of vectors along tokens and channels
  Value queries, sums;              ///< stack, float32 [group][head_dim]
  Value weights;                    ///< stack, float32 [group][page_tokens]
  Value maxima, totals;             ///< stack, float32 [group]
};

} // namespace

void qopt::emitAttention(KernelBuilder &b, kernel::AttentionOp op, const KernelArguments &args) {
  AttentionEmitter(b, op, args).run();
}
