//===- Compile.cpp - From a model to an artifact --------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Driver/Compile.h"
#include "BuildManifest.h"
#include "OutputFile.h"
#include "PackWeights.h"
#include "PlanModel.h"
#include "StatusError.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Dialect/QOpt/IR/QOptDialect.h"
#include "qopt/Frontend/Import.h"
#include "qopt/Frontend/Text.h"
#include "qopt/InitAll.h"
#include "qopt/Runtime/ArtifactWriter.h"
#include "qopt/Target/Target.h"
#include "qopt/Transforms/Pipelines.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include <nlohmann/json.hpp>

using namespace mlir;
using namespace qopt;

namespace {

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

/// The kind of a target: cpu of "cpu:x86-64-v3".
StringRef kindOf(StringRef target) { return target.split(':').first; }

/// Whether a machine could take either: two CPUs, or the same GPU.
bool clash(const Target &a, const Target &b) {
  TargetDescription first = a.describe(), second = b.describe();
  return kindOf(first.name) == kindOf(second.name) &&
         (kindOf(first.name) == "cpu" || first.name == second.name);
}

/// One target's way from the imported model to a program of the artifact.
struct Build {
  std::string name; ///< as given
  std::unique_ptr<Target> target;
  PipelineOptions pipeline;
  OwningOpRef<ModuleOp> module;
  std::string code;
  WeightImages images; ///< as the program's weights
};

/// One compile: the targets share the import, the stages share the manifest.
class Compilation {
public:
  Compilation(const CompileOptions &options, Progress &progress)
      : options(options), progress(progress) {}

  llvm::Expected<std::string> run();
  llvm::Expected<PlannedModel> plan();

private:
  llvm::Error parseTargets();
  llvm::Error import();
  llvm::Expected<PipelineOptions> pipelineOf(const Build &build) const;
  llvm::Error lower(Build &build);
  llvm::Error runPasses(StringRef phase, Build &build,
                        function_ref<LogicalResult(PassManager &)> add);
  void begin(StringRef phase, const Build &build);
  llvm::Expected<std::string> print(function_ref<void(raw_ostream &)> body);
  llvm::Error generateCode(Build &build);
  llvm::Error generateCode();
  llvm::Expected<std::string> checkCode();
  llvm::Error writeSections(ArtifactWriter &writer);
  llvm::Error writeCode(ArtifactWriter &writer, const Build &build, artifact::Program &program);
  llvm::Expected<std::string> writeArtifact();
  llvm::Error checkEmit(const Build &build) const;
  int64_t maxContext() const;
  void describeModel();
  void collectNotes(Build &build);
  void addNote(const std::string &note);
  llvm::Error writeReport(); ///< under a temporary name
  llvm::Error keepReport();
  std::string outputName() const;

  const CompileOptions &options;
  Progress &progress;
  DialectRegistry registry;
  std::unique_ptr<MLIRContext> context;
  std::unique_ptr<Diagnostics> diagnostics;
  std::optional<ImportedModel> model;
  std::string format;
  std::vector<Build> builds; ///< of each target, as the manifest's programs
  artifact::Manifest manifest;
  std::optional<OutputFile> report;
};

} // namespace

llvm::Error Compilation::parseTargets() {
  SmallVector<StringRef> names;
  StringRef(options.target).split(names, ',');
  for (StringRef name : names) {
    Build &build = builds.emplace_back();
    build.name = name.str();
    llvm::Expected<std::unique_ptr<Target>> parsed = Target::parse(name);
    if (!parsed)
      return parsed.takeError();
    build.target = std::move(*parsed);
    for (const Build &other : ArrayRef(builds).drop_back())
      if (clash(*other.target, *build.target))
        return llvm::createStringError("targets '" + other.name + "' and '" + build.name +
                                       "' are both of kind " + kindOf(name).str() +
                                       ", expected at most one CPU, and GPUs that differ");
    if (llvm::Error error = checkEmit(build))
      return error;
  }
  if (builds.size() > 1 && options.emit != "artifact" && options.emit != "qopt")
    return llvm::createStringError("--emit " + options.emit +
                                   " prints what is made for one target: name one in --target, "
                                   "not '" + options.target + "'");
  return llvm::Error::success();
}

llvm::Error Compilation::import() {
  if (llvm::Error error = parseTargets())
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
  format = !options.format.empty()                     ? options.format
           : llvm::any_of(model->weights, isQuantized) ? "keep"
                                                       : "bf16";
  for (Build &build : builds) {
    llvm::Expected<PipelineOptions> pipeline = pipelineOf(build);
    if (!pipeline)
      return pipeline.takeError();
    build.pipeline = std::move(*pipeline);
    bool isLast = &build == &builds.back();
    build.module = isLast ? std::move(model->module) : OwningOpRef(model->module->clone());
  }
  return llvm::Error::success();
}

llvm::Expected<PipelineOptions> Compilation::pipelineOf(const Build &build) const {
  if (llvm::Error error = build.target->checkFormat(format))
    return error;
  PipelineOptions pipeline;
  pipeline.format = format;
  pipeline.groupSize = options.groupSize;
  pipeline.asymmetric = options.asymmetric;
  pipeline.lmHead = options.lmHead;
  pipeline.target = build.name;
  pipeline.maxTokens = options.maxTokens ? options.maxTokens : build.target->defaultMaxTokens();
  pipeline.maxLogitRows = build.target->defaultMaxLogitRows();
  pipeline.buckets = options.buckets;
  // Beside a GPU the CPU has no say in a table that only GPUs take.
  if (builds.size() == 1 || kindOf(build.name) != "cpu")
    pipeline.schedule = options.schedule;
  pipeline.disabledFusions = options.disabledFusions;
  return pipeline;
}

/// Names the target where there are several.
void Compilation::begin(StringRef phase, const Build &build) {
  progress.begin(builds.size() == 1 ? phase.str() : (phase + " for " + build.name).str());
}

llvm::Error Compilation::runPasses(StringRef phase, Build &build,
                                   function_ref<LogicalResult(PassManager &)> add) {
  begin(phase, build);
  PassManager manager(context.get());
  if (!options.dumpFolder.empty())
    manager.enableIRPrintingToFileTree([](Pass *, Operation *) { return false; },
                                       [](Pass *, Operation *) { return true; },
                                       /*printModuleScope=*/true, /*printAfterOnlyOnChange=*/true,
                                       /*printAfterOnlyOnFailure=*/false, options.dumpFolder);
  if (failed(add(manager)) || failed(manager.run(*build.module)))
    return diagnostics->take();
  return llvm::Error::success();
}

llvm::Error Compilation::lower(Build &build) {
  std::string unknownFusion;
  if (llvm::Error error = runPasses("optimise the model", build, [&](PassManager &manager) {
        return buildModelPipeline(manager, build.pipeline, unknownFusion);
      }))
    return unknownFusion.empty()
               ? std::move(error)
               : (llvm::consumeError(std::move(error)), llvm::createStringError(unknownFusion));
  collectNotes(build);
  return runPasses("plan the kernels", build, [&](PassManager &manager) {
    buildKernelPipeline(manager, build.pipeline);
    return success();
  });
}

void Compilation::collectNotes(Build &build) {
  if (&build == &builds.front())
    for (const std::string &note : model->notes)
      manifest.mutable_report()->add_notes(note);
  build.module->walk([&](WeightOp weight) {
    if (auto note = weight->getAttrOfType<StringAttr>("qopt.note"))
      addNote((cast<FlatSymbolRefAttr>(weight.getSources()[0]).getValue() + ": " + note.getValue()).str());
  });
}

/// Most notes are the same for every target.
void Compilation::addNote(const std::string &note) {
  if (builds.size() == 1 || !llvm::is_contained(manifest.report().notes(), note))
    manifest.mutable_report()->add_notes(note);
}

/// What the target can write.
llvm::Error Compilation::checkEmit(const Build &build) const {
  std::vector<std::string> kinds = build.target->emitKinds();
  for (const char *kind : {"qopt", "kernel", "artifact"})
    kinds.push_back(kind);
  if (llvm::is_contained(kinds, options.emit))
    return llvm::Error::success();
  return llvm::createStringError("target '" + build.name + "' can't emit " + options.emit +
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
  described.set_name(llvm::json::fixUTF8(model->name)); // it may be that of a file
  described.set_format(format);
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

  *manifest.mutable_tokenizer() = std::move(model->tokenizer);
  *manifest.mutable_chat_template() = std::move(model->chatTemplate);
  *manifest.mutable_generation() = model->generation;

  artifact::Provenance &provenance = *manifest.mutable_provenance();
  provenance.set_source_kind(model->sourceKind);
  provenance.set_source_hash(model->sourceHash);
  provenance.add_options("--format " + format);
  provenance.add_options("--target " + options.target);
  if (options.lmHead != "native")
    provenance.add_options("--lm-head " + options.lmHead);
  if (!options.schedule.empty())
    provenance.add_options("--schedule " + llvm::json::fixUTF8(options.schedule));
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

static void describe(const TargetDescription &machine, artifact::Target &target) {
  target.set_name(machine.name);
  target.set_triple(machine.triple);
  for (const std::string &feature : machine.features)
    target.add_features(feature);
}

/// Compiles the kernels and fills a program of the manifest, but for the sections.
llvm::Error Compilation::generateCode(Build &build) {
  begin("generate code", build);
  if (failed(build.target->lower(*build.module)))
    return diagnostics->take();
  llvm::Expected<CompiledCode> code = build.target->compile(*build.module, options.cacheFolder);
  if (!code)
    return code.takeError();
  progress.advance(0, code->bytes.size());
  progress.note(std::to_string(code->kernels.size()) + " kernels, " +
                std::to_string(code->cached) + " of them from the cache");
  artifact::Program &program = *manifest.add_programs();
  describe(build.target->describe(), *program.mutable_target());
  if (failed(buildProgram(*build.module, *build.target, *code, program, build.images)))
    return diagnostics->take();
  build.code = std::move(code->bytes);
  return llvm::Error::success();
}

llvm::Error Compilation::generateCode() {
  for (Build &build : builds)
    if (llvm::Error error = generateCode(build))
      return error;
  describeModel();
  return llvm::Error::success();
}

/// Every kernel and the report, but no file of the model.
llvm::Expected<std::string> Compilation::checkCode() {
  if (llvm::Error error = generateCode())
    return error;
  progress.end();
  if (llvm::Error error = writeReport())
    return error;
  if (llvm::Error error = keepReport())
    return error;
  return "";
}

llvm::Error Compilation::writeCode(ArtifactWriter &writer, const Build &build,
                                   artifact::Program &program) {
  if (Status status = writer.beginSection(); !status)
    return toError(status);
  if (Status status = writer.append(asBytes(build.code)); !status)
    return toError(status);
  Result<artifact::Section> section = writer.endSection();
  if (!section)
    return toError(section.status());
  *program.mutable_code() = *section;
  return llvm::Error::success();
}

llvm::Error Compilation::writeSections(ArtifactWriter &writer) {
  SharedSections shared;
  for (auto [index, build] : llvm::enumerate(builds)) {
    artifact::Program &program = *manifest.mutable_programs(static_cast<int>(index));
    if (llvm::Error error = writeCode(writer, build, program))
      return error;
    begin("pack weights", build);
    // The report lists each linear once, as the first target has it.
    artifact::Report unused;
    artifact::Report &report = index == 0 ? *manifest.mutable_report() : unused;
    if (llvm::Error error = packWeights(build.images, *build.target, model->weights,
                                        {.keep = format == "keep", .threads = options.threads},
                                        writer, program, report, shared, progress))
      return error.isA<StatusError>() ? std::move(error)
                                      : inContext(options.model, std::move(error));
  }
  return llvm::Error::success();
}

llvm::Expected<std::string> Compilation::writeArtifact() {
  std::string path = outputName();
  Result<ArtifactWriter> writer = ArtifactWriter::create(path);
  if (!writer)
    return toError(writer.status());
  if (llvm::Error error = generateCode())
    return error;
  if (llvm::Error error = writeSections(*writer))
    return error;
  // Both files or none.
  if (llvm::Error error = writeReport())
    return error;
  if (Status status = writer->finish(manifest); !status)
    return toError(status);
  progress.end();
  if (llvm::Error error = keepReport())
    return error;
  return path;
}

static nlohmann::ordered_json kernelReport(const artifact::Kernel &kernel) {
  nlohmann::ordered_json entry = {{"entry", kernel.entry()},
                                  {"op", kernel.op()},
                                  {"schedule", kernel.schedule()},
                                  {"reason", kernel.reason()}};
  if (kernel.has_object())
    entry.update({{"registers", kernel.object().registers()},
                  {"spill_bytes", kernel.object().spill_bytes()},
                  {"shared_bytes", kernel.object().shared_bytes()}});
  return entry;
}

llvm::Error Compilation::writeReport() {
  if (options.reportFile.empty())
    return llvm::Error::success();
  nlohmann::ordered_json text;
  text["model"] = manifest.model().name();
  text["format"] = manifest.model().format();
  text["notes"] = std::vector<std::string>(manifest.report().notes().begin(),
                                           manifest.report().notes().end());
  for (const artifact::LinearReport &linear : manifest.report().linears()) {
    nlohmann::ordered_json entry = {
        {"name", linear.name()}, {"type", linear.scheme()}, {"bytes", linear.bytes()}};
    if (linear.has_weight_sqnr_db())
      entry["weight_sqnr_db"] = linear.weight_sqnr_db();
    text["linears"].push_back(std::move(entry));
  }
  for (const artifact::Program &program : manifest.programs()) {
    nlohmann::ordered_json entry = {{"name", program.target().name()}};
    for (const artifact::Kernel &kernel : program.kernels())
      entry["kernels"].push_back(kernelReport(kernel));
    text["targets"].push_back(std::move(entry));
  }
  llvm::Expected<OutputFile> file = OutputFile::write(options.reportFile, text.dump(2) + "\n");
  if (!file)
    return file.takeError();
  report.emplace(std::move(*file));
  return llvm::Error::success();
}

llvm::Error Compilation::keepReport() {
  return report ? report->keep() : llvm::Error::success();
}

llvm::Expected<std::string> Compilation::print(function_ref<void(raw_ostream &)> body) {
  progress.end();
  std::string path = options.output.empty() ? "-" : options.output;
  std::string text;
  llvm::raw_string_ostream out(text);
  body(out);
  if (llvm::Error error = writeOutput(path, std::move(text)))
    return error;
  return path;
}

llvm::Expected<std::string> Compilation::run() {
  if (llvm::Error error = import())
    return error;
  Build &first = builds.front();
  auto printModule = [&](raw_ostream &out) { first.module->print(out); };
  if (options.emit == "qopt")
    return print(printModule);
  for (Build &build : builds)
    if (llvm::Error error = lower(build))
      return error;
  if (options.emit == "kernel")
    return print(printModule);
  if (options.emit == "artifact")
    return options.codeOnly ? checkCode() : writeArtifact();
  begin("generate code", first);
  if (failed(first.target->lower(*first.module)))
    return diagnostics->take();
  llvm::Expected<std::string> text =
      first.target->emit(*first.module, options.emit, options.cacheFolder);
  if (!text)
    return text.takeError();
  return print([&](raw_ostream &out) { out << *text; });
}

llvm::Expected<PlannedModel> Compilation::plan() {
  if (llvm::Error error = import())
    return error;
  Build &build = builds.front();
  if (builds.size() > 1)
    return llvm::createStringError("expected one target, found '" + options.target + "'");
  if (llvm::Error error = lower(build))
    return error;
  progress.end();
  diagnostics.reset(); // it belongs to the context, which leaves
  return PlannedModel{std::move(context), std::move(build.module)};
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
