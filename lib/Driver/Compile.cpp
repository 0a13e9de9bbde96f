//===- Compile.cpp - From a model to an artifact --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Driver/Compile.h"
#include "BuildManifest.h"
#include "PackWeights.h"
#include "PlanModel.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "qopt/Frontend/Import.h"
#include "qopt/InitAll.h"
#include "qopt/Runtime/ArtifactWriter.h"
#include "qopt/Target/Target.h"
#include "qopt/Transforms/Pipelines.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"
#include <nlohmann/json.hpp>

using namespace mlir;
using namespace qopt;

namespace {

llvm::Error toError(const Status &status) {
  return llvm::createStringError(status.message());
}

std::span<const std::byte> asBytes(ArrayRef<char> bytes) {
  return {reinterpret_cast<const std::byte *>(bytes.data()), bytes.size()};
}

/// What passes emitted, as one error with a line for each.
class Diagnostics {
public:
  explicit Diagnostics(MLIRContext *context)
      : handler(context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
            return failure();
          if (!text.empty())
            text += '\n';
          if (auto name = dyn_cast<NameLoc>(diagnostic.getLocation()))
            text += name.getName().str() + ": ";
          text += diagnostic.str();
          return success();
        }) {}

  llvm::Error take() { return llvm::createStringError(std::exchange(text, {})); }

private:
  std::string text;
  ScopedDiagnosticHandler handler;
};

/// One compile: the stages share the module and the manifest.
class Compilation {
public:
  Compilation(const CompileOptions &options, Progress &progress)
      : options(options), progress(progress) {}

  llvm::Expected<std::string> run();
  llvm::Expected<PlannedModel> plan();

private:
  llvm::Error import();
  llvm::Error lower();
  llvm::Error runPasses(StringRef phase, function_ref<LogicalResult(PassManager &)> build);
  llvm::Expected<std::string> print(function_ref<void(raw_ostream &)> body);
  llvm::Expected<std::string> generateCode(WeightImages &images);
  llvm::Expected<std::string> checkCode();
  llvm::Expected<std::string> writeArtifact();
  llvm::Error checkEmit() const;
  int64_t maxContext() const;
  void describeModel();
  void collectNotes();
  llvm::Error writeReport();
  std::string outputName() const;

  const CompileOptions &options;
  Progress &progress;
  DialectRegistry registry;
  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<Diagnostics> diagnostics;
  std::optional<ImportedModel> model;
  std::unique_ptr<Target> target;
  PipelineOptions pipeline;
  artifact::Manifest manifest;
};

} // namespace

llvm::Error Compilation::import() {
  llvm::Expected<std::unique_ptr<Target>> parsed = Target::parse(options.target);
  if (!parsed)
    return parsed.takeError();
  target = std::move(*parsed);
  if (llvm::Error error = checkEmit())
    return error;

  progress.begin("import");
  registerDialects(registry);
  context = std::make_unique<MLIRContext>(registry, options.dumpFolder.empty()
                                                        ? MLIRContext::Threading::ENABLED
                                                        : MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  diagnostics = std::make_unique<Diagnostics>(context.get());
  llvm::Expected<ImportedModel> imported = importModel(
      options.model, *context, {.randomSeed = options.randomSeed, .importCheck = options.importCheck});
  if (!imported)
    return imported.takeError();
  model.emplace(std::move(*imported));

  auto isQuantized = [](const auto &entry) { return entry.second->groupQuantization().has_value(); };
  pipeline.format = !options.format.empty()                        ? options.format
                    : llvm::any_of(model->weights, isQuantized) ? "keep"
                                                                   : "bf16";
  if (llvm::Error error = target->checkFormat(pipeline.format))
    return error;
  pipeline.groupSize = options.groupSize;
  pipeline.asymmetric = options.asymmetric;
  pipeline.lmHead = options.lmHead;
  pipeline.target = options.target;
  pipeline.maxTokens = options.maxTokens ? options.maxTokens : target->defaultMaxTokens();
  pipeline.maxLogitRows = target->defaultMaxLogitRows();
  pipeline.maxContext = maxContext();
  pipeline.buckets = options.buckets;
  pipeline.schedule = options.schedule;
  pipeline.disabledFusions = options.disabledFusions;
  return llvm::Error::success();
}

llvm::Error Compilation::runPasses(StringRef phase,
                                   function_ref<LogicalResult(PassManager &)> build) {
  progress.begin(phase.str());
  PassManager manager(context.get());
  if (!options.dumpFolder.empty())
    manager.enableIRPrintingToFileTree([](Pass *, Operation *) { return false; },
                                       [](Pass *, Operation *) { return true; },
                                       /*printModuleScope=*/true, /*printAfterOnlyOnChange=*/true,
                                       /*printAfterOnlyOnFailure=*/false, options.dumpFolder);
  if (failed(build(manager)) || failed(manager.run(*model->module)))
    return diagnostics->take();
  return llvm::Error::success();
}

llvm::Error Compilation::lower() {
  std::string unknownFusion;
  if (llvm::Error error = runPasses("optimise the model", [&](PassManager &manager) {
        return buildModelPipeline(manager, pipeline, unknownFusion);
      }))
    return unknownFusion.empty()
               ? std::move(error)
               : (llvm::consumeError(std::move(error)), llvm::createStringError(unknownFusion));
  collectNotes();
  return runPasses("plan the kernels", [&](PassManager &manager) {
    buildKernelPipeline(manager, pipeline);
    return success();
  });
}

void Compilation::collectNotes() {
  for (const std::string &note : model->notes)
    manifest.mutable_report()->add_notes(note);
  model->module->walk([&](WeightOp weight) {
    if (auto note = weight->getAttrOfType<StringAttr>("qopt.note"))
      manifest.mutable_report()->add_notes(
          (cast<FlatSymbolRefAttr>(weight.getSources()[0]).getValue() + ": " + note.getValue()).str());
  });
}

/// What the target can write.
llvm::Error Compilation::checkEmit() const {
  std::vector<std::string> kinds = target->emitKinds();
  for (const char *kind : {"qopt", "kernel", "artifact"})
    kinds.push_back(kind);
  if (llvm::is_contained(kinds, options.emit))
    return llvm::Error::success();
  return llvm::createStringError("target '" + options.target + "' can't emit " + options.emit +
                                 ", expected one of " + llvm::join(kinds, ", "));
}

/// Tokens of the longest sequence.
int64_t Compilation::maxContext() const {
  if (options.maxContext)
    return options.maxContext;
  return model->config.maxContext ? model->config.maxContext : 2048;
}

void Compilation::describeModel() {
  const LlamaConfig &config = model->config;
  manifest.set_producer("qopt " QOPT_VERSION);
  artifact::Model &described = *manifest.mutable_model();
  described.set_name(model->name);
  described.set_format(pipeline.format);
  described.set_vocab_size(config.vocabSize);
  described.set_max_context(maxContext());
  described.set_hidden_size(config.hiddenSize);
  described.set_num_layers(config.numLayers);
  described.set_num_heads(config.numHeads);
  described.set_num_kv_heads(config.numKVHeads);
  described.set_head_dim(config.headDim);
  described.set_intermediate_size(config.intermediateSize);
  uint64_t parameters = 0;
  for (const auto &[name, tensor] : model->weights)
    parameters += tensor->rows() * tensor->rowSize();
  described.set_num_parameters(parameters);

  TargetDescription machine = target->describe();
  manifest.mutable_target()->set_name(machine.name);
  manifest.mutable_target()->set_triple(machine.triple);
  for (const std::string &feature : machine.features)
    manifest.mutable_target()->add_features(feature);
  *manifest.mutable_tokenizer() = std::move(model->tokenizer);
  *manifest.mutable_chat_template() = std::move(model->chatTemplate);
  *manifest.mutable_generation() = model->generation;

  artifact::Provenance &provenance = *manifest.mutable_provenance();
  provenance.set_source_kind(model->sourceKind);
  provenance.set_source_hash(model->sourceHash);
  provenance.add_options("--format " + pipeline.format);
  provenance.add_options("--target " + options.target);
  if (options.lmHead != "native")
    provenance.add_options("--lm-head " + options.lmHead);
  if (!options.schedule.empty())
    provenance.add_options("--schedule " + options.schedule);
  for (const std::string &fusion : options.disabledFusions)
    provenance.add_options("--disable-fusion " + fusion);
  if (options.randomSeed)
    provenance.add_options("--random-weights " + std::to_string(*options.randomSeed));
}

std::string Compilation::outputName() const {
  if (!options.output.empty())
    return options.output;
  std::string stem = llvm::sys::path::filename(options.model).str();
  for (StringRef ending : {".gguf", ".onnx"})
    if (StringRef(stem).ends_with(ending))
      stem.resize(stem.size() - ending.size());
  return (stem.empty() || stem == "." ? "model" : stem) + ".qopt";
}

/// Compiles the kernels and fills the manifest, but for the sections.
llvm::Expected<std::string> Compilation::generateCode(WeightImages &images) {
  llvm::Expected<CompiledCode> code = target->compile(*model->module, options.cacheFolder);
  if (!code)
    return code.takeError();
  progress.advance(0, code->bytes.size());
  progress.note(std::to_string(code->kernels.size()) + " kernels, " +
                std::to_string(code->cached) + " of them from the cache");
  describeModel();
  if (failed(buildManifest(*model->module, *target, *code, manifest, images)))
    return diagnostics->take();
  return std::move(code->bytes);
}

/// Every kernel and the report, but no file of the model.
llvm::Expected<std::string> Compilation::checkCode() {
  WeightImages images;
  llvm::Expected<std::string> code = generateCode(images);
  if (!code)
    return code.takeError();
  progress.end();
  if (llvm::Error error = writeReport())
    return error;
  return "";
}

llvm::Expected<std::string> Compilation::writeArtifact() {
  std::string path = outputName();
  Result<ArtifactWriter> writer = ArtifactWriter::create(path);
  if (!writer)
    return toError(writer.status());
  WeightImages images;
  llvm::Expected<std::string> code = generateCode(images);
  if (!code)
    return code.takeError();
  if (Status status = writer->beginSection(); !status)
    return toError(status);
  if (Status status = writer->append(asBytes(*code)); !status)
    return toError(status);
  Result<artifact::Section> section = writer->endSection();
  if (!section)
    return toError(section.status());
  *manifest.mutable_code() = *section;
  if (llvm::Error error =
          packWeights(images, *target, model->weights,
                      {.keep = pipeline.format == "keep", .threads = options.threads}, *writer,
                      manifest, progress))
    return error;
  if (Status status = writer->finish(manifest); !status)
    return toError(status);
  progress.end();
  if (llvm::Error error = writeReport())
    return error;
  return path;
}

llvm::Error Compilation::writeReport() {
  if (options.reportFile.empty())
    return llvm::Error::success();
  nlohmann::ordered_json report;
  report["model"] = manifest.model().name();
  report["format"] = manifest.model().format();
  report["target"] = manifest.target().name();
  report["notes"] = std::vector<std::string>(manifest.report().notes().begin(),
                                             manifest.report().notes().end());
  for (const artifact::LinearReport &linear : manifest.report().linears()) {
    nlohmann::ordered_json entry = {
        {"name", linear.name()}, {"type", linear.scheme()}, {"bytes", linear.bytes()}};
    if (linear.has_weight_sqnr_db())
      entry["weight_sqnr_db"] = linear.weight_sqnr_db();
    report["linears"].push_back(std::move(entry));
  }
  for (const artifact::Kernel &kernel : manifest.kernels()) {
    nlohmann::ordered_json entry = {{"entry", kernel.entry()},
                                    {"op", kernel.op()},
                                    {"schedule", kernel.schedule()},
                                    {"reason", kernel.reason()}};
    if (kernel.has_object())
      entry.update({{"registers", kernel.object().registers()},
                    {"spill_bytes", kernel.object().spill_bytes()},
                    {"shared_bytes", kernel.object().shared_bytes()}});
    report["kernels"].push_back(std::move(entry));
  }
  return llvm::writeToOutput(options.reportFile, [&](raw_ostream &out) {
    out << report.dump(2) << "\n";
    return llvm::Error::success();
  });
}

llvm::Expected<std::string> Compilation::print(function_ref<void(raw_ostream &)> body) {
  progress.end();
  std::string path = options.output.empty() ? "-" : options.output;
  if (llvm::Error error = llvm::writeToOutput(path, [&](raw_ostream &out) {
        body(out);
        return llvm::Error::success();
      }))
    return error;
  return path;
}

llvm::Expected<std::string> Compilation::run() {
  auto printModule = [&](raw_ostream &out) { model->module->print(out); };
  if (llvm::Error error = import())
    return error;
  if (options.emit == "qopt")
    return print(printModule);
  if (llvm::Error error = lower())
    return error;
  if (options.emit == "kernel")
    return print(printModule);
  progress.begin("generate code");
  if (failed(target->lower(*model->module)))
    return diagnostics->take();
  if (options.emit == "artifact")
    return options.codeOnly ? checkCode() : writeArtifact();
  llvm::Expected<std::string> text =
      target->emit(*model->module, options.emit, options.cacheFolder);
  if (!text)
    return text.takeError();
  return print([&](raw_ostream &out) { out << *text; });
}

llvm::Expected<PlannedModel> Compilation::plan() {
  if (llvm::Error error = import())
    return error;
  if (llvm::Error error = lower())
    return error;
  progress.end();
  diagnostics.reset(); // it belongs to the context, which leaves
  return PlannedModel{std::move(context), std::move(model->module)};
}

llvm::Expected<PlannedModel> qopt::planModel(const CompileOptions &options, Progress &progress) {
  return Compilation(options, progress).plan();
}

llvm::Expected<std::string> qopt::compileModel(const CompileOptions &options, Progress &progress) {
  return Compilation(options, progress).run();
}

std::string qopt::defaultCacheFolder() {
  SmallString<128> folder;
  if (!llvm::sys::path::cache_directory(folder) || !llvm::sys::path::is_absolute(folder))
    return "";
  llvm::sys::path::append(folder, "qopt", "objects");
  return folder.str().str();
}
