//===- ImportONNX.cpp - A model from an ONNX file -------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ImportCheck.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Conversion/ONNXToQOpt/Passes.h"
#include "qopt/Conversion/ONNXToQOpt/RaiseONNX.h"
#include "qopt/Dialect/ONNX/IR/ONNXGraphDialect.h"
#include "qopt/Dialect/QOpt/IR/PlainTypes.h"
#include "qopt/Frontend/HF/HFFolder.h"
#include "qopt/Frontend/LlamaTensors.h"
#include "qopt/Frontend/ModelFiles.h"
#include "qopt/Frontend/ONNX/Reader.h"
#include "qopt/Frontend/SourceHash.h"
#include "qopt/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Rows of an initializer, or of its transpose, under a canonical name.
class InitializerView : public WeightTensor {
public:
  InitializerView(const WeightOrigin &origin, ArrayRef<int64_t> shape, const WeightTensor &source)
      : WeightTensor(origin.name, shape, source.type()), source(source),
        transposed(origin.transposed), rowOffset(origin.rowOffset) {}

  llvm::Error readRows(int64_t first, int64_t count, float *out) const override {
    return transposed ? source.readColumns(rowOffset + first, count, out)
                      : source.readRows(rowOffset + first, count, out);
  }

private:
  const WeightTensor &source;
  bool transposed;
  int64_t rowOffset;
};

llvm::Error mapWeights(const RaisedONNX &raised, std::shared_ptr<WeightStore> initializers,
                       WeightStore &weights) {
  for (const WeightOrigin &origin : raised.weights) {
    const WeightTensor *source = initializers->find(origin.initializer);
    if (!source)
      return llvm::createStringError("initializer '" + printable(origin.initializer) +
                                     "' is no tensor of float32, float16 or bfloat16");
    SmallVector<int64_t, 2> shape{origin.rows};
    if (source->shape().size() == 2)
      shape.push_back(origin.transposed ? source->shape()[0] : source->shape()[1]);
    weights.insert(std::make_unique<InitializerView>(origin, shape, *source));
  }
  weights.own(std::move(initializers));
  return llvm::Error::success();
}

/// Runs `body` and turns the diagnostics of a failure into one error.
llvm::Error collectErrors(MLIRContext &context, llvm::function_ref<LogicalResult()> body) {
  SmallVector<std::string> errors;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      errors.push_back(diagnostic.str());
    return success();
  });
  if (succeeded(body()))
    return llvm::Error::success();
  if (errors.empty())
    errors.push_back("the graph can't be raised");
  constexpr size_t listed = 64;
  std::string text = llvm::join(ArrayRef(errors).take_front(listed), "\n");
  if (errors.size() > listed)
    text += llvm::formatv("\nand {0} more errors", errors.size() - listed);
  return llvm::createStringError(text);
}

/// The configuration that the module has; fails where layers differ in one.
llvm::Expected<LlamaConfig> configOf(func::FuncOp func) {
  LlamaConfig config;
  auto width = [](Value value) { return cast<ShapedType>(value.getType()).getShape().back(); };
  RopeAttr rope;
  bool uniform = true;
  for (Operation &op : func.front()) {
    if (auto embedding = dyn_cast<EmbeddingOp>(op)) {
      auto table = cast<ShapedType>(embedding.getTable().getType());
      config.vocabSize = table.getDimSize(0);
      config.hiddenSize = table.getDimSize(1);
      Type type = table.getElementType();
      config.type = type.isF32()   ? qopt::FloatType::f32
                    : type.isF16() ? qopt::FloatType::f16
                                   : qopt::FloatType::bf16;
    } else if (auto norm = dyn_cast<RMSNormOp>(op)) {
      double eps = norm.getEps().convertToDouble();
      uniform &= config.numLayers == 0 || config.rmsNormEps == eps;
      config.rmsNormEps = eps;
    } else if (auto attr = dyn_cast<RopeOp>(op)) {
      uniform &= !rope || rope == attr.getRope();
      rope = attr.getRope();
    } else if (auto attention = dyn_cast<AttentionOp>(op)) {
      ++config.numLayers;
      config.numHeads = attention.getNumHeads();
      config.numKVHeads = attention.getNumKvHeads();
      config.headDim = cast<ShapedType>(attention.getPastKey().getType()).getDimSize(3);
      auto value = attention.getValue().getDefiningOp<LinearOp>();
      config.attentionBias |= value.getBias() != nullptr;
    } else if (auto silu = dyn_cast<SiluMulOp>(op)) {
      config.intermediateSize = width(silu.getResult());
      auto up = silu.getUp().getDefiningOp<LinearOp>();
      config.mlpBias |= up && up.getBias();
    } else if (auto logits = dyn_cast<LogitsOp>(op)) {
      auto weight = logits.getWeight().getDefiningOp<WeightOp>();
      config.tiedEmbeddings =
          cast<FlatSymbolRefAttr>(weight.getSources()[0]).getValue() == "model.embed_tokens.weight";
    }
  }
  if (!uniform || !rope)
    return llvm::createStringError("layers differ in rotary frequencies or RMSNorm epsilon");
  config.rope = ropeConfigOf(rope);
  return config;
}

/// An exporter without shared initializers stores a tied table twice.
llvm::Error tieEqualHead(ImportedModel &model) {
  const WeightTensor *head = model.weights.find("lm_head.weight");
  const WeightTensor *table = model.weights.find("model.embed_tokens.weight");
  if (!head || head->shape() != table->shape() || head->type() != table->type())
    return llvm::Error::success();
  llvm::Expected<bool> equal = haveEqualValues(*table, *head);
  if (!equal)
    return equal.takeError();
  if (!*equal)
    return llvm::Error::success();
  model.module->walk([&](LogitsOp logits) {
    auto weight = logits.getWeight().getDefiningOp<WeightOp>();
    weight.setSourcesAttr(
        ArrayAttr::get(weight.getContext(),
                       FlatSymbolRefAttr::get(weight.getContext(), "model.embed_tokens.weight")));
  });
  model.weights.erase("lm_head.weight");
  model.config.tiedEmbeddings = true;
  model.notes.push_back("lm_head equals the embedding table and is tied to it");
  return llvm::Error::success();
}

/// The frequencies as a config.json beside the graph writes them, if they are
/// those of the graph, else as they were read off it.
void preferWrittenRope(const RopeConfig &written, ImportedModel &model) {
  LlamaConfig &config = model.config;
  std::vector<float> graph = ropeFrequencies(config.headDim, config.rope);
  std::vector<float> file = ropeFrequencies(config.headDim, written);
  float bound = config.type == qopt::FloatType::f32 ? 4e-6f : 8e-3f;
  for (size_t i = 0; i < graph.size(); ++i)
    if (i >= file.size() || !(std::fabs(graph[i] - file[i]) <= bound * graph[i])) {
      model.notes.push_back("config.json has other rotary frequencies than the graph, whose hold");
      return;
    }
  config.rope = written;
  model.module->walk(
      [&](RopeOp op) { op.setRopeAttr(ropeAttr(op.getContext(), config.headDim, written)); });
}

} // namespace

/// Takes from the files beside the graph what the graph does not hold.
static llvm::Error readFolder(StringRef file, ImportedModel &model) {
  std::string folder = llvm::sys::path::parent_path(file).str();
  if (folder.empty())
    folder = ".";
  HFConfig config;
  SmallString<128> configPath(folder);
  llvm::sys::path::append(configPath, "config.json");
  if (llvm::sys::fs::exists(configPath)) {
    llvm::Expected<HFConfigFile> written = readHFConfig(folder);
    if (!written) {
      // The graph is the truth; the file only helps.
      model.notes.push_back("not used: " + llvm::toString(written.takeError()));
    } else {
      config = written->config;
      model.config.maxContext = config.llama.maxContext;
      if (!config.name.empty())
        model.name = config.name;
      preferWrittenRope(config.llama.rope, model);
    }
  }
  config.llama.vocabSize = model.config.vocabSize;
  return readHFTexts(folder, config, model);
}

llvm::Expected<ImportedModel> qopt::importONNX(StringRef file, MLIRContext &context,
                                               const ImportOptions &options) {
  if (options.randomSeed)
    return llvm::createStringError(
        file + ": an ONNX file has weights; random ones are drawn for a config.json");
  // A protobuf message has less than 2 GiB.
  llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> buffer = openModelFile(file, INT32_MAX);
  if (!buffer)
    return buffer.takeError();
  return importONNX((*buffer)->getMemBufferRef(), context, options);
}

llvm::Expected<ImportedModel> qopt::importONNX(llvm::MemoryBufferRef source, MLIRContext &context,
                                               const ImportOptions &options) {
  StringRef file = source.getBufferIdentifier();
  context.loadDialect<func::FuncDialect, onnx_graph::ONNXGraphDialect, QOptDialect>();
  llvm::Expected<ONNXGraph> graph = readONNX(source, context);
  if (!graph)
    return graph.takeError();
  ImportedModel model;
  model.sourceKind = "onnx";
  model.name = llvm::sys::path::stem(file).str();
  std::string description;
  llvm::raw_string_ostream stream(description);
  graph->module->print(stream);

  RaisedONNX raised;
  OwningOpRef<ModuleOp> normalised;
  llvm::Error error = collectErrors(context, [&]() -> LogicalResult {
    PassManager normalise(&context);
    normalise.addPass(createNormalizeONNX());
    if (failed(normalise.run(*graph->module)))
      return failure();
    model.module = OwningOpRef<ModuleOp>(graph->module->clone());
    normalised = std::move(graph->module);
    if (failed(raiseONNX(*model.module, raised, &graph->initializers)))
      return failure();
    PassManager order(&context);
    order.addPass(createCanonicalOrder());
    return success(succeeded(order.run(*model.module)) && succeeded(verify(*model.module)));
  });
  if (error)
    return inContext(file, std::move(error));

  auto initializers = std::make_shared<WeightStore>(std::move(graph->initializers));
  if (llvm::Error failed = mapWeights(raised, initializers, model.weights))
    return inContext(file, std::move(failed));
  llvm::Expected<LlamaConfig> config =
      configOf(model.module->lookupSymbol<func::FuncOp>("forward"));
  if (!config)
    return inContext(file, config.takeError());
  model.config = *config;
  if (llvm::Error failed = tieEqualHead(model))
    return inContext(file, std::move(failed));
  if (llvm::Error failed = readFolder(file, model))
    return inContext(file, std::move(failed));
  if (llvm::Error failed = checkLlamaConfig(model.config))
    return inContext(file, std::move(failed));
  model.sourceHash = hashSource(description, model.weights);
  if (!options.importCheck)
    return model;
  llvm::Expected<double> difference = checkImport(*normalised, raised, *initializers, model);
  if (!difference)
    return inContext(file, difference.takeError());
  model.notes.push_back(
      llvm::formatv("import check: the graph and the module agree to {0:e1}", *difference));
  return model;
}
