//===- InspectCommand.cpp - qopt inspect ----------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What an artifact holds, as text or JSON, from the manifest alone: no code is
/// loaded and no weight is read.
///
//===----------------------------------------------------------------------===//

#include "../Runtime/Artifact/Format.h"
#include "CommandError.h"
#include "qopt/Driver/Commands.h"
#include "qopt/Runtime/Artifact.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

using namespace qopt;
using Json = nlohmann::ordered_json;

namespace {

struct InspectOptions {
  std::string path;
  bool json = false;
  bool plan = false;
  bool weights = false;
  bool verify = false;
};

double megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

std::string hexadecimal(const std::string &bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

/// Text of the file, for a terminal: what could steer it is shown as '?'.
std::string plain(std::string text) {
  for (char &c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = '?';
  return text;
}

const char *inputName(artifact::StepInput input) {
  switch (input) {
  case artifact::TOKENS:
    return "tokens";
  case artifact::POSITIONS:
    return "positions";
  case artifact::SEQUENCES:
    return "sequences";
  case artifact::BLOCK_TABLES:
    return "block_tables";
  case artifact::LOGIT_ROWS:
    return "logit_rows";
  case artifact::NUM_TOKENS:
    return "num_tokens";
  case artifact::NUM_LOGIT_ROWS:
    return "num_logit_rows";
  case artifact::BLOCK_TABLE_STRIDE:
    return "block_table_stride";
  case artifact::QUERY_TILES:
    return "query_tiles";
  case artifact::NUM_QUERY_TILES:
    return "num_query_tiles";
  case artifact::SAMPLING:
    return "sampling";
  default:
    return "?";
  }
}

/// "map of arena+4096 [16 x 1152 bytes every 1152] in boxes of 16"
std::string tensorMapText(const artifact::TensorMap &map) {
  return "map of arena+" + std::to_string(map.arena_offset()) + " [" + std::to_string(map.rows()) +
         " x " + std::to_string(map.row_bytes()) + " bytes every " + std::to_string(map.stride()) +
         "] in boxes of " + std::to_string(map.box_rows());
}

const char *rowsName(artifact::Grid::Rows rows) {
  return rows == artifact::Grid::QUERY_TILES  ? "query tiles"
         : rows == artifact::Grid::LOGIT_ROWS ? "logit rows"
                                              : "tokens";
}

Json gridJson(const artifact::Grid &grid) {
  return {{"rows", rowsName(grid.rows())},
          {"rows_per_block", grid.rows_per_block()},
          {"y", grid.y()},
          {"z", grid.z()},
          {"threads", grid.threads()},
          {"shared_bytes", grid.shared_bytes()}};
}

const char *kindName(const artifact::Plan &plan) {
  return plan.kind() == artifact::Plan::DECODE ? "decode" : "mixed";
}

std::string argumentText(const artifact::Program &program, const artifact::Argument &argument) {
  switch (argument.value_case()) {
  case artifact::Argument::kWeight:
    return program.weights(argument.weight()).name();
  case artifact::Argument::kArenaOffset:
    return "arena+" + std::to_string(argument.arena_offset());
  case artifact::Argument::kInput:
    return inputName(argument.input());
  case artifact::Argument::kKvOffset:
    return "page+" + std::to_string(argument.kv_offset());
  case artifact::Argument::kConstant:
    return std::to_string(argument.constant());
  case artifact::Argument::kStateOffset:
    return "state+" + std::to_string(argument.state_offset());
  case artifact::Argument::kTensorMap:
    return tensorMapText(argument.tensor_map());
  case artifact::Argument::VALUE_NOT_SET:
    break;
  }
  return "?";
}

Json sectionJson(const artifact::Section &section) {
  return {{"offset", section.offset()},
          {"size", section.size()},
          {"hash", hexadecimal(section.hash())}};
}

template <typename Strings> Json list(const Strings &strings) {
  return std::vector<std::string>(strings.begin(), strings.end());
}

Json planJson(const artifact::Program &program, const artifact::Plan &plan) {
  Json launches = Json::array();
  for (const artifact::Launch &launch : plan.launches()) {
    Json arguments = Json::array();
    for (const artifact::Argument &argument : launch.args())
      arguments.push_back(argumentText(program, argument));
    Json entry = {{"name", launch.name()},
                  {"entry", program.kernels(launch.kernel()).entry()},
                  {"units_static", launch.units_static()},
                  {"units_per_token", launch.units_per_token()},
                  {"units_per_logit_row", launch.units_per_logit_row()},
                  {"args", std::move(arguments)}};
    if (launch.has_grid())
      entry["grid"] = gridJson(launch.grid());
    launches.push_back(std::move(entry));
  }
  return {{"kind", kindName(plan)},
          {"max_tokens", plan.max_tokens()},
          {"max_logit_rows", plan.max_logit_rows()},
          {"query_tile", plan.query_tile()},
          {"arena_bytes", plan.arena_bytes()},
          {"logits_offset", plan.logits_offset()},
          {"launches", std::move(launches)}};
}

Json tokenizerJson(const artifact::Tokenizer &tokenizer) {
  auto id = [](bool present, uint32_t value) { return present ? Json(value) : Json(); };
  return {{"vocabulary", tokenizer.vocabulary_size()},
          {"merges", tokenizer.merges_size() / 3},
          {"added_tokens", tokenizer.added_tokens_size()},
          {"bos_id", id(tokenizer.has_bos_id(), tokenizer.bos_id())},
          {"eos_id", id(tokenizer.has_eos_id(), tokenizer.eos_id())}};
}

Json generationJson(const artifact::GenerationConfig &config) {
  return {{"eos_ids", std::vector<uint32_t>(config.eos_ids().begin(), config.eos_ids().end())},
          {"do_sample", config.do_sample()},
          {"temperature", config.temperature()},
          {"top_k", config.top_k()},
          {"top_p", config.top_p()},
          {"repetition_penalty", config.repetition_penalty()}};
}

Json reportJson(const artifact::Report &report) {
  Json linears = Json::array();
  for (const artifact::LinearReport &linear : report.linears()) {
    Json entry = {{"name", linear.name()}, {"type", linear.scheme()}, {"bytes", linear.bytes()}};
    if (linear.has_weight_sqnr_db())
      entry["weight_sqnr_db"] = linear.weight_sqnr_db();
    linears.push_back(std::move(entry));
  }
  return {{"linears", std::move(linears)}, {"notes", list(report.notes())}};
}

Json kernelJson(const artifact::Kernel &kernel) {
  Json result = {{"entry", kernel.entry()},
                 {"op", kernel.op()},
                 {"schedule", kernel.schedule()},
                 {"reason", kernel.reason()},
                 {"rejected", list(kernel.rejected())}};
  if (kernel.has_object())
    result["object"] = {{"offset", kernel.object().offset()},
                        {"size", kernel.object().size()},
                        {"registers", kernel.object().registers()},
                        {"spill_bytes", kernel.object().spill_bytes()},
                        {"shared_bytes", kernel.object().shared_bytes()}};
  if (kernel.object().ptx_size() > 0)
    result["ptx"] = {{"offset", kernel.object().ptx_offset()},
                     {"size", kernel.object().ptx_size()}};
  return result;
}

Json programJson(const artifact::Program &program) {
  Json result = {{"target",
                  {{"name", program.target().name()},
                   {"triple", program.target().triple()},
                   {"features", list(program.target().features())}}},
                 {"kv_cache",
                  {{"page_tokens", program.kv_cache().page_tokens()},
                   {"page_bytes", program.kv_cache().page_bytes()},
                   {"dtype", program.kv_cache().dtype()}}},
                 {"state_bytes", program.state_bytes()},
                 {"code", sectionJson(program.code())},
                 {"weights", Json::array()},
                 {"kernels", Json::array()},
                 {"plans", Json::array()}};
  for (const artifact::Weight &weight : program.weights())
    result["weights"].push_back({{"name", weight.name()},
                                 {"type", weight.type()},
                                 {"layout", weight.layout()},
                                 {"sources", list(weight.sources())},
                                 {"section", sectionJson(weight.section())}});
  for (const artifact::Kernel &kernel : program.kernels())
    result["kernels"].push_back(kernelJson(kernel));
  for (const artifact::Plan &plan : program.plans())
    result["plans"].push_back(planJson(program, plan));
  return result;
}

Json toJson(const Artifact &artifact) {
  const artifact::Manifest &manifest = artifact.manifest();
  const artifact::Model &model = manifest.model();
  Json result = {{"producer", manifest.producer()},
                 {"file_bytes", artifact.fileSize()},
                 {"model",
                  {{"name", model.name()},
                   {"format", model.format()},
                   {"parameters", model.num_parameters()},
                   {"layers", model.num_layers()},
                   {"hidden_size", model.hidden_size()},
                   {"intermediate_size", model.intermediate_size()},
                   {"heads", model.num_heads()},
                   {"kv_heads", model.num_kv_heads()},
                   {"head_dim", model.head_dim()},
                   {"vocabulary", model.vocab_size()},
                   {"max_context", model.max_context()}}},
                 {"programs", Json::array()}};
  for (const artifact::Program &program : manifest.programs())
    result["programs"].push_back(programJson(program));
  result["tokenizer"] = tokenizerJson(manifest.tokenizer());
  result["chat_template"] = manifest.chat_template().source();
  result["generation"] = generationJson(manifest.generation());
  result["report"] = reportJson(manifest.report());
  result["provenance"] = {{"source_kind", manifest.provenance().source_kind()},
                          {"source_hash", manifest.provenance().source_hash()},
                          {"options", list(manifest.provenance().options())}};
  return result;
}

void printMemory(const artifact::Model &model, const artifact::Program &program) {
  const artifact::KvCache &cache = program.kv_cache();
  uint64_t pages = (model.max_context() + cache.page_tokens() - 1) / cache.page_tokens();
  std::printf("\nmemory\n");
  for (const artifact::Plan &plan : program.plans())
    std::printf("  arena, %ssteps of up to %u tokens: %.1f MB\n",
                plan.kind() == artifact::Plan::DECODE ? "decode " : "", plan.max_tokens(),
                megabytes(plan.arena_bytes()));
  if (program.state_bytes())
    std::printf("  state: %.1f MB\n", megabytes(program.state_bytes()));
  std::printf(
      "  kv cache: pages of %u tokens, %.2f MB each (%s); a full context of %u tokens %.1f MB\n",
      cache.page_tokens(), megabytes(cache.page_bytes()), plain(cache.dtype()).c_str(),
      model.max_context(), megabytes(pages * cache.page_bytes()));
}

void printKernels(const artifact::Program &program) {
  std::vector<int> launches(program.kernels_size());
  for (const artifact::Plan &plan : program.plans())
    for (const artifact::Launch &launch : plan.launches())
      ++launches[launch.kernel()];
  std::printf("\nkernels (launches over all plans)\n");
  for (int i = 0; i < program.kernels_size(); ++i) {
    const artifact::Kernel &kernel = program.kernels(i);
    std::printf("  %4d x %s\n", launches[i], kernel.entry().c_str());
    if (kernel.has_object())
      std::printf("         %u registers, %u bytes spilled, %u bytes of static shared memory\n",
                  kernel.object().registers(), kernel.object().spill_bytes(),
                  kernel.object().shared_bytes());
    if (!kernel.schedule().empty())
      std::printf("         %s: %s\n", plain(kernel.schedule()).c_str(),
                  plain(kernel.reason()).c_str());
    for (const std::string &rejected : kernel.rejected())
      std::printf("         not %s\n", plain(rejected).c_str());
  }
}

/// " <<<tokens / 16, 12, 1; 256 threads, 65536 bytes>>>", or nothing on the CPU
std::string gridText(const artifact::Launch &launch) {
  if (!launch.has_grid())
    return "";
  const artifact::Grid &grid = launch.grid();
  return std::string(" <<<") + rowsName(grid.rows()) + " / " +
         std::to_string(grid.rows_per_block()) + ", " + std::to_string(grid.y()) + ", " +
         std::to_string(grid.z()) + "; " + std::to_string(grid.threads()) + " threads, " +
         std::to_string(grid.shared_bytes()) + " bytes>>>";
}

void printPlan(const artifact::Program &program, const artifact::Plan &plan) {
  std::printf("\n%splan for up to %u tokens: %d launches\n",
              plan.kind() == artifact::Plan::DECODE ? "decode " : "", plan.max_tokens(),
              plan.launches_size());
  for (const artifact::Launch &launch : plan.launches()) {
    std::printf("  %-44s %s(", plain(launch.name()).c_str(),
                program.kernels(launch.kernel()).entry().c_str());
    for (int i = 0; i < launch.args_size(); ++i)
      std::printf("%s%s", i ? ", " : "", plain(argumentText(program, launch.args(i))).c_str());
    std::printf(")%s\n", gridText(launch).c_str());
  }
}

void printWeights(const artifact::Program &program) {
  std::printf("\nweights\n");
  for (const artifact::Weight &weight : program.weights())
    std::printf("  %-64s %9.2f MB  %s %s\n", plain(weight.name()).c_str(),
                megabytes(weight.section().size()), plain(weight.type()).c_str(),
                plain(weight.layout()).c_str());
}

/// Code of a GPU architecture without a letter, which the driver translates for later ones.
bool runsOnLater(const artifact::Target &target) {
  if (!isCUDA(target) || target.features_size() != 1)
    return false;
  std::optional<GPUArchitecture> architecture = parseArchitecture(target.features(0));
  return architecture && !architecture->exact;
}

void printTarget(const artifact::Target &target) {
  std::printf("target  %s (%s), needs", plain(target.name()).c_str(), plain(target.triple()).c_str());
  for (const std::string &feature : target.features())
    std::printf(" %s", plain(feature).c_str());
  std::printf(runsOnLater(target) ? " or later\n" : "\n");
}

void printProgram(const artifact::Manifest &manifest, const artifact::Program &program,
                  const InspectOptions &options) {
  if (manifest.programs_size() > 1)
    std::printf("\nprogram for %s\n", plain(program.target().name()).c_str());
  printMemory(manifest.model(), program);
  printKernels(program);
  if (options.weights)
    printWeights(program);
  if (options.plan)
    for (const artifact::Plan &plan : program.plans())
      printPlan(program, plan);
}

void printText(const Artifact &artifact, const InspectOptions &options) {
  const artifact::Manifest &manifest = artifact.manifest();
  const artifact::Model &model = manifest.model();
  std::printf("%s: %.1f MB, by %s\n", artifact.path().c_str(), megabytes(artifact.fileSize()),
              plain(manifest.producer()).c_str());
  std::printf("model   %s, %s, %.1f M parameters, vocabulary %u, context %u\n",
              plain(model.name()).c_str(), plain(model.format()).c_str(),
              static_cast<double>(model.num_parameters()) / 1e6, model.vocab_size(),
              model.max_context());
  std::printf("        %u layers, hidden %u, intermediate %u, %u heads and %u kv heads of %u\n",
              model.num_layers(), model.hidden_size(), model.intermediate_size(), model.num_heads(),
              model.num_kv_heads(), model.head_dim());
  for (const artifact::Program &program : manifest.programs())
    printTarget(program.target());
  std::printf("source  %s %s\n", plain(manifest.provenance().source_kind()).c_str(),
              plain(manifest.provenance().source_hash()).c_str());
  for (const std::string &note : manifest.report().notes())
    std::printf("note    %s\n", plain(note).c_str());
  for (const artifact::Program &program : manifest.programs())
    printProgram(manifest, program, options);
}

void inspect(const InspectOptions &options) {
  Artifact artifact = valueOrFail(Artifact::open(options.path));
  if (options.verify)
    failUnless(artifact.verifySections());
  if (options.json)
    std::printf("%s\n", toJson(artifact).dump(2).c_str());
  else
    printText(artifact, options);
}

} // namespace

void qopt::addInspectCommand(CLI::App &program) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App *command = program.add_subcommand(
      "inspect", "Show what an artifact holds, which kernel runs where and why, memory and sizes");
  command->add_option("ARTIFACT", options->path)->required();
  command->add_flag("--json", options->json, "everything, as JSON");
  command->add_flag("--plan", options->plan, "list the launches of every plan");
  command->add_flag("--weights", options->weights, "list the packed weights");
  command->add_flag("--verify", options->verify, "compare the hash of every section");
  command->callback([options] { inspect(*options); });
}
