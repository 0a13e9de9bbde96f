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
#include "qopt/Target/CPU/Schedule.h"
#include <limits>

using namespace mlir;
using namespace qopt;
using arith::CmpIPredicate;

/// Accumulators, in vectors, that leave registers for the rest.
static int64_t maxAccumulators(const CPUTarget &target) { return target.avx512 ? 16 : 8; }

namespace {

/// The keys or the values of one KV head in one page.
struct PageMatrix {
  Value pointer;
  Type element;
  int64_t rowBytes;
};

/// Emits attention in units: `queries` rows by `heads` of the heads that share a
/// KV head, which share every load of keys and values. Online softmax, page after
/// page:
///
///   m' = max(m, s_j), c = exp(m - m'), p_j = exp(s_j - m')
///   l' = l c + sum p_j, y' = y c + sum p_j v_j, at the end y / l
///
/// Rows of a unit that follow each other in a sequence pass over its pages
/// together: a page is converted to float32 once for all of them, and read as it is
/// for a row alone. Each row computes what it would alone.
class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &b, kernel::AttentionOp op, const KernelArguments &args)
      : b(b), op(op), args(args), pages(op.getCache().getType()), query(op.getQuery()),
        out(op.getOuts()[0]), queriesAtOnce(attentionQueries(op)), group(attentionHeads(op)),
        tokenLanes(widest(pages.pageTokens, b.lanes())),
        channelLanes(widest(pages.headDim, b.lanes())),
        queries(b.scratch(queriesAtOnce * stateBytes())),
        sums(b.scratch(queriesAtOnce * stateBytes())),
        weights(b.scratch(4 * group * pages.pageTokens)),
        maxima(b.scratch(4 * group * queriesAtOnce)), totals(b.scratch(4 * group * queriesAtOnce)) {
    if (queriesAtOnce == 1)
      return;
    keys = b.scratch(4 * pages.headDim * pages.pageTokens);
    values = b.scratch(4 * pages.headDim * pages.pageTokens);
  }

  void run() {
    // Later rows see more tokens: whoever gets the last share would finish last.
    int64_t perRow = op.getNumHeads() / group;
    Value blocks = b.divU(b.addI(args.rows, queriesAtOnce - 1), queriesAtOnce);
    args.forEachOwn(b, b.mulI(blocks, perRow), [&](Value unit) {
      Value first = b.mulI(b.divU(unit, perRow), queriesAtOnce);
      Value head = b.mulI(b.remU(unit, perRow), group);
      Value end = b.minU(b.addI(first, queriesAtOnce), args.rows);
      if (queriesAtOnce == 1)
        return emitRun(first, end, head);
      b.loop(first, end, 1, [&](Value row) { emitRunFrom(first, row, end, head); });
    });
  }

private:
  /// The most lanes, a power of two up to `lanes`, whose vectors divide `count`.
  static int64_t widest(int64_t count, int64_t lanes) {
    while (count % lanes != 0)
      lanes /= 2;
    return lanes;
  }

  int64_t stateBytes() const { return 4 * group * pages.headDim; } ///< of a row

  Value headRow(const Rows &rows, Value buffer, Value row, Value head) {
    Value pointer = b.rowAt(args.pointer(buffer), row, rows.rowBytes);
    return b.at(pointer, b.mulI(head, pages.headDim * rows.elementBytes()));
  }

  /// If `row` is the first of `first` to `end` in its sequence: the rows that
  /// follow it there.
  void emitRunFrom(Value first, Value row, Value end, Value head) {
    auto sequence = [&](Value row) {
      return b.load(b.getI32Type(), b.rowAt(args.sequences, row, 4));
    };
    auto isSame = [&](Value x, Value y) { return b.cmpI(CmpIPredicate::eq, x, y); };
    Value own = sequence(row);
    Value isFirst = isSame(row, first);
    Value before = sequence(
        b.subI(row, b.extU(b.xorI(isFirst, b.constant(b.getI1Type(), 1)), b.getI64Type())));
    Value starts = b.orI(isFirst, b.cmpI(CmpIPredicate::ne, before, own));
    b.ifThen(starts, [&] {
      Value runEnd =
          b.loop(b.addI(row, 1), end, 1, {b.addI(row, 1)}, [&](Value next, ValueRange reached) {
            Value follows = b.andI(isSame(next, reached[0]), isSame(sequence(next), own));
            return SmallVector<Value>{b.addI(reached[0], b.extU(follows, b.getI64Type()))};
          })[0];
      emitRun(row, runEnd, head);
    });
  }

  /// Rows [first, end), all of one sequence, and the heads from `head` on.
  void emitRun(Value first, Value end, Value head) {
    Value kvHead = b.divU(head, op.getNumHeads() / pages.kvHeads);
    b.loop(first, end, 1, [&](Value row) { emitStart(row, b.subI(row, first), head); });
    auto pageCount = [&](Value row) {
      return b.addI(b.divU(pages.position(b, args, row), pages.pageTokens), 1);
    };
    Value count = pageCount(first);
    if (queriesAtOnce > 1)
      count = b.loop(first, end, 1, {count}, [&](Value row, ValueRange most) {
        return SmallVector<Value>{b.maxS(most[0], pageCount(row))};
      })[0];
    b.loop(b.i64(0), count, 1, [&](Value index) {
      Value page = pages.page(b, args, op.getCache(), first, index);
      PageMatrix k{pages.keys(b, page, kvHead), pages.element, pages.keyRowBytes()};
      PageMatrix v{pages.values(b, page, kvHead), pages.element, pages.valueRowBytes()};
      auto emitOne = [&] {
        Value last = b.subI(count, 1);
        Value next = pages.page(b, args, op.getCache(), first, b.minU(b.addI(index, 1), last));
        emitPage(first, b.i64(0), index, k, v, pages.keys(b, next, kvHead));
      };
      auto emitMany = [&] {
        k = emitConverted(k, keys, pages.headDim, pages.pageTokens, tokenLanes);
        v = emitConverted(v, values, pages.pageTokens, pages.headDim, channelLanes);
        b.loop(first, end, 1, [&](Value row) { emitPage(row, b.subI(row, first), index, k, v); });
      };
      if (queriesAtOnce == 1)
        return emitOne();
      b.ifThen(b.cmpI(CmpIPredicate::eq, b.subI(end, first), b.i64(1)), emitOne, emitMany);
    });
    b.loop(first, end, 1, [&](Value row) { emitEnd(row, b.subI(row, first), head); });
  }

  /// A copy of `matrix` in float32 at `to`.
  PageMatrix emitConverted(const PageMatrix &matrix, Value to, int64_t rows, int64_t columns,
                           int64_t lanes) {
    b.loop(b.i64(0), b.i64(rows), 1, [&](Value row) {
      for (int64_t column = 0; column < columns; column += lanes) {
        Value from =
            b.at(b.rowAt(matrix.pointer, row, matrix.rowBytes), column * pages.elementBytes());
        b.store(loadF32(b, matrix.element, from, lanes),
                b.at(b.rowAt(to, row, 4 * columns), 4 * column));
      }
    });
    return {to, b.getF32Type(), 4 * columns};
  }

  /// The state of `row`, the `index`-th of its run, before the first page.
  void emitStart(Value row, Value index, Value head) {
    Type f32 = b.getF32Type();
    Value from = headRow(query, op.getQuery(), row, head);
    Value state = b.mulI(index, stateBytes());
    b.loop(b.i64(0), b.i64(group * pages.headDim), channelLanes, [&](Value i) {
      Value q =
          loadF32(b, query.element, b.at(from, b.mulI(i, query.elementBytes())), channelLanes);
      b.store(q, b.rowAt(b.at(queries, state), i, 4));
      b.store(b.constantF(b.vecF32(channelLanes), 0.0), b.rowAt(b.at(sums, state), i, 4));
    });
    for (int64_t h = 0; h < group; ++h) {
      Value offset = b.addI(b.mulI(index, 4 * group), 4 * h);
      b.store(b.constantF(f32, -std::numeric_limits<float>::infinity()), b.at(maxima, offset));
      b.store(b.constantF(f32, 0.0), b.at(totals, offset));
    }
  }

  /// Page `page` as far as `row` sees it. With `nextKeys`, the next page's, keys and
  /// values are read from the cache, and arrive while others are multiplied.
  void emitPage(Value row, Value index, Value page, const PageMatrix &k, const PageMatrix &v,
                Value nextKeys = {}) {
    Value tokens = b.addI(pages.position(b, args, row), 1);
    Value start = b.mulI(page, pages.pageTokens);
    Value state = b.mulI(index, stateBytes()), scalars = b.mulI(index, 4 * group);
    auto emit = [&] {
      Value valid = b.minU(b.subI(tokens, start), b.i64(pages.pageTokens));
      emitScores(b.at(queries, state), k, valid, nextKeys ? v.pointer : Value());
      Value correction = emitSoftmax(b.at(maxima, scalars), b.at(totals, scalars));
      emitWeightedSum(b.at(sums, state), correction, v, valid, nextKeys);
    };
    if (queriesAtOnce == 1)
      return emit();
    b.ifThen(b.cmpI(CmpIPredicate::ugt, tokens, start), emit);
  }

  void emitEnd(Value row, Value index, Value head) {
    Value to = headRow(out, op.getOuts()[0], row, head);
    for (int64_t h = 0; h < group; ++h) {
      Value pointer = b.at(totals, b.addI(b.mulI(index, 4 * group), 4 * h));
      Value total = b.splat(b.load(b.getF32Type(), pointer), channelLanes);
      b.loop(b.i64(0), b.i64(pages.headDim), channelLanes, [&](Value i) {
        Value column = b.addI(i, h * pages.headDim);
        Value sum = b.rowAt(b.at(sums, b.mulI(index, stateBytes())), column, 4);
        Value y = b.divF(b.load(b.vecF32(channelLanes), sum), total);
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

  /// The `index`-th of `count` parts of a head's keys or values at `pointer`.
  void prefetchShare(Value pointer, Value index, int64_t count) {
    int64_t bytes = llvm::divideCeil(pages.headBytes(), count);
    Value part = b.rowAt(pointer, index, bytes);
    for (int64_t line = 0; line < bytes; line += 64)
      b.prefetch(b.at(part, line));
  }

  SmallVector<Value> zeros(int64_t count, int64_t lanes) {
    return SmallVector<Value>(count, b.constantF(b.vecF32(lanes), 0.0));
  }

  /// weights[head][token] = scale * sum_d q[head][d] k[d][token]; -inf for tokens
  /// beyond the query's, whatever their slots hold.
  /// Asks for what is at `ahead` meanwhile.
  void emitScores(Value queries, const PageMatrix &keys, Value valid, Value ahead) {
    double scale = op.getScale().convertToDouble();
    forBlocks(pages.pageTokens / tokenLanes, [&](int64_t head, int64_t heads, int64_t vector,
                                                 int64_t vectors) {
      SmallVector<Value> scores =
          b.loop(b.i64(0), b.i64(pages.headDim), 1, zeros(heads * vectors, tokenLanes),
                 [&](Value d, ValueRange carried) {
                   SmallVector<Value> next(carried);
                   Value row = b.rowAt(keys.pointer, d, keys.rowBytes);
                   if (ahead && head == 0 && vector == 0)
                     prefetchShare(ahead, d, pages.headDim);
                   for (int64_t v = 0; v < vectors; ++v) {
                     int64_t offset = (vector + v) * keys.rowBytes * tokenLanes / pages.pageTokens;
                     Value k = loadF32(b, keys.element, b.at(row, offset), tokenLanes);
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

  /// Scores to exp(score - maximum), and the totals before to the new maximum;
  /// returns the correction that does so, a lane of each head.
  Value emitSoftmax(Value maxima, Value totals) {
    auto max = [&](Value x, Value y) {
      return b.select(b.cmpF(arith::CmpFPredicate::OGT, x, y), x, y);
    };
    const int64_t lanes = widest(pages.pageTokens, sumLanes);
    VectorType type = b.vecF32(lanes), ofHeads = b.vecF32(group);
    auto scoresAt = [&](int64_t head, int64_t token) {
      return b.at(weights, weightOffset(head, token));
    };
    SmallVector<Value> largest, pageTotals;
    for (int64_t head = 0; head < group; ++head) {
      Value vector = b.load(type, scoresAt(head, 0));
      for (int64_t token = lanes; token < pages.pageTokens; token += lanes)
        vector = max(vector, b.load(type, scoresAt(head, token)));
      largest.push_back(b.reduce(vector, max));
    }
    Value before = b.load(ofHeads, maxima);
    Value maximum = max(before, b.fromLanes(largest));
    b.store(maximum, maxima);
    for (int64_t head = 0; head < group; ++head) {
      Value subtrahend = b.splat(b.lane(maximum, head), lanes);
      Value total = b.constantF(type, 0.0);
      for (int64_t token = 0; token < pages.pageTokens; token += lanes) {
        Value score = b.load(type, scoresAt(head, token));
        Value weight = emitSoftmaxExp(b, b.subF(score, subtrahend));
        b.store(weight, scoresAt(head, token));
        total = b.addF(total, weight);
      }
      pageTotals.push_back(b.reduceAddF(total));
    }
    Value correction = emitSoftmaxExp(b, b.subF(before, maximum));
    Value previous = b.load(ofHeads, totals);
    b.store(b.mulAdd(previous, correction, b.fromLanes(pageTotals)), totals);
    return correction;
  }

  /// sums[head][d] = correction[head] * sums[head][d] + the sum over the valid
  /// tokens of weight * v[token][d]. Asks for what is at `ahead` meanwhile.
  void emitWeightedSum(Value sums, Value correction, const PageMatrix &values, Value valid,
                       Value ahead) {
    forBlocks(pages.headDim / channelLanes, [&](int64_t head, int64_t heads, int64_t vector,
                                                int64_t vectors) {
      auto sumAt = [&](int64_t h, int64_t v) {
        return b.at(sums, 4 * ((head + h) * pages.headDim + (vector + v) * channelLanes));
      };
      SmallVector<Value> carried;
      for (int64_t h = 0; h < heads; ++h) {
        Value factor = b.splat(b.lane(correction, head + h), channelLanes);
        for (int64_t v = 0; v < vectors; ++v)
          carried.push_back(b.mulF(b.load(b.vecF32(channelLanes), sumAt(h, v)), factor));
      }
      SmallVector<Value> result =
          b.loop(b.i64(0), valid, 1, carried, [&](Value token, ValueRange before) {
            SmallVector<Value> next(before);
            Value row = b.rowAt(values.pointer, token, values.rowBytes);
            if (ahead && head == 0 && vector == 0)
              prefetchShare(ahead, token, pages.pageTokens);
            for (int64_t v = 0; v < vectors; ++v) {
              int64_t offset = (vector + v) * values.rowBytes * channelLanes / pages.headDim;
              Value x = loadF32(b, values.element, b.at(row, offset), channelLanes);
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
  int64_t queriesAtOnce, group;     ///< rows and heads of a unit
  int64_t tokenLanes, channelLanes; ///< lanes of vectors along tokens and channels
  Value queries, sums;              ///< stack, float32 [queries][group][head_dim]
  Value weights;                    ///< stack, float32 [group][page_tokens]
  Value maxima, totals;             ///< stack, float32 [queries][group]
  Value keys, values;               ///< stack, float32, a page
};

} // namespace

void qopt::emitAttention(KernelBuilder &b, kernel::AttentionOp op, const KernelArguments &args) {
  AttentionEmitter(b, op, args).run();
}
