//===- ArtifactTest.cpp - Artifacts, whole and hostile --------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Artifact.h"
#include "Runtime/Artifact/Format.h"
#include "ToyModel.h"
#include "qopt/Runtime/ArtifactWriter.h"
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace qopt;

namespace {

std::span<const std::byte> bytesOf(const std::string &text) {
  return std::as_bytes(std::span<const char>(text));
}

/// Replaces the manifest and mends the header, as an attacker would.
std::string withManifest(const std::string &file, const artifact::Manifest &manifest) {
  Result<Header> header = Header::decode(bytesOf(file), "toy");
  EXPECT_TRUE(header);
  std::string text = manifest.SerializeAsString();
  header->manifestSize = text.size();
  header->manifestHash = hashOf(bytesOf(text));
  std::string result = file.substr(0, header->manifestOffset) + text;
  auto encoded = header->encode();
  std::memcpy(result.data(), encoded.data(), encoded.size());
  return result;
}

artifact::Program &program(artifact::Manifest &manifest) { return *manifest.mutable_programs(0); }

Status open(const std::string &file) {
  Result<Artifact> artifact = Artifact::fromBytes(bytesOf(file), "toy");
  return artifact ? Status::ok() : artifact.status();
}

TEST(Artifact, RoundTrip) {
  std::string path = toy::write("roundtrip");
  Result<Artifact> artifact = Artifact::open(path);
  ASSERT_TRUE(artifact) << artifact.status().message();
  EXPECT_EQ(artifact->manifest().programs(0).weights_size(), 2);
  EXPECT_EQ(artifact->bytes(artifact->manifest().programs(0).code()).size(),
            toy::read(QOPT_TOY_KERNELS).size());
  EXPECT_TRUE(artifact->verifySections());
  EXPECT_EQ(artifact->fileSize(), std::filesystem::file_size(path));
  Artifact moved = std::move(*artifact);
  EXPECT_EQ(moved.manifest().model().name(), "toy");
}

TEST(Artifact, EqualCallsWriteEqualBytes) {
  EXPECT_EQ(toy::read(toy::write("a")), toy::read(toy::write("b")));
}

TEST(Artifact, EveryTruncationIsRefused) {
  std::string file = toy::read(toy::write("truncate"));
  for (size_t size = 0; size < file.size(); size += size < 128 ? 1 : 97)
    EXPECT_FALSE(open(file.substr(0, size))) << size;
  EXPECT_FALSE(open(file + "x"));
}

TEST(Artifact, EveryFlippedBitIsRefusedOrHarmless) {
  std::string file = toy::read(toy::write("flip"));
  Result<Header> header = Header::decode(bytesOf(file), "toy");
  ASSERT_TRUE(header);
  auto flip = [&](size_t at) {
    file[at] ^= 1 << at % 8;
    Status status = open(file);
    file[at] ^= 1 << at % 8;
    return status;
  };
  for (size_t at = 0; at < sectionAlignment; ++at)
    EXPECT_FALSE(flip(at)) << at;
  for (size_t at = header->manifestOffset; at < file.size(); at += 13)
    EXPECT_FALSE(flip(at)) << at;
}

TEST(Artifact, DamagedManifestsWithValidHashesNeverCrash) {
  std::string file = toy::read(toy::write("manifest"));
  Result<Header> header = Header::decode(bytesOf(file), "toy");
  ASSERT_TRUE(header);
  for (size_t at = header->manifestOffset; at < file.size(); ++at) {
    for (unsigned char value : {0x00, 0x7f, 0xff}) {
      std::string copy = file;
      copy[at] = static_cast<char>(value);
      header->manifestHash = hashOf(bytesOf(copy).subspan(header->manifestOffset));
      auto encoded = header->encode();
      std::memcpy(copy.data(), encoded.data(), encoded.size());
      Result<Artifact> artifact = Artifact::fromBytes(bytesOf(copy), "toy");
      if (artifact)
        (void)artifact->verifySections(); // reads every section in bounds
    }
  }
}

TEST(Artifact, VersionsAreNamed) {
  std::string file = toy::read(toy::write("version"));
  file[8] = 7;
  EXPECT_EQ(open(file).message(), "artifact 'toy' has format version 7, this runtime reads version "
                                  "2: compile the model again with this release");
  EXPECT_EQ(open("GGUF....").message(),
            "artifact 'toy' is not a qopt artifact: its first 8 bytes are not the magic of one");
}

TEST(Artifact, DamagedSectionIsNamed) {
  std::string file = toy::read(toy::write("section"));
  Result<Artifact> artifact = Artifact::fromBytes(bytesOf(file), "toy");
  ASSERT_TRUE(artifact);
  uint64_t weight = artifact->manifest().programs(0).weights(1).section().offset();
  file[weight + 5] ^= 1;
  Status status = artifact->verifySections();
  EXPECT_EQ(status.message(), "artifact 'toy' is damaged: weight 'project' has another hash than "
                              "its manifest says");
  file[weight + 5] ^= 1;
  file[artifact->manifest().programs(0).code().offset()] ^= 1;
  EXPECT_EQ(artifact->verifySections().message(),
            "artifact 'toy' is damaged: the code section has another hash than its manifest says");
}

TEST(Artifact, EveryFieldIsChecked) {
  using Manifest = artifact::Manifest;
  struct Case {
    const char *message;
    std::function<void(Manifest &)> damage;
  };
  auto plan = [](Manifest &m) { return program(m).mutable_plans(1); };
  auto argument = [](Manifest &m, int i) {
    return program(m).mutable_plans(1)->mutable_launches(1)->mutable_args(i);
  };
  const std::string inLaunch = "plan of 8 tokens: launch 'append': ";
  const Case cases[] = {
      {"vocabulary size is 0, expected 1 to 16777216",
       [](Manifest &m) { m.mutable_model()->set_vocab_size(0); }},
      {"maximum context is 4294967295, expected 1 to 16777216",
       [](Manifest &m) { m.mutable_model()->set_max_context(~0u); }},
      {"tokens of a page is 0, expected 1 to 65536",
       [](Manifest &m) { program(m).mutable_kv_cache()->set_page_tokens(0); }},
      {"bytes of a page is 63, expected 64 to 68719476736",
       [](Manifest &m) { program(m).mutable_kv_cache()->set_page_bytes(63); }},
      {"bytes of a page are 65, expected a multiple of 64",
       [](Manifest &m) { program(m).mutable_kv_cache()->set_page_bytes(65); }},
      {"cache has element type 'f8', expected f32 or bf16",
       [](Manifest &m) { program(m).mutable_kv_cache()->set_dtype("f8"); }},
      {"code section is empty", [](Manifest &m) { program(m).mutable_code()->set_size(0); }},
      {"code section has a hash of 3 bytes, expected 16",
       [](Manifest &m) { program(m).mutable_code()->set_hash("abc"); }},
      {"weight 'embed' starts at byte 0, expected a multiple of 4096 behind the header",
       [](Manifest &m) { program(m).mutable_weights(0)->mutable_section()->set_offset(0); }},
      {"weight 'embed' has 18446744073709551615 bytes at ",
       [](Manifest &m) { program(m).mutable_weights(0)->mutable_section()->set_size(~uint64_t(0)); }},
      {"weight 'project' overlaps weight 'embed'",
       [](Manifest &m) { *program(m).mutable_weights(1)->mutable_section() = program(m).weights(0).section(); }},
      {"kernel has entry 'a;b\\x0a', expected a C identifier",
       [](Manifest &m) { program(m).mutable_kernels(0)->set_entry("a;b\n"); }},
      {"there is no plan for any step, expected at least one",
       [](Manifest &m) { program(m).clear_plans(); }},
      {"there is no plan for any step, expected at least one",
       [](Manifest &m) {
         for (artifact::Plan &plan : *program(m).mutable_plans())
           plan.set_kind(artifact::Plan::DECODE);
       }},
      {"plan kind 2 is unknown",
       [&](Manifest &m) { plan(m)->set_kind(static_cast<artifact::Plan::Kind>(2)); }},
      {"rows of a query tile is 1048577, expected 0 to 1048576",
       [&](Manifest &m) { plan(m)->set_query_tile(1048577); }},
      {"state bytes is 4294967297, expected 0 to 4294967296",
       [](Manifest &m) { program(m).set_state_bytes((uint64_t(1) << 32) + 1); }},
      {"kernel 'toy_embed': it has a code object, which only CUDA kernels have",
       [](Manifest &m) { program(m).mutable_kernels(0)->mutable_object(); }},
      {"launch 'append': it has a grid, which only CUDA launches have",
       [&](Manifest &m) { plan(m)->mutable_launches(1)->mutable_grid(); }},
      {"argument 0: it is a tensor map, which only CUDA launches have",
       [&](Manifest &m) { argument(m, 0)->mutable_tensor_map(); }},
      {"argument 0: state offset is 0 in a state of 0",
       [&](Manifest &m) { argument(m, 0)->set_state_offset(0); }},
      {"argument 2: it is of the query tiles, which the plan doesn't have",
       [&](Manifest &m) { argument(m, 2)->set_input(artifact::QUERY_TILES); }},
      {"plan of 1 tokens: tokens is 1, expected 2 to 1048576",
       [&](Manifest &m) { plan(m)->set_max_tokens(1); }},
      {"plan of 8 tokens: logit rows is 9, expected 1 to 8",
       [&](Manifest &m) { plan(m)->set_max_logit_rows(9); }},
      {"plan of 8 tokens: arena bytes is 0, expected 1 to 17592186044416",
       [&](Manifest &m) { plan(m)->set_arena_bytes(0); }},
      {"plan of 8 tokens: logits have 8224 bytes at 1088 in an arena of 9248",
       [&](Manifest &m) { plan(m)->set_logits_offset(1024 + 64); }},
      {"plan of 8 tokens: logits have 8224 bytes at 18446744073709551552 in an arena",
       [&](Manifest &m) { plan(m)->set_logits_offset(uint64_t(0) - 64); }},
      {"plan of 8 tokens: it has an offset of tokens or of log-probabilities, expected both",
       [&](Manifest &m) { plan(m)->set_tokens_offset(0); }},
      {"plan of 8 tokens: tokens have 32 bytes at 32 in an arena of 9248",
       [&](Manifest &m) {
         plan(m)->set_tokens_offset(32);
         plan(m)->set_logprobs_offset(0);
       }},
      {"plan of 8 tokens: log-probabilities have 32 bytes at 9280 in an arena of 9248",
       [&](Manifest &m) {
         plan(m)->set_tokens_offset(0);
         plan(m)->set_logprobs_offset(9280);
       }},
      {"argument 2: it says how to sample, but the plan has no tokens",
       [&](Manifest &m) { argument(m, 2)->set_input(artifact::SAMPLING); }},
      {"launch 'append': kernel index is 4, expected less than 4",
       [&](Manifest &m) { plan(m)->mutable_launches(1)->set_kernel(4); }},
      {"launch 'append': units is 18446744073709551615, expected 0 to 1099511627776",
       [&](Manifest &m) { plan(m)->mutable_launches(1)->set_units_per_token(~uint64_t(0)); }},
      {"launch 'append': there are 65 arguments, expected at most 64",
       [&](Manifest &m) {
         while (plan(m)->launches(1).args_size() < 65)
           plan(m)->mutable_launches(1)->add_args()->set_constant(0);
       }},
      {"argument 0: arena offset is 9248 in an arena of 9248",
       [&](Manifest &m) { argument(m, 0)->set_arena_offset(9248); }},
      {"argument 1: cache offset is 512 in a page of 512",
       [&](Manifest &m) { argument(m, 1)->set_kv_offset(512); }},
      {"argument 2: step input 99 is unknown",
       [&](Manifest &m) { argument(m, 2)->set_input(static_cast<artifact::StepInput>(99)); }},
      {"argument 2: step input 0 is unknown",
       [&](Manifest &m) { argument(m, 2)->set_input(artifact::STEP_INPUT_UNSPECIFIED); }},
      {"argument 3: weight index is 2, expected less than 2",
       [&](Manifest &m) { argument(m, 3)->set_weight(2); }},
      {"argument 4: it has no value", [&](Manifest &m) { argument(m, 4)->Clear(); }},
  };
  std::string file = toy::read(toy::write("fields"));
  Result<Artifact> artifact = Artifact::fromBytes(bytesOf(file), "toy");
  ASSERT_TRUE(artifact);
  for (const Case &damaged : cases) {
    Manifest manifest = artifact->manifest();
    damaged.damage(manifest);
    Status status = open(withManifest(file, manifest));
    ASSERT_FALSE(status) << damaged.message;
    EXPECT_NE(status.message().find(damaged.message), std::string::npos) << status.message();
  }
}

/// The toy as if it were for a GPU: grids, code objects, a tensor map of x.
artifact::Manifest forGPU(artifact::Manifest manifest) {
  artifact::Program &program = *manifest.mutable_programs(0);
  program.mutable_target()->set_name("cuda:sm_90a");
  program.mutable_target()->set_triple("nvptx64-nvidia-cuda");
  program.mutable_target()->add_features("sm_90a");
  program.set_state_bytes(64);
  for (artifact::Kernel &kernel : *program.mutable_kernels())
    kernel.mutable_object()->set_size(64);
  for (artifact::Plan &plan : *program.mutable_plans()) {
    plan.set_query_tile(1);
    for (artifact::Launch &launch : *plan.mutable_launches()) {
      artifact::Grid &grid = *launch.mutable_grid();
      grid.set_rows(artifact::Grid::TOKENS);
      grid.set_rows_per_block(1);
      grid.set_y(1);
      grid.set_z(1);
      grid.set_threads(128);
    }
    artifact::TensorMap &map =
        *plan.mutable_launches(1)->add_args()->mutable_tensor_map(); // argument 10
    map.set_row_bytes(toy::hidden * 4);
    map.set_stride(toy::hidden * 4);
    map.set_rows(plan.max_tokens());
    map.set_box_rows(8);
  }
  return manifest;
}

TEST(Artifact, EveryFieldOfAGPUsPlansIsChecked) {
  using Manifest = artifact::Manifest;
  struct Case {
    const char *message;
    std::function<void(Manifest &)> damage;
  };
  auto launch = [](Manifest &m) { return program(m).mutable_plans(1)->mutable_launches(1); };
  auto grid = [&](Manifest &m) { return launch(m)->mutable_grid(); };
  auto object = [](Manifest &m) { return program(m).mutable_kernels(1)->mutable_object(); };
  auto map = [&](Manifest &m) { return launch(m)->mutable_args(10)->mutable_tensor_map(); };
  const Case cases[] = {
      {"target 'cuda:sm_90a' has 1 features, expected one architecture such as sm_90a",
       [](Manifest &m) { program(m).mutable_target()->set_features(0, "sm_a"); }},
      {"target 'cuda:sm_90a' has 2 features",
       [](Manifest &m) { program(m).mutable_target()->add_features("sm_90a"); }},
      {"kernel 'toy_append': it has no code object, which CUDA kernels need",
       [](Manifest &m) { program(m).mutable_kernels(1)->clear_object(); }},
      {"kernel 'toy_append': its code object has 0 bytes at 0 in a code section of ",
       [&](Manifest &m) { object(m)->set_size(0); }},
      {"its code object has 18446744073709551615 bytes at 64 in a code section of ",
       [&](Manifest &m) {
         object(m)->set_offset(64);
         object(m)->set_size(~uint64_t(0));
       }},
      {"its code object has 64 bytes at 1 in", [&](Manifest &m) { object(m)->set_offset(1); }},
      {"kernel 'toy_append': its PTX has 8 bytes at 1048576 in a code section of ",
       [&](Manifest &m) {
         object(m)->set_ptx_offset(1 << 20);
         object(m)->set_ptx_size(8);
       }},
      {"kernel 'toy_append': shared bytes is 232449, expected 0 to 232448",
       [&](Manifest &m) { object(m)->set_shared_bytes(232449); }},
      {"launch 'append': it has no grid, which CUDA launches need",
       [&](Manifest &m) { launch(m)->clear_grid(); }},
      {"rows of the grid are of kind 4, which is unknown",
       [&](Manifest &m) { grid(m)->set_rows(static_cast<artifact::Grid::Rows>(4)); }},
      {"its grid counts query tiles, which the plan doesn't have",
       [&](Manifest &m) {
         program(m).mutable_plans(1)->set_query_tile(0);
         grid(m)->set_rows(artifact::Grid::QUERY_TILES);
       }},
      {"rows of a block is 0, expected 1 to 1048576",
       [&](Manifest &m) { grid(m)->set_rows_per_block(0); }},
      {"grid y is 65536, expected 1 to 65535", [&](Manifest &m) { grid(m)->set_y(65536); }},
      {"grid z is 0, expected 1 to 65535", [&](Manifest &m) { grid(m)->set_z(0); }},
      {"threads is 1025, expected 1 to 1024", [&](Manifest &m) { grid(m)->set_threads(1025); }},
      {"shared bytes is 232445, expected 0 to 232444",
       [&](Manifest &m) {
         object(m)->set_shared_bytes(4);
         grid(m)->set_shared_bytes(232445);
       }},
      {"argument 11: it follows a tensor map",
       [&](Manifest &m) { launch(m)->add_args()->set_constant(0); }},
      {"there are more than 4 tensor maps",
       [&](Manifest &m) {
         for (int i = 0; i < 4; ++i)
           *launch(m)->add_args() = launch(m)->args(10);
       }},
      {"argument 10: bytes of a row is 0, expected 1 to ",
       [&](Manifest &m) { map(m)->set_row_bytes(0); }},
      {"rows is 4294967295, expected 1 to 1048576", [&](Manifest &m) { map(m)->set_rows(~0u); }},
      {"bytes between rows is 18446744073709551600, expected 1 to ",
       [&](Manifest &m) { map(m)->set_stride(uint64_t(0) - 16); }},
      {"rows of a box is 257, expected 1 to 256", [&](Manifest &m) { map(m)->set_box_rows(257); }},
      {"rows of 64 bytes start at 8 and every 64, expected multiples of 16",
       [&](Manifest &m) { map(m)->set_arena_offset(8); }},
      {"rows of 64 bytes start at 0 and every 48, expected multiples of 16 and no overlap",
       [&](Manifest &m) { map(m)->set_stride(48); }},
      {"the tensor map has 512 bytes at 8752 in an arena of 9248",
       [&](Manifest &m) { map(m)->set_arena_offset(8752); }},
      {"the tensor map has 512 bytes at 18446744073709551600 in an arena of 9248",
       [&](Manifest &m) { map(m)->set_arena_offset(uint64_t(0) - 16); }},
      {"argument 0: state offset is 64 in a state of 64",
       [&](Manifest &m) { launch(m)->mutable_args(0)->set_state_offset(64); }},
  };
  std::string file = toy::read(toy::write("gpu-fields"));
  Result<Artifact> artifact = Artifact::fromBytes(bytesOf(file), "toy");
  ASSERT_TRUE(artifact);
  Manifest valid = forGPU(artifact->manifest());
  Status status = open(withManifest(file, valid));
  ASSERT_TRUE(status) << status.message();
  for (const Case &damaged : cases) {
    Manifest manifest = valid;
    damaged.damage(manifest);
    status = open(withManifest(file, manifest));
    ASSERT_FALSE(status) << damaged.message;
    EXPECT_NE(status.message().find(damaged.message), std::string::npos) << status.message();
  }
}

/// The toy for two targets that share the weight 'embed', as compiled.
artifact::Manifest forBoth(const artifact::Manifest &manifest) {
  artifact::Manifest both = manifest;
  artifact::Program &gpu = *both.add_programs();
  artifact::Manifest converted = forGPU(manifest);
  gpu = converted.programs(0);
  artifact::Section &code = *gpu.mutable_code();
  code.set_offset(both.programs(0).weights(1).section().offset() + sectionAlignment * 16);
  code.set_size(64);
  gpu.mutable_weights(1)->mutable_section()->set_offset(code.offset() + sectionAlignment);
  return both;
}

TEST(Artifact, ProgramsAreCheckedOneByOneAndTogether) {
  using Manifest = artifact::Manifest;
  struct Case {
    const char *message;
    std::function<void(Manifest &)> damage;
  };
  const Case cases[] = {
      {"it has no program, expected one for each target", [](Manifest &m) { m.clear_programs(); }},
      {"it has programs for 'cpu' and 'cpu', expected one for each device",
       [](Manifest &m) { *m.mutable_programs(1) = m.programs(0); }},
      {"it has programs for 'cuda:sm_90a' and 'cuda:sm_90a', expected one for each device",
       [](Manifest &m) { *m.add_programs() = m.programs(1); }},
      {"program for 'cuda:sm_90a': tokens of a page is 0, expected 1 to 65536",
       [](Manifest &m) { m.mutable_programs(1)->mutable_kv_cache()->set_page_tokens(0); }},
      {"program for 'cpu': plan of 8 tokens: launch 'append': kernel index is 4, expected less",
       [](Manifest &m) { program(m).mutable_plans(1)->mutable_launches(1)->set_kernel(4); }},
      {"code section overlaps code section",
       [](Manifest &m) { *m.mutable_programs(1)->mutable_code() = m.programs(0).code(); }},
      {"weight 'project' overlaps weight 'embed'",
       [](Manifest &m) {
         *m.mutable_programs(1)->mutable_weights(1)->mutable_section() =
             m.programs(0).weights(0).section();
       }},
      {"weight 'embed' overlaps weight 'embed'",
       [](Manifest &m) { m.mutable_programs(1)->mutable_weights(0)->mutable_section()->set_size(8); }},
      {"weight 'project' overlaps code section",
       [](Manifest &m) {
         *m.mutable_programs(1)->mutable_weights(1)->mutable_section() = m.programs(1).code();
       }},
  };
  Manifest toy = Artifact::open(toy::write("both"))->manifest();
  Manifest valid = forBoth(toy);
  const uint64_t end = uint64_t(1) << 24;
  Status status = verifyManifest(valid, end);
  ASSERT_TRUE(status) << status.message();
  for (const Case &damaged : cases) {
    Manifest manifest = valid;
    damaged.damage(manifest);
    status = verifyManifest(manifest, end);
    ASSERT_FALSE(status) << damaged.message;
    EXPECT_NE(status.message().find(damaged.message), std::string::npos) << status.message();
  }
}

TEST(Artifact, DecodePlansHaveTheirOwnOrder) {
  std::string file = toy::read(toy::write("kinds"));
  Result<Artifact> artifact = Artifact::fromBytes(bytesOf(file), "toy");
  ASSERT_TRUE(artifact);
  artifact::Manifest manifest = artifact->manifest();
  artifact::Program &program = *manifest.mutable_programs(0);
  artifact::Plan decode = program.plans(0);
  decode.set_kind(artifact::Plan::DECODE);
  *program.add_plans() = decode;
  EXPECT_TRUE(open(withManifest(file, manifest)));
  *program.add_plans() = decode;
  EXPECT_NE(open(withManifest(file, manifest))
                .message()
                .find("decode plan of 1 tokens: tokens is 1, expected 2 to 1048576"),
            std::string::npos);
}

TEST(Artifact, MissingFileIsAnError) {
  EXPECT_EQ(Artifact::open("/nonexistent/x.qopt").status().message(),
            "artifact '/nonexistent/x.qopt' can't be opened: No such file or directory");
  EXPECT_EQ(Artifact::open("/").status().message(), "artifact '/' is not a file");
}

std::vector<std::string> filesLike(const std::string &prefix) {
  std::vector<std::string> names;
  for (auto &entry : std::filesystem::directory_iterator(testing::TempDir()))
    if (entry.path().filename().string().rfind(prefix, 0) == 0)
      names.push_back(entry.path().filename().string());
  return names;
}

TEST(ArtifactWriter, AbandonedFileIsRemoved) {
  std::string name = "qopt-abandoned-" + std::to_string(::getpid());
  {
    Result<ArtifactWriter> writer = ArtifactWriter::create(testing::TempDir() + name);
    ASSERT_TRUE(writer);
    // Where the file system has files without a name there is nothing to see.
    EXPECT_LE(filesLike(name).size(), 1u);
  }
  EXPECT_TRUE(filesLike(name).empty());
}

TEST(ArtifactWriter, RefusesWhatTheReaderWould) {
  std::string name = "qopt-refused-" + std::to_string(::getpid());
  Result<ArtifactWriter> writer = ArtifactWriter::create(testing::TempDir() + name);
  ASSERT_TRUE(writer);
  Status status = writer->finish(toy::manifest());
  EXPECT_NE(status.message().find("code section has a hash of 0 bytes"), std::string::npos);
  EXPECT_TRUE(filesLike(name).empty());
  EXPECT_FALSE(writer->beginSection());
}

TEST(ArtifactWriter, CallsOutOfOrderAreErrors) {
  Result<ArtifactWriter> writer =
      ArtifactWriter::create(testing::TempDir() + "qopt-order-" + std::to_string(::getpid()));
  ASSERT_TRUE(writer);
  EXPECT_EQ(writer->append({}).message(), "no section is open");
  EXPECT_EQ(writer->endSection().status().message(), "no section is open");
  EXPECT_TRUE(writer->beginSection());
  EXPECT_EQ(writer->beginSection().message(), "a section is still open");
  EXPECT_EQ(writer->finish({}).message(), "a section is still open");
}

TEST(ArtifactWriter, FolderThatDoesntExist) {
  Status status = ArtifactWriter::create("/nonexistent/x.qopt").status();
  EXPECT_EQ(status.code(), StatusCode::invalidInput);
  EXPECT_EQ(status.message(),
            "can't create artifact '/nonexistent/x.qopt': No such file or directory");
}

TEST(ArtifactWriter, ReplacesFilesOnly) {
  for (const char *path : {"/dev/null", "/"}) {
    Status status = ArtifactWriter::create(path).status();
    EXPECT_EQ(status.code(), StatusCode::invalidInput);
    EXPECT_EQ(status.message(), std::string("can't create artifact '") + path +
                                    "': something that is not a file is there");
  }
}

TEST(ArtifactWriter, FullDiskIsAClearError) {
  // /dev/full can't have a file beside it, so a size limit stands for the disk.
  std::string name = "qopt-full-" + std::to_string(::getpid());
  Result<ArtifactWriter> writer = ArtifactWriter::create(testing::TempDir() + name);
  ASSERT_TRUE(writer);
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1 << 20;
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  std::vector<std::byte> bytes(size_t(4) << 20);
  Status status = writer->beginSection();
  if (status)
    status = writer->append(bytes);
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(status.code(), StatusCode::invalidInput);
  EXPECT_NE(status.message().find("can't write artifact '"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("': the limit on the size of files is met after 4096 bytes"),
            std::string::npos)
      << status.message();
  EXPECT_TRUE(filesLike(name).empty());
  EXPECT_FALSE(writer->finish({}));
}

} // namespace
