//===- GemmLowering.cpp - Linear layers over packed weights ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ElementConversions.h"
#include "GemmOperands.h"
#include "KernelEmitters.h"

using namespace mlir;
using namespace qopt;

namespace {

/// The loop nest, outermost first:
///
///   this worker's tiles of channels, `block` at a time
///     rows, `tile_m` at a time, then what is left in powers of two
///       stage: the rows' activations as float32 (int8 codes as they are), padded
///       with zeros to whole words, and their sums where a minimum or an offset
///       needs them
///       tiles of the block: groups of K: words of a group: rows x vectors
///
/// A lane is a channel and K runs in order, so that tiles, blocks and workers
/// change no bit of a result.
class GemmEmitter {
public:
  GemmEmitter(KernelBuilder &b, kernel::GemmOp op, const KernelArguments &args)
      : b(b), op(op), args(args), image(op.getWeight().getType()), in(op.getInput()),
        out(op.getOuts()[0]), lanes(b.lanes()), vectors(image.tileN / lanes),
        tileM(parameter("tile_m", 1)), isInt8(in.element.isInteger(8)),
        isGrouped(isGroupedType(op.getWeight().getType())), stagedBytes(isInt8 ? 1 : 4),
        stagedRow(llvm::alignTo(image.groups() * image.steps() * image.kPack * stagedBytes, 64)),
        staged(b.scratch(tileM * stagedRow)), sumsPerRow(isInt8 ? 1 : image.groups()) {
    if (isInt8 || image.minimum)
      sums = b.scratch(4 * tileM * sumsPerRow);
  }

  void run() {
    auto [first, last] = args.share(b, b.i64(image.tiles()));
    int64_t block = parameter("block", 8);
    b.loop(first, last, block, [&](Value blockFirst) {
      Value blockLast = b.minU(b.addI(blockFirst, block), last);
      Value row = b.i64(0);
      for (int64_t height = tileM; height > 0; height = largestPowerBelow(height)) {
        Value count = b.divU(b.subI(args.rows, row), height);
        Value end = b.addI(row, b.mulI(count, height));
        b.loop(row, end, height, [&](Value row) { emitRows(row, height, blockFirst, blockLast); });
        row = end;
      }
    });
  }

private:
  using Accumulators = SmallVector<Value>; // [rows][vectors]

  int64_t parameter(StringRef name, int64_t otherwise) {
    kernel::ScheduleAttr schedule = op.getScheduleAttr();
    return schedule ? schedule.get(name, otherwise) : otherwise;
  }

  static bool isGroupedType(kernel::PackedType type) {
    auto quantized = dyn_cast<QuantizedType>(type.getTensor().getElementType());
    return quantized && quantized.isGrouped();
  }

  static int64_t largestPowerBelow(int64_t value) {
    return value <= 1 ? 0 : llvm::bit_floor(static_cast<uint64_t>(value - 1));
  }

  Value stagedAt(int64_t row, Value k) {
    return b.at(b.at(staged, row * stagedRow), b.mulI(k, stagedBytes));
  }

  void emitRows(Value row, int64_t height, Value firstTile, Value lastTile) {
    b.loop(b.i64(0), b.i64(height), 1, [&](Value m) { emitStaging(b.addI(row, m), m); });
    // A few rows alone don't have the accumulators to hide an addition's latency.
    int64_t width = height <= 2 ? parameter("tiles", 1) : 1;
    Value whole = b.addI(firstTile, b.mulI(b.divU(b.subI(lastTile, firstTile), width), width));
    b.loop(firstTile, whole, width, [&](Value tile) { emitTile(row, height, tile, width); });
    if (width > 1)
      b.loop(whole, lastTile, 1, [&](Value tile) { emitTile(row, height, tile, 1); });
  }

  //===--------------------------------------------------------------------===//
  // Staging
  //===--------------------------------------------------------------------===//

  void emitStaging(Value row, Value m) {
    Value from = b.rowAt(args.pointer(op.getInput()), row, in.rowBytes);
    Value to = b.rowAt(staged, m, stagedRow);
    if (isInt8)
      return emitByteStaging(from, to, m);
    b.loopColumns(image.k, lanes, [&](Value k, int64_t count) {
      Value x = loadF32(b, in.element, b.at(from, b.mulI(k, in.elementBytes())), count);
      b.store(x, b.rowAt(to, k, 4));
    });
    emitPadding(to);
    if (image.minimum)
      b.loop(b.i64(0), b.i64(image.groups()), 1, [&](Value group) {
        Value start = b.rowAt(to, group, 4 * image.group);
        Value sum = b.constantF(b.vecF32(lanes), 0.0);
        for (int64_t k = 0; k < image.group; k += lanes)
          sum = b.addF(sum, b.load(b.vecF32(lanes), b.at(start, 4 * k)));
        Value index = b.addI(b.mulI(m, sumsPerRow), group);
        b.store(b.reduceAddF(sum), b.rowAt(sums, index, 4));
      });
  }

  void emitByteStaging(Value from, Value to, Value m) {
    Value partial = b.scratch(4 * lanes);
    b.store(b.constant(b.vecI32(lanes), 0), partial);
    b.loopColumns(image.k, lanes, [&](Value k, int64_t count) {
      Value x = b.load(b.vec(count, b.getI8Type()), b.at(from, k));
      b.store(x, b.at(to, k));
      Value wide = b.extS(x, b.getI32Type());
      b.store(b.addI(b.load(b.vecI32(count), partial), wide), partial);
    });
    emitPadding(to);
    Value sum =
        b.reduce(b.load(b.vecI32(lanes), partial), [&](Value x, Value y) { return b.addI(x, y); });
    b.store(sum, b.rowAt(sums, m, 4));
  }

  /// Zeros behind K: the weights' padding is finite, so that the product is 0.
  void emitPadding(Value to) {
    for (int64_t k = image.k; k < image.groups() * image.steps() * image.kPack; ++k) {
      Type type = isInt8 ? Type(b.getI8Type()) : Type(b.getF32Type());
      Value zero = isInt8 ? b.constant(type, 0) : b.constantF(type, 0.0);
      b.store(zero, b.at(to, k * stagedBytes));
    }
  }

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//

  /// Rows [row, row + height) by the channels of `width` tiles from `tile`.
  void emitTile(Value row, int64_t height, Value tile, int64_t width) {
    Value first = b.rowAt(args.pointer(op.getWeight()), tile, image.tileBytes());
    VectorType type = isInt8 ? b.vecI32(lanes) : b.vecF32(lanes);
    Value zero = isInt8 ? b.constant(type, 0) : b.constantF(type, 0.0);
    Accumulators zeros(height * width * vectors, zero);
    Accumulators totals =
        isGrouped ? b.loop(b.i64(0), b.i64(image.groups()), 1, zeros,
                           [&](Value group, ValueRange before) {
                             return emitGroup(first, group, height, width, zeros, before);
                           })
                  : emitWords(first, b.i64(0), height, width, zeros);
    for (int64_t t = 0; t < width; ++t)
      emitStores(row, height, b.addI(tile, t), b.at(first, t * image.tileBytes()), t * vectors,
                 width * vectors, totals);
  }

  /// total + scale * (sum over the group) + minimum * (sum of activations).
  Accumulators emitGroup(Value first, Value group, int64_t height, int64_t width,
                         const Accumulators &zeros, ValueRange before) {
    Value base = b.rowAt(first, group, image.groupBytes());
    Accumulators partial = emitWords(base, b.mulI(group, image.group), height, width, zeros);
    Accumulators totals(before);
    for (int64_t v = 0; v < width * vectors; ++v) {
      Value scale = loadChannels(base, v, image.scale, image.codeBytes());
      Value minimum;
      if (image.minimum)
        minimum = loadChannels(base, v, image.minimum, image.codeBytes() + image.scaleBytes());
      for (int64_t m = 0; m < height; ++m) {
        Value &total = totals[m * width * vectors + v];
        total = b.mulAdd(scale, partial[m * width * vectors + v], total);
        if (!minimum)
          continue;
        Value sum = b.load(b.getF32Type(), b.rowAt(b.at(sums, 4 * m * sumsPerRow), group, 4));
        total = b.mulAdd(minimum, b.splat(sum, lanes), total);
      }
    }
    return totals;
  }

  /// One float of each channel of vector `v` (over all tiles), `offset` bytes
  /// into the group at `base`.
  Value loadChannels(Value base, int64_t v, Type element, int64_t offset) {
    int64_t channel = v % vectors * lanes;
    int64_t place =
        v / vectors * image.tileBytes() + offset + channel * element.getIntOrFloatBitWidth() / 8;
    return loadF32(b, element, b.at(base, place), lanes);
  }

  /// The words of one group (of all K where there are none), K in order.
  Accumulators emitWords(Value base, Value firstK, int64_t height, int64_t width,
                         const Accumulators &zeros) {
    return b.loop(b.i64(0), b.i64(image.steps()), 1, zeros, [&](Value step, ValueRange before) {
      Accumulators sums(before);
      Value word = b.rowAt(base, step, image.stepBytes());
      Value k = b.addI(firstK, b.mulI(step, image.kPack));
      SmallVector<Value> words;
      for (int64_t v = 0; v < width * vectors; ++v) {
        int64_t offset = v / vectors * image.tileBytes() + v % vectors * lanes * 4;
        words.push_back(loadWords(b, image, b.at(word, offset), lanes));
      }
      if (isInt8)
        emitByteProducts(words, k, height, sums);
      else
        emitProducts(words, k, height, sums);
      return sums;
    });
  }

  void emitByteProducts(ArrayRef<Value> words, Value k, int64_t height, Accumulators &sums) {
    for (int64_t m = 0; m < height; ++m) {
      Value x = b.load(b.getI32Type(), stagedAt(m, k));
      for (auto [v, word] : llvm::enumerate(words)) {
        Value &sum = sums[m * words.size() + v];
        sum = dotBytes(b, sum, word, x);
      }
    }
  }

  void emitProducts(ArrayRef<Value> words, Value k, int64_t height, Accumulators &sums) {
    for (int64_t i = 0; i < image.kPack; ++i) {
      SmallVector<Value> weights;
      for (Value word : words)
        weights.push_back(decodeWord(b, image, word, i));
      for (int64_t m = 0; m < height; ++m) {
        Value x = b.load(b.getF32Type(), b.at(stagedAt(m, k), 4 * i));
        Value spread = b.splat(x, lanes);
        for (auto [v, weight] : llvm::enumerate(weights)) {
          Value &sum = sums[m * words.size() + v];
          sum = b.mulAdd(spread, weight, sum);
        }
      }
    }
  }

  //===--------------------------------------------------------------------===//
  // Epilogue
  //===--------------------------------------------------------------------===//

  /// Scales and stores one tile's sums: vectors [firstVector, + vectors) of
  /// `stride` in each row of `totals`.
  void emitStores(Value row, int64_t height, Value tile, Value base, int64_t firstVector,
                  int64_t stride, const Accumulators &totals) {
    SmallVector<Value> channelScales;
    if (image.scale && !isGrouped)
      for (int64_t v = 0; v < vectors; ++v)
        channelScales.push_back(loadChannels(base, v, image.scale, image.codeBytes()));
    SmallVector<Value> results;
    for (int64_t m = 0; m < height; ++m)
      for (int64_t v = 0; v < vectors; ++v) {
        Value sum = totals[m * stride + firstVector + v];
        results.push_back(
            emitScaled(sum, b.addI(row, m), m, channelScales.empty() ? Value() : channelScales[v]));
      }
    auto store = [&](int64_t columns) {
      for (int64_t m = 0; m < height; ++m)
        for (int64_t v = 0; v < vectors; ++v)
          forPieces(std::min(lanes, columns - v * lanes), lanes, [&](int64_t first, int64_t count) {
            Value piece = b.slice(results[m * vectors + v], first, count);
            Value column = b.addI(b.mulI(tile, image.tileN), v * lanes + first);
            emitStore(b.addI(row, m), column, piece);
          });
    };
    int64_t lastColumns = image.n - (image.tiles() - 1) * image.tileN;
    if (lastColumns == image.tileN)
      return store(image.tileN);
    Value isLast = b.cmpI(arith::CmpIPredicate::eq, tile, b.i64(image.tiles() - 1));
    b.ifThen(isLast, [&] { store(lastColumns); }, [&] { store(image.tileN); });
  }

  /// (sum * token's scale) * channel's scale; of bytes the sum without the offset.
  Value emitScaled(Value sum, Value row, int64_t m, Value channelScale) {
    if (isInt8) {
      Value rowSum = b.load(b.getI32Type(), b.at(sums, 4 * m));
      sum = b.toFloat(b.subI(sum, b.splat(b.mulI(rowSum, 128), lanes)));
    }
    if (op.getScales()) {
      Value scale = b.load(b.getF32Type(), b.rowAt(args.pointer(op.getScales()), row, 4));
      sum = b.mulF(sum, b.splat(scale, lanes));
    }
    return channelScale ? b.mulF(sum, channelScale) : sum;
  }

  void emitStore(Value row, Value column, Value sum) {
    SmallVector<Value> elements{sum};
    int64_t count = KernelBuilder::lanesOf(sum);
    for (Value extra : op.getExtras()) {
      Rows rows(extra);
      Value pointer = args.pointer(extra);
      if (cast<MemRefType>(extra.getType()).getRank() == 2)
        pointer = b.rowAt(pointer, row, rows.rowBytes);
      pointer = b.at(pointer, b.mulI(column, rows.elementBytes()));
      elements.push_back(b.load(b.vec(count, storageType(rows.element)), pointer));
    }
    Value result = emitRegion(b, op.getEpilogue().front(), elements);
    Value pointer = b.rowAt(args.pointer(op.getOuts()[0]), row, out.rowBytes);
    b.store(result, b.at(pointer, b.mulI(column, out.elementBytes())));
  }

  KernelBuilder &b;
  kernel::GemmOp op;
  const KernelArguments &args;
  WeightImage image;
  Rows in, out;
  int64_t lanes, vectors; ///< of a vector; of a tile
  int64_t tileM;
  bool isInt8, isGrouped;
  int64_t stagedBytes, stagedRow; ///< of an element, of a row
  Value staged;                   ///< stack, [tile_m][stagedRow]
  int64_t sumsPerRow;
  Value sums; ///< stack, [tile_m][sumsPerRow] of float32 by group, or of int32
};

} // namespace

void qopt::emitGemm(KernelBuilder &b, kernel::GemmOp op, const KernelArguments &args) {
  GemmEmitter(b, op, args).run();
}

void qopt::emitEmbedding(KernelBuilder &b, kernel::EmbeddingOp op, const KernelArguments &args) {
  WeightImage image(op.getTable().getType());
  Rows out(op.getOuts()[0]);
  auto [first, last] = args.share(b, args.rows);
  b.loop(first, last, 1, [&](Value row) {
    Value token = b.extU(b.load(b.getI32Type(), b.rowAt(args.pointer(op.getTokens()), row, 4)),
                         b.getI64Type());
    Value tile =
        b.rowAt(args.pointer(op.getTable()), b.divU(token, image.tileN), image.tileBytes());
    Value channel = b.remU(token, image.tileN);
    Value outRow = b.rowAt(args.pointer(op.getOuts()[0]), row, out.rowBytes);
    b.loop(b.i64(0), b.i64(image.groups()), 1, [&](Value group) {
      Value base = b.rowAt(tile, group, image.groupBytes());
      auto channelFloat = [&](Type element, int64_t offset) {
        Value pointer = b.rowAt(b.at(base, offset), channel, element.getIntOrFloatBitWidth() / 8);
        return loadF32(b, element, pointer, 1);
      };
      Value scale, minimum;
      if (image.scale)
        scale = channelFloat(image.scale, image.codeBytes());
      if (image.minimum)
        minimum = channelFloat(image.minimum, image.codeBytes() + image.scaleBytes());
      auto emitWord = [&](Value step, int64_t elements) {
        Value pointer = b.rowAt(b.rowAt(base, step, image.stepBytes()), channel, 4);
        Value word = loadWords(b, image, pointer, 1);
        for (int64_t i = 0; i < elements; ++i) {
          Value value = decodeWord(b, image, word, i);
          if (scale)
            value = b.mulF(value, scale);
          if (minimum)
            value = b.addF(value, minimum);
          Value column = b.addI(b.addI(b.mulI(group, image.group), b.mulI(step, image.kPack)), i);
          storeF32(b, out.element, value, b.rowAt(outRow, column, out.elementBytes()));
        }
      };
      int64_t whole = image.group / image.kPack;
      b.loop(b.i64(0), b.i64(whole), 1, [&](Value step) { emitWord(step, image.kPack); });
      if (int64_t rest = image.group % image.kPack)
        emitWord(b.i64(whole), rest);
    });
  });
}
