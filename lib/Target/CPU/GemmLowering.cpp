//===- GemmLowering.cpp - Linear layers over packed weights ---------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ElementConversions.h"
#include "GemmOperands.h"
#include "KernelEmitters.h"
#include <limits>
#include <numeric>

using namespace mlir;
using namespace qopt;

/// Bytes of a panel: a third of a first-level cache, beside the rows' part.
constexpr int64_t largestPanel = 16 << 10;
/// How far ahead of one row's products words are asked for: what a core reads from
/// memory until they arrive. Processors' own prefetching ends with a page of 4 KiB.
constexpr int64_t bytesAhead = 2 << 10;

namespace {

/// The loop nest, outermost first:
///
///   this worker's tiles of channels, `block` at a time
///     rows, `rows` at a time
///       stage: the rows' activations as `Products` has them, padded with zeros to
///       whole words, and their sums where a minimum or an offset needs them
///       tiles of the block
///         panels of K, a group or `largestPanel` bytes: decoded once to operands (int8
///         codes and float32 weights are read where they are)
///           rows, `tile_m` at a time, then what is left in powers of two:
///           the panel's products, added to the row's sums
///         rows: scales, epilogue, result
///
/// One row alone needs no panel: words become operands in registers, of `tiles`
/// tiles at a time, each from its own part of the worker's tiles: as many streams
/// of memory.
///
/// A lane is a channel and K runs in order, so that tiles, panels, blocks and
/// workers change no bit of a result.
///
/// Beside 4-bit codes bf16 activations are 16-bit integers of one power of two for
/// each group: exact down to 2^-8 of the group's largest, and to 2^-16 of it below.
class GemmEmitter {
public:
  GemmEmitter(KernelBuilder &b, kernel::GemmOp op, const KernelArguments &args)
      : b(b), op(op), args(args), image(op.getWeight().getType()), in(op.getInput()),
        out(op.getOuts()[0]), lanes(b.lanes()), vectors(image.tileN / lanes),
        tileM(parameter("tile_m", 1)), rowsAtOnce(parameter("rows", tileM)),
        products(productsOf(image, in.element)), isGrouped(image.isGrouped),
        isDecoded(products != Products::Bytes && !image.element.isF32()),
        scale(operandScale(b, image, in.element)), ofLane(elementsOfLane(products)),
        stagedBytes(4 / ofLane),
        stagedRow(oddLines(image.groups() * image.steps() * image.kPack * stagedBytes)),
        staged(b.scratch(rowsAtOnce * stagedRow)),
        sumsPerRow(products == Products::Bytes ? 1 : image.groups()) {
    if (isInteger() || image.minimum)
      sums = b.scratch(4 * rowsAtOnce * sumsPerRow);
    if (products == Products::Shorts)
      units = b.scratch(4 * rowsAtOnce * sumsPerRow);
    if (rowsAtOnce == 1)
      return;
    totals = b.scratch(rowsAtOnce * totalsRow());
    if (isDecoded)
      decoded = b.scratch(panelSteps() * image.kPack / ofLane * totalsRow());
  }

  void run() {
    auto [first, last] = args.share(b, b.i64(image.tiles()));
    Value firstTile = first, lastTile = last;
    if (rowsAtOnce == 1 || kernel::rowsOf(op) != kernel::Rows::LogitRows)
      return emitBlocks(firstTile, lastTile);
    // Of a prompt the last token's logits alone are asked for.
    b.ifThen(
        b.cmpI(arith::CmpIPredicate::eq, args.rows, b.i64(1)),
        [&] { emitRow(b.i64(0), firstTile, lastTile); }, [&] { emitBlocks(firstTile, lastTile); });
  }

private:
  using Vectors = SmallVector<Value>; // [rows][vectors], sums in registers

  int64_t parameter(StringRef name, int64_t otherwise) {
    kernel::ScheduleAttr schedule = op.getScheduleAttr();
    return schedule ? schedule.get(name, otherwise) : otherwise;
  }

  /// An odd number of cache lines: rows a power of two apart would all compete
  /// for the same few places of the first-level cache.
  static int64_t oddLines(int64_t bytes) { return 64 * (llvm::divideCeil(bytes, 64) | 1); }

  bool isInteger() const { return products != Products::Floats; }
  /// Of products; of what rows keep of all panels so far.
  VectorType sumType() { return isInteger() ? b.vecI32(lanes) : b.vecF32(lanes); }
  VectorType totalType() { return products == Products::Bytes ? b.vecI32(lanes) : b.vecF32(lanes); }
  Value zero(VectorType type) {
    return type.getElementType().isInteger(32) ? b.constant(type, 0) : b.constantF(type, 0.0);
  }

  Value weights(Value tile) {
    return b.rowAt(args.pointer(op.getWeight()), tile, image.tileBytes());
  }

  void emitBlocks(Value firstTile, Value endTile) {
    int64_t block = parameter("block", 8);
    b.loop(firstTile, endTile, block, [&](Value firstTile) {
      Value lastTile = b.minU(b.addI(firstTile, block), endTile);
      b.loop(b.i64(0), args.rows, rowsAtOnce, [&](Value row) {
        if (rowsAtOnce == 1)
          return emitRow(row, firstTile, lastTile);
        Value count = b.minU(b.subI(args.rows, row), b.i64(rowsAtOnce));
        b.loop(b.i64(0), count, 1, [&](Value m) { emitStaging(b.addI(row, m), m); });
        b.loop(firstTile, lastTile, 1, [&](Value tile) { emitTile(row, count, tile); });
      });
    });
  }

  //===--------------------------------------------------------------------===//
  // Staging
  //===--------------------------------------------------------------------===//

  void emitStaging(Value row, Value m) {
    Value from = b.rowAt(args.pointer(op.getInput()), row, in.rowBytes);
    Value to = b.rowAt(staged, m, stagedRow);
    if (products == Products::Bytes)
      return emitByteStaging(from, to, m);
    if (products == Products::Shorts)
      return emitShortStaging(from, to, m);
    b.loopColumns(image.k, lanes, [&](Value k, int64_t count) {
      Value x = loadF32(b, in.element, b.at(from, b.mulI(k, in.elementBytes())), count);
      b.store(scale == 1.0 ? x : b.mulF(x, scale), b.rowAt(to, k, 4));
    });
    emitPadding(to);
    if (image.minimum)
      b.loop(b.i64(0), b.i64(image.groups()), 1, [&](Value group) {
        Value start = b.rowAt(to, group, 4 * image.group);
        Value sum = b.constantF(b.vecF32(sumLanes), 0.0);
        for (int64_t k = 0; k < image.group; k += sumLanes)
          sum = b.addF(sum, b.load(b.vecF32(sumLanes), b.at(start, 4 * k)));
        b.store(b.reduceAddF(sum), ofGroup(sums, m, group));
      });
  }

  Value ofGroup(Value array, Value m, Value group) {
    return b.rowAt(array, b.addI(b.mulI(m, sumsPerRow), group), 4);
  }

  /// For each group the unit 2^e that its largest is below 2^15 of, the activations
  /// in it, half to even, and their sum.
  void emitShortStaging(Value from, Value to, Value m) {
    constexpr int64_t infinity = 0x7f800000, leastExponent = 15; // 2^-126 is a unit
    Type i32 = b.getI32Type(), f32 = b.getF32Type();
    b.loop(b.i64(0), b.i64(image.groups()), 1, [&](Value group) {
      Value firstK = b.mulI(group, image.group);
      SmallVector<Value> xs;
      Value largest = zero(b.vecI32(lanes));
      for (int64_t k = 0; k < image.group; k += lanes) {
        Value pointer = b.at(from, b.mulI(b.addI(firstK, k), in.elementBytes()));
        xs.push_back(loadF32(b, in.element, pointer, lanes));
        Value magnitude = b.andI(b.bitcast(xs.back(), i32), 0x7fffffff);
        largest = b.maxS(largest, magnitude);
      }
      largest = b.reduce(largest, [&](Value x, Value y) { return b.maxS(x, y); });
      Value exponent = b.maxS(b.shrU(largest, 23), b.constant(i32, leastExponent));
      auto power = [&](Value biased) { return b.bitcast(b.shl(biased, 23), f32); };
      Value unit = power(b.subI(exponent, leastExponent - 1));
      Value perUnit = b.splat(power(b.subI(b.constant(i32, 268), exponent)), lanes);
      Value isFinite = b.cmpI(arith::CmpIPredicate::slt, largest, b.constant(i32, infinity));
      constexpr double quiet = std::numeric_limits<double>::quiet_NaN();
      b.store(b.select(isFinite, unit, b.constantF(f32, quiet)), ofGroup(units, m, group));
      // The integer is in the low bits of 1.5 x 2^23 + x.
      constexpr double magic = 0x1.8p23;
      Value sum = zero(b.vecI32(lanes));
      for (auto [i, x] : llvm::enumerate(xs)) {
        Value integer = b.subI(b.bitcast(b.addF(b.mulF(x, perUnit), magic), i32),
                               llvm::bit_cast<int32_t>(float(magic)));
        sum = b.addI(sum, integer);
        b.store(b.trunc(integer, b.getI16Type()),
                b.at(b.rowAt(to, firstK, stagedBytes), i * lanes * stagedBytes));
      }
      sum = b.reduce(sum, [&](Value x, Value y) { return b.addI(x, y); });
      b.store(sum, ofGroup(sums, m, group));
    });
  }

  void emitByteStaging(Value from, Value to, Value m) {
    int64_t width = 4 * lanes, whole = image.k / width * width;
    Value ones = b.constant(sumType(), 0x01010101);
    Value partial =
        b.loop(b.i64(0), b.i64(whole), width, zero(sumType()), [&](Value k, ValueRange before) {
          Value x = b.load(sumType(), b.at(from, k));
          b.store(x, b.at(to, k));
          return Vectors{dotBytes(b, before[0], ones, x)};
        })[0];
    Value sum = b.reduce(partial, [&](Value x, Value y) { return b.addI(x, y); });
    forPieces(image.k - whole, width, [&](int64_t first, int64_t count) {
      Value x = b.load(b.vec(count, b.getI8Type()), b.at(from, whole + first));
      b.store(x, b.at(to, whole + first));
      sum = b.addI(
          sum, b.reduce(b.extS(x, b.getI32Type()), [&](Value x, Value y) { return b.addI(x, y); }));
    });
    emitPadding(to);
    b.store(sum, b.rowAt(sums, m, 4));
  }

  /// Zeros behind K: the weights' padding is finite, so that the product is 0.
  void emitPadding(Value to) {
    for (int64_t k = image.k; k < image.groups() * image.steps() * image.kPack; ++k) {
      bool isByte = products == Products::Bytes;
      Value zero = isByte ? b.constant(b.getI8Type(), 0) : b.constantF(b.getF32Type(), 0.0);
      b.store(zero, b.at(to, k * stagedBytes));
    }
  }

  //===--------------------------------------------------------------------===//
  // Products
  //===--------------------------------------------------------------------===//

  /// sums[m][v] += x[m] * w[v] for row pointers a constant distance apart.
  void emitProducts(ArrayRef<Value> operands, Value activations, int64_t height, Vectors &sums) {
    for (int64_t m = 0; m < height; ++m) {
      Value pointer = b.at(activations, m * stagedRow);
      Value x = b.splat(b.load(sumType().getElementType(), pointer), lanes);
      for (auto [v, operand] : llvm::enumerate(operands)) {
        Value &sum = sums[m * operands.size() + v];
        sum = emitProduct(sum, operand, x);
      }
    }
  }

  Value emitProduct(Value sum, Value operand, Value x) {
    switch (products) {
    case Products::Bytes:
      return dotBytes(b, sum, operand, x);
    case Products::Shorts:
      return dotShorts(b, sum, operand, x);
    case Products::Floats:
      return b.mulAdd(x, operand, sum);
    }
    llvm_unreachable("unknown products");
  }

  /// What the sums of a group start with, for `height` rows from `m` and `count`
  /// vectors: codes are stored with an offset of 8.
  Vectors groupStart(Value group, Value m, int64_t height, int64_t count) {
    bool isOffset = products == Products::Shorts && image.element.isSignlessInteger();
    Vectors start;
    for (int64_t i = 0; i < height; ++i) {
      Value first = zero(sumType());
      if (isOffset) {
        Value sum = b.load(b.getI32Type(), ofGroup(sums, b.addI(m, i), group));
        first = b.splat(b.mulI(sum, -8), lanes);
      }
      start.append(count, first);
    }
    return start;
  }

  /// total + scale * (sum over the group) + minimum * (sum of activations), for
  /// the vectors of the groups at `bases`, a tile each; the activations' sums of rows
  /// from `m`.
  void emitGroupTotals(ArrayRef<Value> bases, Value group, Value m, int64_t height,
                       const Vectors &partial, Vectors &results) {
    int64_t count = results.size() / height;
    for (int64_t v = 0; v < count; ++v) {
      Value scale = loadChannels(bases, v, image.scale, image.codeBytes());
      Value minimum;
      if (image.minimum)
        minimum = loadChannels(bases, v, image.minimum, image.codeBytes() + image.scaleBytes());
      for (int64_t i = 0; i < height; ++i) {
        Value row = b.addI(m, i);
        auto inUnits = [&](Value sum) {
          if (products != Products::Shorts)
            return sum;
          Value unit = b.load(b.getF32Type(), ofGroup(units, row, group));
          return b.mulF(b.toFloat(sum), b.splat(unit, lanes));
        };
        Value &total = results[i * count + v];
        total = b.mulAdd(scale, inUnits(partial[i * count + v]), total);
        if (!minimum)
          continue;
        Value sum = b.load(sumType().getElementType(), ofGroup(sums, row, group));
        total = b.mulAdd(minimum, inUnits(b.splat(sum, lanes)), total);
      }
    }
  }

  /// One float of each channel of vector `v` (over all tiles), `offset` bytes
  /// into its group.
  Value loadChannels(ArrayRef<Value> bases, int64_t v, Type element, int64_t offset) {
    int64_t channel = v % vectors * lanes;
    int64_t place = offset + channel * element.getIntOrFloatBitWidth() / 8;
    return loadF32(b, element, b.at(bases[v / vectors], place), lanes);
  }

  /// The words at each of `bases`, for every vector of channels.
  Vectors loadStep(ArrayRef<Value> bases) {
    Vectors words;
    for (Value base : bases)
      for (int64_t v = 0; v < vectors; ++v)
        words.push_back(loadWords(b, image, b.at(base, v * lanes * 4), lanes));
    return words;
  }

  /// Asks for the lines [first, last) bytes from `base`.
  void prefetchLines(Value base, int64_t first, int64_t last) {
    for (int64_t line = first; line < last; line += 64)
      b.prefetch(b.at(base, line));
  }

  //===--------------------------------------------------------------------===//
  // One row
  //===--------------------------------------------------------------------===//

  void emitRow(Value row, Value firstTile, Value lastTile) {
    emitStaging(row, b.i64(0));
    int64_t streams = parameter("tiles", 1);
    Value part = b.divU(b.subI(lastTile, firstTile), streams);
    b.loop(firstTile, b.addI(firstTile, part), 1, [&](Value tile) {
      SmallVector<Value> tiles;
      for (int64_t stream = 0; stream < streams; ++stream)
        tiles.push_back(b.addI(tile, b.mulI(part, stream)));
      emitRowTiles(row, tiles);
    });
    if (streams > 1)
      b.loop(b.addI(firstTile, b.mulI(part, streams)), lastTile, 1,
             [&](Value tile) { emitRowTiles(row, tile); });
  }

  void emitRowTiles(Value row, ArrayRef<Value> tiles) {
    SmallVector<Value> bases;
    for (Value tile : tiles)
      bases.push_back(weights(tile));
    Vectors zeros(tiles.size() * vectors, zero(totalType()));
    Vectors results =
        isGrouped ? emitRowGroups(bases, zeros) : emitRowWords(bases, b.i64(0), zeros);
    for (auto [t, tile] : llvm::enumerate(tiles))
      emitResults(row, b.i64(0), tile, channelScales(bases[t]),
                  ArrayRef(results).slice(t * vectors, vectors));
  }

  /// All groups of the tiles at `tiles`, in order.
  Vectors emitRowGroups(ArrayRef<Value> tiles, const Vectors &zeros) {
    return b.loop(b.i64(0), b.i64(image.groups()), 1, zeros, [&](Value group, ValueRange before) {
      SmallVector<Value> bases;
      for (Value tile : tiles)
        bases.push_back(b.rowAt(tile, group, image.groupBytes()));
      Vectors start = groupStart(group, b.i64(0), 1, zeros.size());
      Vectors partial = emitRowWords(bases, b.mulI(group, image.group), start);
      for (Value base : bases)
        prefetchLines(base, bytesAhead + image.codeBytes(), bytesAhead + image.groupBytes());
      Vectors next(before);
      emitGroupTotals(bases, group, b.i64(0), 1, partial, next);
      return next;
    });
  }

  /// The words of one group (of all K where there are none), K in order.
  Vectors emitRowWords(ArrayRef<Value> groups, Value firstK, const Vectors &zeros) {
    return b.loop(b.i64(0), b.i64(image.steps()), 1, zeros, [&](Value step, ValueRange before) {
      SmallVector<Value> bases;
      for (Value group : groups)
        bases.push_back(b.rowAt(group, step, image.stepBytes()));
      Vectors words = loadStep(bases);
      for (Value base : bases)
        prefetchLines(base, bytesAhead, bytesAhead + image.stepBytes());
      Vectors next(before);
      Value x = b.rowAt(staged, b.addI(firstK, b.mulI(step, image.kPack)), stagedBytes);
      for (int64_t i = 0; i < image.kPack / ofLane; ++i)
        emitProducts(decodeWords(words, i), b.at(x, 4 * i), 1, next);
      return next;
    });
  }

  /// The `index`-th operands of words, of `ofLane` elements of K.
  Vectors decodeWords(ArrayRef<Value> words, int64_t index) {
    if (products == Products::Bytes)
      return Vectors(words);
    Vectors operands;
    for (Value word : words)
      operands.push_back(products == Products::Shorts ? decodePairs(b, word, index)
                                                      : decodeWord(b, image, word, index, scale));
    return operands;
  }

  //===--------------------------------------------------------------------===//
  // Many rows
  //===--------------------------------------------------------------------===//

  int64_t totalsRow() const { return 4 * image.tileN; }
  Value totalAt(Value m, int64_t i, int64_t v) {
    return b.at(b.rowAt(totals, m, totalsRow()), i * totalsRow() + 4 * v * lanes);
  }

  /// Words of a panel, at most.
  int64_t panelSteps() const {
    int64_t fit = largestPanel / (image.kPack / ofLane * totalsRow());
    return isGrouped ? image.steps() : std::min(image.steps(), fit);
  }

  /// Rows [row, row + count) by the channels of one tile.
  void emitTile(Value row, Value count, Value tile) {
    Value first = weights(tile);
    b.loop(b.i64(0), count, 1, [&](Value m) {
      for (int64_t v = 0; v < vectors; ++v)
        b.store(zero(totalType()), totalAt(m, 0, v));
    });
    if (isGrouped) {
      b.loop(b.i64(0), b.i64(image.groups()), 1, [&](Value group) {
        Value base = b.rowAt(first, group, image.groupBytes());
        emitPanel(base, b.mulI(group, image.group), image.steps(), count, group);
      });
    } else {
      int64_t steps = panelSteps(), whole = image.steps() / steps, rest = image.steps() % steps;
      auto emitPart = [&](Value index, int64_t steps) {
        Value step = b.mulI(index, panelSteps());
        emitPanel(b.rowAt(first, step, image.stepBytes()), b.mulI(step, image.kPack), steps, count,
                  Value());
      };
      b.loop(b.i64(0), b.i64(whole), 1, [&](Value index) { emitPart(index, steps); });
      if (rest > 0)
        emitPart(b.i64(whole), rest);
    }
    Vectors scales = channelScales(first);
    b.loop(b.i64(0), count, 1, [&](Value m) {
      Vectors results;
      for (int64_t v = 0; v < vectors; ++v)
        results.push_back(b.load(totalType(), totalAt(m, 0, v)));
      emitResults(b.addI(row, m), m, tile, scales, results);
    });
  }

  /// `steps` words from `base` on, of every row; `group` is null where K has none.
  void emitPanel(Value base, Value firstK, int64_t steps, Value count, Value group) {
    Value panel = isDecoded ? decoded : base;
    if (isDecoded)
      b.loop(b.i64(0), b.i64(steps), 1, [&](Value step) {
        Value from = b.rowAt(base, step, image.stepBytes());
        Vectors words = loadStep(from);
        Value to = b.rowAt(panel, step, image.kPack / ofLane * totalsRow());
        for (int64_t i = 0; i < image.kPack / ofLane; ++i)
          for (auto [v, operand] : llvm::enumerate(decodeWords(words, i)))
            b.store(operand, b.at(to, i * totalsRow() + 4 * v * lanes));
      });
    Value m = b.i64(0);
    for (int64_t height = tileM; height > 0; height = largestPowerBelow(height)) {
      Value end = b.addI(m, b.mulI(b.divU(b.subI(count, m), height), height));
      b.loop(m, end, height,
             [&](Value m) { emitPanelRows(panel, base, firstK, steps, count, m, height, group); });
      m = end;
    }
  }

  static int64_t largestPowerBelow(int64_t value) {
    return value <= 1 ? 0 : llvm::bit_floor(static_cast<uint64_t>(value - 1));
  }

  /// Rows [m, m + height) of `rows`.
  void emitPanelRows(Value panel, Value base, Value firstK, int64_t steps, Value rows, Value m,
                     int64_t height, Value group) {
    Vectors before;
    for (int64_t i = 0; i < height; ++i)
      for (int64_t v = 0; v < vectors; ++v)
        before.push_back(b.load(totalType(), totalAt(m, i, v)));
    int64_t count = steps * image.kPack / ofLane, unrolled = std::gcd<int64_t>(count, 4);
    // The next panel arrives while this one's products are computed: these rows' share.
    int64_t panelBytes = group ? image.groupBytes() : steps * image.stepBytes();
    int64_t lines = llvm::divideCeil(panelBytes, count / unrolled * 64);
    Value share = b.divU(b.i64(panelBytes * height), rows);
    Value perIndex = b.divU(share, count), perLine = b.divU(share, count / unrolled * lines);
    Value ahead = b.at(b.at(base, bytesAhead + panelBytes), b.divU(b.mulI(m, panelBytes), rows));
    Value x = b.at(b.rowAt(staged, m, stagedRow), b.mulI(firstK, stagedBytes));
    Vectors start = group ? groupStart(group, m, height, vectors) : before;
    Vectors results =
        b.loop(b.i64(0), b.i64(count), unrolled, start, [&](Value index, ValueRange carried) {
          Vectors next(carried);
          for (int64_t line = 0; line < lines; ++line)
            b.prefetch(b.at(ahead, b.addI(b.mulI(index, perIndex), b.mulI(perLine, line))));
          for (int64_t u = 0; u < unrolled; ++u) {
            Value from = b.at(b.rowAt(panel, index, totalsRow()), u * totalsRow());
            Vectors operands;
            for (int64_t v = 0; v < vectors; ++v)
              operands.push_back(b.load(sumType(), b.at(from, 4 * v * lanes)));
            emitProducts(operands, b.at(b.rowAt(x, index, 4), 4 * u), height, next);
          }
          return next;
        });
    if (group) {
      emitGroupTotals(base, group, m, height, results, before);
      results = before;
    }
    for (int64_t i = 0; i < height; ++i)
      for (int64_t v = 0; v < vectors; ++v)
        b.store(results[i * vectors + v], totalAt(m, i, v));
  }

  //===--------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------===//

  /// The channels' scales of the tile at `first`; nothing where groups have them.
  Vectors channelScales(Value first) {
    Vectors scales;
    if (image.scale && !isGrouped)
      for (int64_t v = 0; v < vectors; ++v)
        scales.push_back(loadChannels(first, v, image.scale, image.codeBytes()));
    return scales;
  }

  /// Scales and stores the sums of one row, the `m`-th staged, in one tile.
  void emitResults(Value row, Value m, Value tile, ArrayRef<Value> scales, ArrayRef<Value> sums) {
    Vectors results;
    for (auto [v, sum] : llvm::enumerate(sums))
      results.push_back(emitScaled(sum, row, m, scales.empty() ? Value() : scales[v]));
    auto store = [&](int64_t columns) {
      for (int64_t v = 0; v < vectors; ++v)
        forPieces(std::min(lanes, columns - v * lanes), lanes, [&](int64_t first, int64_t count) {
          Value column = b.addI(b.mulI(tile, image.tileN), v * lanes + first);
          emitStore(row, column, b.slice(results[v], first, count));
        });
    };
    int64_t lastColumns = image.n - (image.tiles() - 1) * image.tileN;
    if (lastColumns == image.tileN)
      return store(image.tileN);
    Value isLast = b.cmpI(arith::CmpIPredicate::eq, tile, b.i64(image.tiles() - 1));
    b.ifThen(isLast, [&] { store(lastColumns); }, [&] { store(image.tileN); });
  }

  /// (sum * token's scale) * channel's scale; of bytes the sum without the offset.
  Value emitScaled(Value sum, Value row, Value m, Value channelScale) {
    if (products == Products::Bytes) {
      Value rowSum = b.load(b.getI32Type(), b.rowAt(sums, m, 4));
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
  int64_t lanes, vectors;    ///< of a vector; of a tile
  int64_t tileM, rowsAtOnce; ///< rows of a micro-kernel; rows that are staged
  Products products;
  bool isGrouped;
  bool isDecoded;                 ///< whether panels are decoded to operands
  double scale;                   ///< of staged activations, divided out of weights
  int64_t ofLane;                 ///< elements of K in a lane of an operand
  int64_t stagedBytes, stagedRow; ///< of an element, of a row
  Value staged;                   ///< stack, [rows][stagedRow]
  int64_t sumsPerRow;
  Value sums;    ///< stack, [rows][sumsPerRow] of float32 or int32
  Value units;   ///< stack, [rows][groups] of float32: of the sums of int16
  Value totals;  ///< stack, [rows][tileN] of float32 or int32
  Value decoded; ///< stack, [K of a panel / ofLane][tileN] of 32 bits
};

} // namespace

void qopt::emitGemm(KernelBuilder &b, kernel::GemmOp op, const KernelArguments &args) {
  GemmEmitter(b, op, args).run();
}
