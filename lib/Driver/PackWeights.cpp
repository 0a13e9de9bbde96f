//===- PackWeights.cpp - All weights into an artifact ---------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PackWeights.h"
#include "OrderedPipeline.h"
#include "StatusError.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Threading.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Bytes that one thread packs at a time: whole tiles, one at least.
constexpr int64_t bytesAtOnce = 2 << 20;

/// An image and how it is made: a matrix in tiles, or a vector.
struct Image {
  std::unique_ptr<TilePacker> packer; ///< null for a vector
  MemRefType vector;
  SmallVector<const WeightTensor *> sources;
  size_t weight = 0; ///< index into the program's weights
  uint64_t work = 0; ///< of all of it, in units of the progress

  int64_t pieces() const { return packer ? llvm::divideCeil(packer->tiles(), tilesAtOnce()) : 1; }
  int64_t tilesAtOnce() const { return std::max<int64_t>(1, bytesAtOnce / packer->tileBytes()); }
};

/// Consecutive tiles of an image, or a whole vector.
struct Piece {
  size_t image;
  int64_t index;
  std::vector<char> bytes;
  std::vector<char> sides;           // what stands behind the last tile
  std::vector<ErrorEnergy> energies; // of each tile
};

} // namespace

static llvm::Expected<Image> prepare(kernel::WeightOp op, const Target &target,
                                     const WeightStore &weights, bool keep) {
  Image image;
  for (auto name : op.getSources().getAsRange<FlatSymbolRefAttr>()) {
    const WeightTensor *tensor = weights.find(name.getValue());
    if (!tensor)
      return llvm::createStringError("tensor '" + name.getValue() + "' is missing");
    image.sources.push_back(tensor);
    image.work += tensor->rows() * tensor->rowSize();
  }
  auto packed = dyn_cast<kernel::PackedType>(op.getType());
  if (!packed) {
    image.vector = cast<MemRefType>(op.getType());
    return image;
  }
  llvm::Expected<std::unique_ptr<TilePacker>> packer = target.packer(packed, image.sources, keep);
  if (!packer)
    return packer.takeError();
  image.packer = std::move(*packer);
  // To quantize an element takes about three times as long as to copy it.
  if (isa<QuantizedType>(packed.getTensor().getElementType()))
    image.work *= 3;
  return image;
}

static llvm::Error make(const Image &image, Piece &piece) {
  if (!image.packer)
    return packVector(image.vector, image.sources, [&](ArrayRef<char> bytes) {
      piece.bytes.insert(piece.bytes.end(), bytes.begin(), bytes.end());
      return llvm::Error::success();
    });
  int64_t first = piece.index * image.tilesAtOnce();
  int64_t count = std::min(image.tilesAtOnce(), image.packer->tiles() - first);
  piece.bytes.resize(count * image.packer->tileBytes());
  piece.sides.resize(count * image.packer->sideBytes());
  piece.energies.resize(count);
  return image.packer->pack(first, piece.bytes, piece.sides, piece.energies);
}

static void addLinear(const artifact::Weight &weight, const ErrorEnergy &energy,
                      artifact::Report &report) {
  artifact::LinearReport &linear = *report.add_linears();
  linear.set_name(weight.name());
  linear.set_scheme(weight.type());
  linear.set_bytes(weight.section().size());
  if (energy.error > 0)
    linear.set_weight_sqnr_db(energy.sqnr());
}

/// What says the bytes of an image that no target packs in its own way; empty else.
static std::string shareKey(kernel::WeightOp op, const artifact::Weight &weight) {
  auto packed = dyn_cast<kernel::PackedType>(op.getType());
  if (packed && packed.getLayout().getKind() != kernel::LayoutKind::RowMajor)
    return "";
  return weight.name() + ": " + weight.type();
}

llvm::Error qopt::packWeights(const WeightImages &ops, const Target &target,
                              const WeightStore &weights, const PackOptions &options, ArtifactWriter &writer,
                              artifact::Program &program, artifact::Report &report,
                              SharedSections &shared, Progress &progress) {
  std::vector<Image> images;
  std::vector<std::pair<size_t, int64_t>> pieces; // image, index
  uint64_t work = 0;
  for (auto [number, op] : llvm::enumerate(ops)) {
    artifact::Weight &weight = *program.mutable_weights(static_cast<int>(number));
    if (auto found = shared.find(shareKey(op, weight)); found != shared.end()) {
      *weight.mutable_section() = found->second;
      continue;
    }
    llvm::Expected<Image> image = prepare(op, target, weights, options.keep);
    if (!image)
      return image.takeError();
    image->weight = number;
    work += image->work;
    for (int64_t index = 0; index < image->pieces(); ++index)
      pieces.emplace_back(images.size(), index);
    images.push_back(std::move(*image));
  }
  progress.setTotal(work);

  ErrorEnergy energy; // of the image that is being written
  std::vector<char> sides;
  auto use = [&](Piece piece) -> llvm::Error {
    const Image &image = images[piece.image];
    if (piece.index == 0) {
      energy = {};
      sides.clear();
      if (Status status = writer.beginSection(); !status)
        return toError(status);
    }
    for (const ErrorEnergy &ofTile : piece.energies)
      energy.add(ofTile);
    if (Status status = writer.append(std::as_bytes(std::span(piece.bytes))); !status)
      return toError(status);
    sides.insert(sides.end(), piece.sides.begin(), piece.sides.end());
    progress.advance(image.work / image.pieces(), piece.bytes.size());
    if (piece.index + 1 < image.pieces())
      return llvm::Error::success();
    if (Status status = writer.append(std::as_bytes(std::span(sides))); !status)
      return toError(status);
    Result<artifact::Section> section = writer.endSection();
    if (!section)
      return toError(section.status());
    artifact::Weight &weight = *program.mutable_weights(static_cast<int>(image.weight));
    *weight.mutable_section() = *section;
    if (std::string key = shareKey(ops[image.weight], weight); !key.empty())
      shared[key] = *section;
    if (image.packer)
      addLinear(weight, energy, report);
    return llvm::Error::success();
  };
  unsigned threads =
      options.threads ? options.threads : llvm::hardware_concurrency().compute_thread_count();
  return runInOrder<Piece>(
      pieces.size(), threads,
      [&](size_t index) -> llvm::Expected<Piece> {
        Piece piece{pieces[index].first, pieces[index].second, {}, {}, {}};
        if (llvm::Error error = make(images[piece.image], piece))
          return error;
        return piece;
      },
      use);
}
