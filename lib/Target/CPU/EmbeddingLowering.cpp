//===- EmbeddingLowering.cpp - Rows of a packed table ---------------------===//
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
