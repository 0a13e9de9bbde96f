//===- ToyModel.cpp - An artifact without a compiler ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ToyModel.h"
#include "qopt/Runtime/ArtifactWriter.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <unistd.h>

using namespace qopt;

namespace {

/// Removes the artifacts that were written, at the end of the process.
struct Written {
  std::vector<std::string> paths;
  ~Written() {
    for (const std::string &path : paths)
      std::remove(path.c_str());
  }
};

/// Small numbers of either sign, exact in float, another at each index.
std::vector<float> table(uint32_t seed) {
  std::vector<float> values(toy::vocabulary * toy::hidden);
  uint32_t state = seed;
  for (float &value : values) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(static_cast<int32_t>(state >> 16) - 32768) / 32768;
  }
  return values;
}

template <typename... Values>
void launch(artifact::Plan &plan, uint32_t kernel, const std::string &name, uint64_t fixed,
            uint64_t perToken, uint64_t perLogitRow, Values... values) {
  artifact::Launch &launch = *plan.add_launches();
  launch.set_kernel(kernel);
  launch.set_name(name);
  launch.set_units_static(fixed);
  launch.set_units_per_token(perToken);
  launch.set_units_per_logit_row(perLogitRow);
  ((*launch.add_args() = values), ...);
}

artifact::Argument weight(uint32_t index) {
  artifact::Argument argument;
  argument.set_weight(index);
  return argument;
}

artifact::Argument arena(uint64_t offset) {
  artifact::Argument argument;
  argument.set_arena_offset(offset);
  return argument;
}

artifact::Argument input(artifact::StepInput kind) {
  artifact::Argument argument;
  argument.set_input(kind);
  return argument;
}

artifact::Argument cache(uint64_t offset) {
  artifact::Argument argument;
  argument.set_kv_offset(offset);
  return argument;
}

artifact::Argument constant(int64_t value) {
  artifact::Argument argument;
  argument.set_constant(value);
  return argument;
}

void addPlan(artifact::Program &program, uint32_t maxTokens) {
  artifact::Plan &plan = *program.add_plans();
  plan.set_max_tokens(maxTokens);
  plan.set_max_logit_rows(maxTokens);
  uint64_t rows = uint64_t(maxTokens) * toy::hidden * sizeof(float);
  plan.set_logits_offset(2 * rows);
  plan.set_arena_bytes(2 * rows + uint64_t(maxTokens) * toy::vocabulary * sizeof(float));

  auto x = arena(0), y = arena(rows), logits = arena(2 * rows);
  auto hidden = constant(toy::hidden), page = constant(toy::pageTokens);
  auto bytes = constant(toy::pageBytes);
  auto layer = cache(toy::pageBytes / 2); // the page's first half stays empty
  auto positions = input(artifact::POSITIONS), sequences = input(artifact::SEQUENCES);
  auto tables = input(artifact::BLOCK_TABLES), stride = input(artifact::BLOCK_TABLE_STRIDE);
  auto tokens = input(artifact::NUM_TOKENS), rowsWanted = input(artifact::NUM_LOGIT_ROWS);
  launch(plan, 0, "embed", 0, 1, 0, input(artifact::TOKENS), weight(0), x, tokens, hidden);
  launch(plan, 1, "append", 0, 1, 0, x, layer, positions, sequences, tables, stride, tokens, hidden,
         page, bytes);
  launch(plan, 2, "attend", 0, 1, 0, x, layer, positions, sequences, tables, stride, tokens, hidden,
         page, bytes, y);
  launch(plan, 3, "project", 0, 0, toy::vocabulary, y, input(artifact::LOGIT_ROWS), weight(1),
         logits, rowsWanted, hidden, constant(toy::vocabulary));
}

/// A launch that chooses tokens, and room for what it writes.
void addSampling(artifact::Plan &plan) {
  uint64_t room = (plan.max_logit_rows() * sizeof(float) + 63) / 64 * 64;
  plan.set_tokens_offset((plan.arena_bytes() + 63) / 64 * 64);
  plan.set_logprobs_offset(plan.tokens_offset() + room);
  plan.set_arena_bytes(plan.logprobs_offset() + room);
  launch(plan, 7, "sample", 0, 0, 0, arena(plan.logits_offset()), input(artifact::SAMPLING),
         arena(plan.tokens_offset()), arena(plan.logprobs_offset()),
         input(artifact::NUM_LOGIT_ROWS), constant(toy::vocabulary));
  artifact::Grid &grid = *plan.mutable_launches()->rbegin()->mutable_grid();
  grid = plan.launches(0).grid();
  grid.set_rows(artifact::Grid::LOGIT_ROWS);
  grid.set_rows_per_block(1);
}

/// The plan's launches as a GPU takes them.
void convertToGPU(artifact::Plan &plan, bool decode) {
  plan.set_kind(decode ? artifact::Plan::DECODE : artifact::Plan::MIXED);
  plan.set_query_tile(decode ? 0 : std::min(3u, plan.max_tokens()));
  for (artifact::Launch &launch : *plan.mutable_launches()) {
    launch.set_units_static(0);
    launch.set_units_per_token(0);
    launch.set_units_per_logit_row(0);
    artifact::Grid &grid = *launch.mutable_grid();
    grid.set_rows(artifact::Grid::TOKENS);
    grid.set_rows_per_block(1);
    grid.set_y(1);
    grid.set_z(1);
    grid.set_threads(64);
  }
  plan.mutable_launches(0)->mutable_grid()->set_rows_per_block(4);
  artifact::Launch &attend = *plan.mutable_launches(2);
  if (!decode) {
    attend.set_kernel(4);
    attend.mutable_grid()->set_rows(artifact::Grid::QUERY_TILES);
    *attend.add_args() = input(artifact::QUERY_TILES);
    *attend.add_args() = input(artifact::NUM_QUERY_TILES);
  }
  artifact::Launch &project = *plan.mutable_launches(3);
  project.set_kernel(6);
  project.mutable_grid()->set_rows(artifact::Grid::LOGIT_ROWS);
  project.mutable_grid()->set_shared_bytes(100 << 10);
  uint64_t y = project.args(0).arena_offset();
  project.mutable_args()->DeleteSubrange(0, 1);
  artifact::TensorMap &map = *project.add_args()->mutable_tensor_map();
  map.set_arena_offset(y);
  map.set_row_bytes(toy::hidden * sizeof(float));
  map.set_stride(toy::hidden * sizeof(float));
  map.set_rows(plan.max_tokens());
  map.set_box_rows(8);

  artifact::Launch check = attend;
  check.set_name("check");
  check.set_kernel(5);
  check.mutable_grid()->set_rows(artifact::Grid::TOKENS);
  check.clear_args();
  check.add_args()->set_state_offset(0);
  *check.add_args() = arena(y);
  *check.add_args() = input(artifact::NUM_TOKENS);
  *check.add_args() = constant(toy::hidden);
  project.Swap(&check);
  *plan.add_launches() = check;
  addSampling(plan);
}

artifact::Manifest manifestForGPU(uint64_t codeBytes) {
  artifact::Manifest manifest = toy::manifest();
  artifact::Program &program = *manifest.mutable_programs(0);
  program.mutable_target()->set_name("cuda:sm_90a");
  program.mutable_target()->set_triple("nvptx64-nvidia-cuda");
  program.mutable_target()->add_features("sm_90a");
  program.set_state_bytes(8);
  for (const char *entry : {"toy_attend_tiles", "toy_check_state", "toy_project_map", "toy_sample"})
    program.add_kernels()->set_entry(entry);
  for (artifact::Kernel &kernel : *program.mutable_kernels())
    kernel.mutable_object()->set_size(codeBytes);
  for (artifact::Plan &plan : *program.mutable_plans())
    convertToGPU(plan, /*decode=*/false);
  for (uint32_t tokens : {1u, 4u, 16u}) {
    addPlan(program, tokens);
    convertToGPU(*program.mutable_plans()->rbegin(), /*decode=*/true);
  }
  return manifest;
}

} // namespace

std::string toy::fakeCubin() {
  // Names, arguments and tensor maps, as FakeCUDADriver.cpp reads them.
  return "fake cubin\ntoy_embed 5 0\ntoy_append 10 0\ntoy_attend 11 0\ntoy_project 7 0\n"
         "toy_attend_tiles 13 0\ntoy_check_state 4 0\ntoy_project_map 6 1\ntoy_sample 6 0\nend\n" +
         std::string(1, '\0');
}

artifact::Manifest toy::manifest() {
  artifact::Manifest manifest;
  manifest.set_producer("toy");
  manifest.mutable_model()->set_name("toy");
  manifest.mutable_model()->set_format("fp32");
  manifest.mutable_model()->set_vocab_size(vocabulary);
  manifest.mutable_model()->set_max_context(maxContext);
  artifact::Program &program = *manifest.add_programs();
  program.mutable_target()->set_name("cpu");
  program.mutable_target()->set_triple(QOPT_TOY_TRIPLE);
  program.mutable_kv_cache()->set_page_tokens(pageTokens);
  program.mutable_kv_cache()->set_page_bytes(pageBytes);
  program.mutable_kv_cache()->set_dtype("f32");
  for (const char *entry : {"toy_embed", "toy_append", "toy_attend", "toy_project"})
    program.add_kernels()->set_entry(entry);
  for (uint32_t tokens : {1u, 8u, maxStepTokens})
    addPlan(program, tokens);

  artifact::Tokenizer &tokenizer = *manifest.mutable_tokenizer();
  for (int byte = 0; byte < 256; ++byte)
    tokenizer.add_vocabulary(std::string(1, static_cast<char>(byte)));
  tokenizer.add_vocabulary("<end>");
  artifact::Tokenizer::AddedToken &end = *tokenizer.add_added_tokens();
  end.set_id(endToken);
  end.set_special(true);
  tokenizer.set_eos_id(endToken);
  manifest.mutable_chat_template()->set_source(
      "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}");
  manifest.mutable_generation()->add_eos_ids(endToken);
  return manifest;
}

std::string toy::read(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

static std::string writeArtifact(const std::string &name, artifact::Manifest manifest,
                                 const std::vector<std::string> &codes,
                                 const std::function<void(artifact::Manifest &)> &change) {
  // The process's own file: tests of several binaries run side by side.
  std::string path =
      testing::TempDir() + "qopt-" + std::to_string(::getpid()) + "-" + name + ".qopt";
  static Written written;
  written.paths.push_back(path);
  Result<ArtifactWriter> writer = ArtifactWriter::create(path);
  EXPECT_TRUE(writer) << writer.status().message();
  auto section = [&](std::span<const std::byte> bytes) {
    EXPECT_TRUE(writer->beginSection());
    EXPECT_TRUE(writer->append(bytes));
    Result<artifact::Section> section = writer->endSection();
    EXPECT_TRUE(section);
    return *section;
  };
  for (int i = 0; i < manifest.programs_size(); ++i)
    *manifest.mutable_programs(i)->mutable_code() =
        section(std::as_bytes(std::span<const char>(codes[i])));
  for (uint32_t seed : {1u, 2u}) {
    artifact::Weight weight;
    weight.set_name(seed == 1 ? "embed" : "project");
    std::vector<float> values = table(seed);
    *weight.mutable_section() = section(std::as_bytes(std::span<const float>(values)));
    for (artifact::Program &program : *manifest.mutable_programs())
      *program.add_weights() = weight;
  }
  if (change)
    change(manifest);
  Status status = writer->finish(manifest);
  EXPECT_TRUE(status) << status.message();
  return path;
}

std::string toy::write(const std::string &name,
                       const std::function<void(artifact::Manifest &)> &change) {
  std::string code = read(QOPT_TOY_KERNELS);
  EXPECT_FALSE(code.empty()) << QOPT_TOY_KERNELS;
  return writeArtifact(name, manifest(), {code}, change);
}

std::string toy::writeForGPU(const std::string &name,
                             const std::function<void(artifact::Manifest &)> &change,
                             const std::string &cubin) {
  return writeArtifact(name, manifestForGPU(cubin.size()), {cubin}, change);
}

std::string toy::writeForBoth(const std::string &name,
                              const std::function<void(artifact::Manifest &)> &change) {
  artifact::Manifest both = manifest();
  *both.add_programs() = manifestForGPU(fakeCubin().size()).programs(0);
  return writeArtifact(name, both, {read(QOPT_TOY_KERNELS), fakeCubin()}, change);
}

std::string toy::writeForAll(const std::string &name) {
  const uint64_t size = fakeCubin().size();
  artifact::Manifest all = manifest();
  for (const char *architecture : {"sm_80", "sm_90a"}) {
    artifact::Program &program = *all.add_programs();
    program = manifestForGPU(size).programs(0);
    program.mutable_target()->set_name(std::string("cuda:") + architecture);
    program.mutable_target()->set_features(0, architecture);
    if (architecture == std::string("sm_80"))
      for (artifact::Kernel &kernel : *program.mutable_kernels())
        kernel.mutable_object()->set_ptx_size(size);
  }
  return writeArtifact(name, all, {read(QOPT_TOY_KERNELS), fakeCubin(), fakeCubin()}, {});
}

Model toy::load(unsigned threads) {
  Result<Model> model = Model::load(write("toy"), {.threads = threads});
  if (!model) {
    ADD_FAILURE() << model.status().message();
    std::abort();
  }
  return *model;
}

std::vector<float> toy::logits(std::span<const int32_t> tokens) {
  static const std::vector<float> embed = table(1), project = table(2);
  float y[hidden] = {};
  for (size_t p = 0; p < tokens.size(); ++p) {
    float weight = 1.0f / static_cast<float>(tokens.size() - p);
    for (uint32_t h = 0; h < hidden; ++h)
      y[h] += weight * embed[tokens[p] * hidden + h];
  }
  std::vector<float> result(vocabulary);
  for (uint32_t v = 0; v < vocabulary; ++v)
    for (uint32_t h = 0; h < hidden; ++h)
      result[v] += y[h] * project[v * hidden + h];
  return result;
}

std::vector<int32_t> toy::tokens(size_t count, uint32_t seed) {
  std::vector<int32_t> result(count);
  uint32_t state = seed * 2654435761u + 12345;
  for (int32_t &token : result) {
    state = state * 1664525 + 1013904223;
    token = static_cast<int32_t>((state >> 16) % 256);
  }
  return result;
}
