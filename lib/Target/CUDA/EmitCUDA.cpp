//===- EmitCUDA.cpp - Launches as CUDA C++ --------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One short `__global__` function for each kernel: constants, the functor of its
/// region, and an instantiation of a device header's template. The parameters are
/// those of KernelDialect.td and of docs/rfcs/0001-cuda-target.md.
///
//===----------------------------------------------------------------------===//

#include "../LaunchKey.h"
#include "EmitRegion.h"
#include "KernelConfigs.h"
#include "KernelNames.h"
#include "device/sample_config.h"
#include "qopt/Dialect/QOpt/IR/PlainTypes.h"
#include "qopt/Target/CUDA/CUDATarget.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;

namespace {

MemRefType bufferType(Value value) { return cast<MemRefType>(value.getType()); }
Type elementOf(Value buffer) { return bufferType(buffer).getElementType(); }
int64_t columnsOf(Value buffer) { return bufferType(buffer).getShape().back(); }

/// The C++ type of a buffer's elements.
std::string typeName(Type element) {
  if (element.isBF16())
    return "bf16";
  if (element.isF16())
    return "f16";
  if (element.isF32())
    return "float";
  if (isa<Float8E4M3FNType>(element))
    return "e4m3";
  return element.isInteger(8) ? "int8_t" : "int32_t";
}

StringRef codesName(cuda::Codes codes) {
  return cuda::codesNames[static_cast<int>(codes)];
}

StringRef numberName(cuda::Number number) {
  return cuda::numberNames[static_cast<int>(number)];
}

StringRef boolName(bool value) { return value ? "true" : "false"; }

/// Blocks of a cluster.
struct Cluster {
  int64_t y = 1, z = 1;
};

/// Writes the text of one kernel; fails where a launch has none, with an error on it.
class KernelWriter {
public:
  KernelWriter(Operation *launch, StringRef entry) : launch(launch), entry(entry), os(text) {}

  FailureOr<std::string> write() {
    LogicalResult written =
        llvm::TypeSwitch<Operation *, LogicalResult>(launch)
            .Case<kernel::GemmOp, kernel::EmbeddingOp, kernel::NormOp, kernel::QuantizeOp,
                  kernel::ElementwiseOp, kernel::GatherOp, kernel::RotaryTableOp, kernel::RopeOp,
                  kernel::KVAppendOp, kernel::RopeAppendOp, kernel::AttentionOp,
                  kernel::SampleOp>(
                [&](auto op) { return emit(op); })
            .Default([](Operation *op) { return op->emitOpError("has no CUDA kernel"); });
    if (failed(written))
      return failure();
    return text;
  }

private:
  //===--------------------------------------------------------------------===//
  // Parts of a kernel
  //===--------------------------------------------------------------------===//

  void begin(StringRef header) {
    os << "#include \"" << header << "\"\n\nusing namespace qopt::cuda;\n\n";
  }

  void parameter(const Twine &type, StringRef name) {
    std::string text = type.str();
    parameters.push_back(text + (text.back() == '*' ? "" : " ") + name.str());
  }
  /// A pointer to what the kernel reads.
  void input(Value buffer, StringRef name) {
    parameter("const " + typeName(elementOf(buffer)) + " *", name);
  }
  void output(Value buffer, StringRef name) {
    parameter(typeName(elementOf(buffer)) + " *", name);
  }
  void batch() {
    parameter("const int32_t *", "positions");
    parameter("const int32_t *", "sequences");
    parameter("const int32_t *", "block_tables");
    parameter("int64_t", "max_pages");
  }
  void rows() { parameter("int64_t", "rows"); }

  /// The function, which does `call`.
  LogicalResult end(const Twine &threads, const Twine &call, Cluster cluster = {}) {
    os << "extern \"C\" __global__ void ";
    if (cluster.y * cluster.z > 1)
      os << "__cluster_dims__(1, " << cluster.y << ", " << cluster.z << ") ";
    os << "__launch_bounds__(" << threads << ", 1)\n" << entry << "(";
    llvm::interleave(parameters, os, ",\n    ");
    os << ") {\n  " << call << ";\n}\n";
    return success();
  }

  /// Rows start, and pieces of them are moved, at multiples of 16 bytes.
  LogicalResult checkRows(Value buffer, StringRef what) {
    int64_t offset = 0;
    if (auto slice = buffer.getDefiningOp<kernel::SliceOp>())
      offset = slice.getOffset();
    bool isVector = bufferType(buffer).getRank() == 1;
    if (columnsOf(buffer) % 8 == 0 && (isVector || rowStride(buffer) % 8 == 0) && offset % 8 == 0)
      return success();
    return launch->emitOpError(what) << " of " << bufferType(buffer)
                                     << " has no CUDA kernel: columns must be multiples of 8";
  }

  LogicalResult checkElement(Value buffer, StringRef what, bool mayBeFloat = false) {
    return failed(checkType(buffer, what, mayBeFloat)) ? failure() : checkRows(buffer, what);
  }

  LogicalResult checkType(Value buffer, StringRef what, bool mayBeFloat) {
    if (elementOf(buffer).isBF16() || (mayBeFloat && elementOf(buffer).isF32()))
      return success();
    return launch->emitOpError(what)
           << " of " << elementOf(buffer) << " has no CUDA kernel, expected bf16"
           << (mayBeFloat ? " or f32" : "");
  }

  /// Values of bf16, or codes and scales.
  LogicalResult checkOuts(OperandRange outs, bool mayBeFloat = false) {
    return outs.size() == 2 ? checkRows(outs[0], "output")
                            : checkElement(outs[0], "output", mayBeFloat);
  }

  LogicalResult checkCache(KVCacheType cache) {
    int64_t headDim = cache.getHeadDim();
    if (!cache.getType().isBF16())
      return launch->emitOpError("cache of ") << cache.getType() << " has no CUDA kernel, expected bf16";
    if (cache.getPageTokens() != cuda::page_tokens)
      return launch->emitOpError("pages of ")
             << cache.getPageTokens() << " tokens have no CUDA kernel, expected " << cuda::page_tokens;
    if (headDim % 16 != 0 || headDim > 256)
      return launch->emitOpError("head_dim ")
             << headDim << " has no CUDA kernel, expected a multiple of 16 up to 256";
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Functors
  //===--------------------------------------------------------------------===//

  /// The operands of a functor, as members; `names` gets one parameter for each.
  LogicalResult extras(OperandRange buffers, StringRef prefix, std::vector<std::string> &names) {
    if (buffers.size() > 3)
      return launch->emitOpError("has ") << buffers.size() << " operands of its region, expected at most 3";
    os << "  static constexpr int extras = " << buffers.size() << ";\n";
    for (auto [i, buffer] : llvm::enumerate(buffers)) {
      if (failed(checkElement(buffer, "operand", /*mayBeFloat=*/true)))
        return failure();
      std::string name = (prefix + Twine(i)).str();
      bool isVector = bufferType(buffer).getRank() == 1;
      os << "  const " << typeName(elementOf(buffer)) << " *" << name << ";\n"
         << "  static constexpr int " << name
         << "_stride = " << (isVector ? 0 : rowStride(buffer)) << ";\n";
      names.push_back(name);
    }
    return success();
  }

  void gemmConstants(StringRef name, const cuda::GemmConfig &c) {
    os << "constexpr GemmConfig " << name << " = {.codes = Codes::" << codesName(c.codes)
       << ", .n = " << c.n << ", .k = " << c.k << ",\n    .group = " << c.group
       << ", .affine = " << boolName(c.affine) << ", .scale = Number::" << numberName(c.scale)
       << ",\n    .tile_n = " << c.tile_n << ", .tile_t = " << c.tile_t
       << ", .k_stage = " << c.k_stage << ", .stages = " << c.stages
       << ",\n    .wgmma = " << boolName(c.wgmma) << ", .pair = " << boolName(c.pair)
       << ", .k_warps = " << c.k_warps << ", .row_copies = " << boolName(c.row_copies);
    if (has_prologue(c))
      os << ",\n    .prologue = Prologue::" << cuda::prologueNames[static_cast<int>(c.prologue)];
    if (c.spread)
      os << ",\n    .spread = true";
    if (c.cluster > 1)
      os << ",\n    .cluster = " << c.cluster;
    os << "};\n\n";
  }

  void rowConstants(int64_t columns, int64_t inputStride, int64_t outputStride) {
    os << "constexpr RowConfig config = {.columns = " << columns
       << ", .input_stride = " << inputStride << ", .output_stride = " << outputStride << "};\n\n";
  }

  //===--------------------------------------------------------------------===//
  // Linear layers
  //===--------------------------------------------------------------------===//

  LogicalResult emit(kernel::GemmOp op) {
    std::optional<cuda::GemmConfig> config = gemmConfig(op);
    if (!config)
      return op.emitOpError("has no CUDA kernel: weight ")
             << op.getWeight().getType() << ", input of " << elementOf(op.getInput());
    if (!op.getScheduleAttr())
      return op.emitOpError("has no schedule: kernel-select-schedule must run first");
    std::optional<cuda::PortableGemmConfig> portable = portableGemmConfig(op);
    if (const char *reason =
            portable ? cuda::reason_invalid(*portable) : cuda::reason_invalid(*config))
      return op.emitOpError("has no CUDA kernel: ") << reason;
    int64_t inputBytes = elementOf(op.getInput()).getIntOrFloatBitWidth() / 8;
    if (rowStride(op.getInput()) * inputBytes % 16 != 0)
      return op.emitOpError("rows of ") << bufferType(op.getInput())
                                        << " must start at multiples of 16 bytes";
    // Channels that are not in eights, as of a vocabulary of 32,001, are stored one by one.
    auto check = config->n % 8 == 0 ? &KernelWriter::checkElement : &KernelWriter::checkType;
    if (failed((this->*check)(op.getOuts()[0], "output", /*mayBeFloat=*/true)))
      return failure();

    if (op.hasPrologue() && failed(checkElement(op.getInput(), "input")))
      return failure();

    begin(portable ? "portable_gemm.cuh" : "gemm.cuh");
    gemmConstants(portable ? "layer" : "config", *config);
    if (portable)
      os << "constexpr PortableGemmConfig config = {.layer = layer, .warp_n = " << portable->warp_n
         << ", .warp_t = " << portable->warp_t << "};\n\n";
    if (op.getNorm() && failed(normFunctor(op)))
      return failure();
    Value out = op.getOuts()[0];
    std::string element = typeName(elementOf(out));
    os << "struct Epilogue {\n  using Output = " << element
       << ";\n  static constexpr int output_stride = " << rowStride(out) << ";\n  Output *output;\n";
    std::vector<std::string> names = op.isPair() ? std::vector<std::string>{"gate", "up"}
                                                 : std::vector<std::string>{"sum"};
    if (failed(extras(op.getExtras(), "extra", names)) ||
        failed(emitApply(os, op.getEpilogue().front(), names)))
      return failure();
    os << "};\n\n";

    input(op.getInput(), "x");
    if (op.getScales())
      input(op.getScales(), "x_scales");
    parameter("const void *", "weight");
    if (op.getNorm())
      input(op.getNorm(), "norm");
    std::string members = "y";
    for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
      std::string name = "extra" + std::to_string(i);
      input(extra, name);
      members += ", " + name;
    }
    output(out, "y");
    rows();
    std::string stride = std::to_string(rowStride(op.getInput()) * inputBytes);
    std::string epilogue = "Epilogue{" + members + "}";
    if (op.hasPrologue())
      return end("threads(config)", "gemm_of_rows<config>(x, " + stride + ", " +
                                        (op.getNorm() ? "Norm{norm}" : "NoNorm{}") + ", weight, " +
                                        epilogue + ", rows)");
    std::string scales = op.getScales() ? "x_scales" : "nullptr";
    if (portable)
      return end("threads(config)", "portable_gemm<config>(x, " + stride + ", " + scales +
                                        ", weight, " + epilogue + ", rows)");
    parameter("const __grid_constant__ TensorMap", "x_map");
    return end("threads(config)", "gemm<config>(x_map, " + scales + ", weight, " + epilogue +
                                      ", rows" + (config->row_copies ? ", x, " + stride : "") +
                                      ")",
               {.y = config->cluster});
  }

  /// What a prologue normalises by.
  LogicalResult normFunctor(kernel::GemmOp op) {
    if (failed(checkElement(op.getNorm(), "norm's weight")))
      return failure();
    os << "struct Norm {\n  static constexpr float eps = "
       << floatLiteral(static_cast<float>(op.getEps()->convertToDouble()))
       << ";\n  const bf16 *weight;\n};\n\n";
    return success();
  }

  LogicalResult emit(kernel::EmbeddingOp op) {
    Value out = op.getOuts()[0];
    kernel::PackedType table = op.getTable().getType();
    if (failed(checkElement(out, "output")))
      return failure();
    std::optional<cuda::GemmConfig> config = imageConfig(table);
    if (!config || config->pair)
      return op.emitOpError("table ") << table << " has no CUDA kernel";
    begin("embedding.cuh");
    rowConstants(columnsOf(out), 0, rowStride(out));
    gemmConstants("table", *config);
    input(op.getTokens(), "tokens");
    parameter("const void *", "image");
    output(out, "y");
    rows();
    return end("row_threads(config.columns)", "embedding<config, table>(tokens, image, y, rows)");
  }

  //===--------------------------------------------------------------------===//
  // Rows
  //===--------------------------------------------------------------------===//

  LogicalResult emit(kernel::NormOp op) {
    if (failed(checkElement(op.getInput(), "input")) ||
        failed(checkElement(op.getWeight(), "weight")) || failed(checkOuts(op.getOuts())))
      return failure();
    begin("norm.cuh");
    os << "constexpr NormConfig config = {.columns = " << columnsOf(op.getInput())
       << ", .input_stride = " << rowStride(op.getInput())
       << ", .output_stride = " << rowStride(op.getOuts()[0])
       << ",\n    .eps = " << floatLiteral(static_cast<float>(op.getEps().convertToDouble()))
       << "};\n\n";
    input(op.getInput(), "x");
    input(op.getWeight(), "weight");
    return endRow(op.getOuts(), "rms_norm", "<config>", "x, weight");
  }

  LogicalResult emit(kernel::QuantizeOp op) {
    if (failed(checkElement(op.getInput(), "input", /*mayBeFloat=*/true)) ||
        failed(checkOuts(op.getOuts())))
      return failure();
    begin("norm.cuh");
    rowConstants(columnsOf(op.getInput()), rowStride(op.getInput()), rowStride(op.getOuts()[0]));
    input(op.getInput(), "x");
    output(op.getOuts()[0], "codes");
    output(op.getOuts()[1], "scales");
    rows();
    return end("row_threads(config.columns)", "quantize<config>(x, codes, scales, rows)");
  }

  LogicalResult emit(kernel::ElementwiseOp op) {
    if (failed(checkOuts(op.getOuts(), /*mayBeFloat=*/true)))
      return failure();
    begin("elementwise.cuh");
    rowConstants(columnsOf(op.getOuts()[0]), 0, rowStride(op.getOuts()[0]));
    os << "struct Body {\n";
    std::vector<std::string> names;
    if (failed(extras(op.getInputs(), "extra", names)) ||
        failed(emitApply(os, op.getBody().front(), names)))
      return failure();
    os << "};\n\n";
    for (auto [name, buffer] : llvm::zip(names, op.getInputs()))
      input(buffer, name);
    bool isQuantized = op.getOuts().size() == 2;
    std::string body = "Body{" + llvm::join(names, ", ") + "}";
    if (isQuantized)
      return endRow(op.getOuts(), "elementwise", "<config>", body);
    output(op.getOuts()[0], "y");
    rows();
    return end("elementwise_threads(config.columns)", "elementwise<config>(" + body + ", y, rows)");
  }

  /// A block for each row, with one output or codes and scales.
  LogicalResult endRow(OperandRange outs, StringRef function, StringRef constants,
                       const std::string &arguments) {
    bool isQuantized = outs.size() == 2;
    output(outs[0], isQuantized ? "codes" : "y");
    if (isQuantized)
      output(outs[1], "scales");
    rows();
    return end("row_threads(config.columns)",
               function + (isQuantized ? "_quantized" : "") + constants + "(" + arguments +
                   (isQuantized ? ", codes, scales, rows)" : ", y, rows)"));
  }

  LogicalResult emit(kernel::GatherOp op) {
    Value in = op.getInput(), out = op.getOuts()[0];
    if (elementOf(in) != elementOf(out))
      return op.emitOpError("copies ") << elementOf(in) << " to " << elementOf(out)
                                       << ", expected the same type";
    int64_t width = 128 / elementOf(in).getIntOrFloatBitWidth(); // elements of 16 bytes
    if (columnsOf(in) % width != 0 || failed(checkRows(in, "input")) ||
        failed(checkRows(out, "output")))
      return op.emitOpError("columns must be multiples of ") << width;
    begin("elementwise.cuh");
    rowConstants(columnsOf(in), rowStride(in), rowStride(out));
    input(in, "x");
    input(op.getIndex(), "index");
    output(out, "y");
    rows();
    return end("row_threads(config.columns)", "gather<config>(x, index, y, rows)");
  }

  //===--------------------------------------------------------------------===//
  // Rope and the cache
  //===--------------------------------------------------------------------===//

  LogicalResult emit(kernel::RotaryTableOp op) {
    int64_t headDim = op.getRope().getHeadDim();
    begin("rope.cuh");
    os << "__constant__ float frequencies[" << headDim / 2 << "] = {\n";
    for (float frequency : ropeFrequencies(headDim, ropeConfigOf(op.getRope())))
      os << "    " << floatLiteral(frequency) << ",\n";
    os << "};\n\n";
    batch();
    output(op.getOuts()[0], "table");
    rows();
    return end(Twine(rotaryThreads),
               "rotary_table<" + std::to_string(headDim) + ">(positions, frequencies, table, rows)");
  }

  LogicalResult emit(kernel::RopeOp op) {
    if (failed(checkElement(op.getInput(), "input")) || failed(checkOuts(op.getOuts())))
      return failure();
    int64_t headDim = columnsOf(op.getTable());
    if (headDim % 16 != 0)
      return op.emitOpError("head_dim ") << headDim << " has no CUDA kernel, expected a multiple of 16";
    begin("rope.cuh");
    os << "constexpr RopeConfig config = {.heads = " << columnsOf(op.getInput()) / headDim
       << ", .head_dim = " << headDim << ",\n    .input_stride = " << rowStride(op.getInput())
       << ", .output_stride = " << rowStride(op.getOuts()[0]) << "};\n\n";
    input(op.getInput(), "x");
    input(op.getTable(), "table");
    output(op.getOuts()[0], "y");
    rows();
    return end("rope_threads(config.heads, 0, config.head_dim)",
               "rope<config>(x, table, y, rows)");
  }

  void appendConstants(KVCacheType cache, Value key, Value value, Value query, Value out) {
    os << "constexpr AppendConfig config = {.kv_heads = " << cache.getKvHeads()
       << ", .head_dim = " << cache.getHeadDim() << ",\n    .key_stride = " << rowStride(key)
       << ", .value_stride = " << rowStride(value) << ", .page_bytes = " << pageBytes(cache);
    if (query)
      os << ",\n    .heads = " << columnsOf(query) / cache.getHeadDim()
         << ", .query_stride = " << rowStride(query) << ", .output_stride = " << rowStride(out);
    os << "};\n\n";
  }

  LogicalResult emit(kernel::KVAppendOp op) {
    if (failed(checkElement(op.getKey(), "key")) || failed(checkElement(op.getValue(), "value")) ||
        failed(checkCache(op.getCache().getType())))
      return failure();
    begin("rope.cuh");
    appendConstants(op.getCache().getType(), op.getKey(), op.getValue(), {}, {});
    input(op.getKey(), "key");
    input(op.getValue(), "value");
    parameter("void *", "pool");
    batch();
    rows();
    return end("rope_threads(0, config.kv_heads, config.head_dim)",
               "kv_append<config>(key, value, pool, positions, sequences, block_tables, max_pages, "
               "rows)");
  }

  LogicalResult emit(kernel::RopeAppendOp op) {
    if (failed(checkElement(op.getQuery(), "query")) || failed(checkElement(op.getKey(), "key")) ||
        failed(checkElement(op.getValue(), "value")) || failed(checkOuts(op.getOuts())) ||
        failed(checkCache(op.getCache().getType())))
      return failure();
    begin("rope.cuh");
    appendConstants(op.getCache().getType(), op.getKey(), op.getValue(), op.getQuery(),
                    op.getOuts()[0]);
    input(op.getQuery(), "query");
    input(op.getKey(), "key");
    input(op.getValue(), "value");
    input(op.getTable(), "table");
    parameter("void *", "pool");
    batch();
    output(op.getOuts()[0], "y");
    rows();
    return end("rope_threads(config.heads, config.kv_heads, config.head_dim)",
               "rope_append<config>(query, key, value, table, pool, positions, sequences, "
               "block_tables,\n                      max_pages, y, rows)");
  }

  //===--------------------------------------------------------------------===//
  // Attention
  //===--------------------------------------------------------------------===//

  LogicalResult emit(kernel::AttentionOp op) {
    if (failed(checkElement(op.getQuery(), "query")) || failed(checkOuts(op.getOuts())) ||
        failed(checkCache(op.getCache().getType())))
      return failure();
    if (!op.getScheduleAttr())
      return op.emitOpError("has no schedule: kernel-select-schedule must run first");
    cuda::AttentionConfig c = attentionConfig(op);
    if (cuda::group(c) > 16)
      return op.emitOpError() << cuda::group(c) << " heads share a KV head, expected at most 16";
    if (!(c.scale > 0))
      return op.emitOpError("scale must be positive");
    if (isPortable(op))
      return emitPortable(op, c);
    if (op.hasRopeAppend() && (failed(checkElement(op.getKey(), "key")) ||
                               failed(checkElement(op.getValue(), "value"))))
      return failure();
    int64_t splits = attentionSplits(op);
    if (op.hasRopeAppend() && !splits)
      return op.emitOpError("rope_append has no CUDA kernel for query tiles");
    begin(op.hasRopeAppend() ? "rope_attention.cuh"
          : splits           ? "attention_decode.cuh"
                             : "attention_tiles.cuh");
    attentionConstants(c, op.hasRopeAppend(), splits != 0);
    input(op.getQuery(), "query");
    parameter(op.hasRopeAppend() ? "void *" : "const void *", "pool");
    batch();
    if (op.hasRopeAppend()) {
      input(op.getKey(), "key");
      input(op.getValue(), "value");
      input(op.getTable(), "table");
    }
    output(op.getOuts()[0], "y");
    if (!splits) {
      parameter("const int32_t *", "tiles");
      parameter("int64_t", "tile_count");
      return end("tile_threads(config)",
                 "attention_tiles<config>(query, pool, positions, sequences, block_tables, "
                 "max_pages, y, tiles, tile_count)");
    }
    rows();
    std::string call = op.hasRopeAppend()
                           ? "rope_attention<config>(query, key, value, table, pool, positions, "
                             "sequences, block_tables,\n                         max_pages, y, rows)"
                           : "attention_decode<config>(query, pool, positions, sequences, "
                             "block_tables, max_pages, y, rows)";
    return end("decode_threads(config)", call, {.z = splits});
  }

  void attentionConstants(const cuda::AttentionConfig &c, bool append, bool decode) {
    os << "constexpr AttentionConfig config = {.heads = " << c.heads
       << ", .kv_heads = " << c.kv_heads << ", .head_dim = " << c.head_dim
       << ",\n    .query_stride = " << c.query_stride << ", .output_stride = " << c.output_stride
       << ", .scale = " << floatLiteral(c.scale) << ",\n    .page_bytes = " << c.page_bytes
       << ", .warps = " << c.warps << ", .stages = " << c.stages;
    if (decode)
      os << ", .splits = " << c.splits;
    if (append)
      os << ",\n    .key_stride = " << c.key_stride << ", .value_stride = " << c.value_stride;
    os << "};\n\n";
  }

  LogicalResult emitPortable(kernel::AttentionOp op, const cuda::AttentionConfig &c) {
    if (llvm::Error error = checkCUDALaunch(op))
      return op.emitOpError(llvm::toString(std::move(error)));
    bool isDecode = attentionSplits(op) != 0;
    begin(isDecode ? "portable_decode.cuh" : "portable_tiles.cuh");
    attentionConstants(c, /*append=*/false, /*decode=*/false);
    input(op.getQuery(), "query");
    parameter("const void *", "pool");
    batch();
    output(op.getOuts()[0], "y");
    std::string arguments = "(query, pool, positions, sequences, block_tables, max_pages, y, ";
    if (isDecode) {
      rows();
      return end("portable_threads(config)",
                 "portable_attention_decode<config>" + arguments + "rows)");
    }
    parameter("const int32_t *", "tiles");
    parameter("int64_t", "tile_count");
    return end("portable_threads(config)",
               "portable_attention_tiles<config>" + arguments + "tiles, tile_count)");
  }

  //===--------------------------------------------------------------------===//
  // Sampling
  //===--------------------------------------------------------------------===//

  LogicalResult emit(kernel::SampleOp op) {
    int64_t vocabulary = columnsOf(op.getLogits());
    if (vocabulary > cuda::sample_max_vocabulary)
      return op.emitOpError("vocabulary of ")
             << vocabulary << " has no CUDA kernel, expected at most "
             << cuda::sample_max_vocabulary;
    begin("sample.cuh");
    os << "constexpr SampleConfig config = {.vocabulary = " << vocabulary
       << ", .logits_stride = " << rowStride(op.getLogits()) << ", .blocks = " << sampleBlocks(op)
       << "};\n\n";
    input(op.getLogits(), "logits");
    parameter("const SamplingRow *", "sampling");
    output(op.getOuts()[0], "tokens");
    output(op.getOuts()[1], "logprobs");
    rows();
    return end("sample_threads(config)", "sample<config>(logits, sampling, tokens, logprobs, rows)",
               {.z = sampleBlocks(op)});
  }

  Operation *launch;
  StringRef entry;
  std::string text;
  llvm::raw_string_ostream os;
  std::vector<std::string> parameters;
};

} // namespace

LogicalResult qopt::assignCUDAEntries(ModuleOp module) {
  llvm::StringMap<std::string> entries; // of a key
  llvm::StringMap<int64_t> uses;        // of a name
  for (auto plan : module.getOps<kernel::PlanOp>())
    for (Operation &launch : plan.getBody().front()) {
      if (!kernel::isLaunch(&launch))
        continue;
      // Layers differ in their arguments alone.
      std::string &entry = entries[launchKey(&launch)];
      if (entry.empty()) {
        entry = cudaKernelName(&launch);
        if (int64_t use = uses[entry]++)
          entry += "_v" + std::to_string(use + 1);
      }
      launch.setAttr("entry", FlatSymbolRefAttr::get(module.getContext(), entry));
    }
  return success(succeeded(emitCUDA(module)));
}

FailureOr<std::string> qopt::emitCUDAKernel(Operation *launch, StringRef entry) {
  return KernelWriter(launch, entry).write();
}

std::string qopt::joinSources(ArrayRef<KernelSource> sources) {
  std::string text;
  for (const KernelSource &source : sources)
    text += "//===- " + source.entry + "\n" + source.text + "\n";
  return text;
}

FailureOr<std::vector<KernelSource>> qopt::emitCUDA(ModuleOp module) {
  std::vector<KernelSource> sources;
  llvm::StringSet<> written;
  for (auto plan : module.getOps<kernel::PlanOp>())
    for (Operation &launch : plan.getBody().front()) {
      if (!kernel::isLaunch(&launch))
        continue;
      auto entry = launch.getAttrOfType<FlatSymbolRefAttr>("entry");
      if (!entry)
        return launch.emitOpError("has no entry");
      if (!written.insert(entry.getValue()).second)
        continue;
      FailureOr<std::string> text = emitCUDAKernel(&launch, entry.getValue());
      if (failed(text))
        return failure();
      sources.push_back({entry.getValue().str(), std::move(*text)});
    }
  return sources;
}
