//===- ManifestVerifier.cpp - Checks a manifest before it is used ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Format.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

using namespace qopt;

namespace {

// Far above any model, and low enough that products of two stay in 64 bits.
constexpr uint64_t maxVocabulary = uint64_t(1) << 24;
constexpr uint64_t maxContext = uint64_t(1) << 24;
constexpr uint64_t maxPageTokens = uint64_t(1) << 16;
constexpr uint64_t maxPageBytes = uint64_t(1) << 36;
constexpr uint64_t maxStepTokens = uint64_t(1) << 20;
constexpr uint64_t maxArenaBytes = uint64_t(1) << 44;
constexpr uint64_t maxUnits = uint64_t(1) << 40;
constexpr int maxArguments = 64;
constexpr size_t maxEntryLength = 1024;
constexpr uint64_t bufferAlignment = 64;
constexpr uint64_t maxStateBytes = uint64_t(1) << 32;

// What the driver takes.
constexpr uint64_t maxGridYZ = 65535;
constexpr uint64_t maxBlockThreads = 1024;
constexpr uint64_t maxBlockSharedBytes = 232448;
constexpr uint64_t maxBoxRows = 256;
constexpr uint64_t copyAlignment = 16;
constexpr uint64_t maxRowStride = uint64_t(1) << 39;
constexpr int maxTensorMaps = 4;

std::string number(uint64_t value) { return std::to_string(value); }

Status bounded(const std::string &name, uint64_t value, uint64_t least, uint64_t most) {
  if (value >= least && value <= most)
    return Status::ok();
  return Status::invalid(name + " is " + number(value) + ", expected " + number(least) + " to " +
                         number(most));
}

struct Range {
  uint64_t begin, end;
  std::string name;
  int program; ///< -1: code, which is never shared
};

/// Programs may share the bytes of a weight, but all of them.
bool isShared(const Range &a, const Range &b) {
  return a.begin == b.begin && a.end == b.end && a.program >= 0 && b.program >= 0 &&
         a.program != b.program;
}

/// Checks one program: what a target runs.
class ProgramVerifier {
public:
  ProgramVerifier(const artifact::Model &model, const artifact::Program &program,
                  uint64_t sectionsEnd)
      : model_(model), program_(program), sectionsEnd_(sectionsEnd) {}

  Status verify() {
    for (auto check : {&ProgramVerifier::target, &ProgramVerifier::cache, &ProgramVerifier::sections,
                       &ProgramVerifier::kernels, &ProgramVerifier::plans})
      if (Status status = (this->*check)(); !status)
        return status;
    return Status::ok();
  }

private:
  Status target() {
    if (Status status = bounded("state bytes", program_.state_bytes(), 0, maxStateBytes); !status)
      return status;
    cuda_ = isCUDA(program_.target());
    if (!cuda_)
      return Status::ok();
    if (program_.target().features_size() == 1 &&
        parseArchitecture(program_.target().features(0)))
      return Status::ok();
    return Status::invalid("target " + quoted(program_.target().name()) + " has " +
                           number(program_.target().features_size()) +
                           " features, expected one architecture such as sm_90a");
  }

  Status cache() {
    const artifact::KvCache &cache = program_.kv_cache();
    if (Status status = bounded("tokens of a page", cache.page_tokens(), 1, maxPageTokens); !status)
      return status;
    if (Status status =
            bounded("bytes of a page", cache.page_bytes(), bufferAlignment, maxPageBytes);
        !status)
      return status;
    if (cache.page_bytes() % bufferAlignment != 0)
      return Status::invalid("bytes of a page are " + number(cache.page_bytes()) +
                             ", expected a multiple of " + number(bufferAlignment));
    if (cache.dtype() != "f32" && cache.dtype() != "bf16")
      return Status::invalid("cache has element type " + quoted(cache.dtype()) +
                             ", expected f32 or bf16");
    return Status::ok();
  }

  Status section(const artifact::Section &section, const std::string &name) {
    if (section.hash().size() != sizeof(Hash))
      return Status::invalid(name + " has a hash of " + number(section.hash().size()) +
                             " bytes, expected " + number(sizeof(Hash)));
    if (section.size() == 0)
      return Status::invalid(name + " is empty");
    if (section.offset() < sectionAlignment || section.offset() % sectionAlignment != 0)
      return Status::invalid(name + " starts at byte " + number(section.offset()) +
                             ", expected a multiple of " + number(sectionAlignment) +
                             " behind the header");
    if (section.offset() > sectionsEnd_ || section.size() > sectionsEnd_ - section.offset())
      return Status::invalid(name + " has " + number(section.size()) + " bytes at " +
                             number(section.offset()) + ", but the sections end at " +
                             number(sectionsEnd_));
    return Status::ok();
  }

  Status sections() {
    if (Status status = section(program_.code(), "code section"); !status)
      return status;
    for (const artifact::Weight &weight : program_.weights())
      if (Status status = section(weight.section(), "weight " + quoted(weight.name())); !status)
        return status;
    return Status::ok();
  }

  /// An entry is looked up with dlsym: it must be a C identifier.
  Status kernels() {
    auto identifier = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    for (const artifact::Kernel &kernel : program_.kernels()) {
      const std::string &entry = kernel.entry();
      if (entry.empty() || entry.size() > maxEntryLength ||
          !std::all_of(entry.begin(), entry.end(), identifier))
        return Status::invalid("kernel has entry " + quoted(entry) +
                               ", expected a C identifier of at most " + number(maxEntryLength) +
                               " characters");
      if (Status status = codeObject(kernel); !status)
        return Status::invalid("kernel " + quoted(entry) + ": " + status.message());
    }
    return Status::ok();
  }

  Status codeObject(const artifact::Kernel &kernel) {
    if (kernel.has_object() != cuda_)
      return Status::invalid(cuda_ ? "it has no code object, which CUDA kernels need"
                                   : "it has a code object, which only CUDA kernels have");
    if (!cuda_)
      return Status::ok();
    const artifact::CodeObject &object = kernel.object();
    if (Status status = codeRange("code object", object.offset(), object.size()); !status)
      return status;
    if (object.ptx_size() > 0)
      if (Status status = codeRange("PTX", object.ptx_offset(), object.ptx_size()); !status)
        return status;
    return bounded("shared bytes", object.shared_bytes(), 0, maxBlockSharedBytes);
  }

  Status codeRange(const std::string &name, uint64_t offset, uint64_t size) {
    uint64_t section = program_.code().size();
    if (size > 0 && offset % bufferAlignment == 0 && offset <= section && size <= section - offset)
      return Status::ok();
    return Status::invalid("its " + name + " has " + number(size) + " bytes at " + number(offset) +
                           " in a code section of " + number(section));
  }

  Status plans() {
    uint64_t before[2] = {0, 0}; // tokens of the last plan of each kind
    for (const artifact::Plan &plan : program_.plans()) {
      if (plan.kind() != artifact::Plan::MIXED && plan.kind() != artifact::Plan::DECODE)
        return Status::invalid("plan kind " + std::to_string(plan.kind()) + " is unknown");
      Status status = this->plan(plan, before[plan.kind()]);
      if (!status)
        return Status::invalid(
            (plan.kind() == artifact::Plan::DECODE ? "decode plan of " : "plan of ") +
            number(plan.max_tokens()) + " tokens: " + status.message());
      before[plan.kind()] = plan.max_tokens();
    }
    if (before[artifact::Plan::MIXED] == 0)
      return Status::invalid("there is no plan for any step, expected at least one");
    return Status::ok();
  }

  Status plan(const artifact::Plan &plan, uint64_t before) {
    if (Status status = bounded("tokens", plan.max_tokens(), before + 1, maxStepTokens); !status)
      return status;
    if (Status status = bounded("logit rows", plan.max_logit_rows(), 1, plan.max_tokens()); !status)
      return status;
    if (Status status = bounded("arena bytes", plan.arena_bytes(), 1, maxArenaBytes); !status)
      return status;
    if (Status status = outputs(plan); !status)
      return status;
    if (Status status = bounded("rows of a query tile", plan.query_tile(), 0, maxStepTokens);
        !status)
      return status;
    for (const artifact::Launch &launch : plan.launches())
      if (Status status = this->launch(launch, plan); !status)
        return Status::invalid("launch " + quoted(launch.name()) + ": " + status.message());
    return Status::ok();
  }

  /// Logits, and tokens with their log-probabilities or neither.
  Status outputs(const artifact::Plan &plan) {
    if (plan.has_tokens_offset() != plan.has_logprobs_offset())
      return Status::invalid("it has an offset of tokens or of log-probabilities, expected both");
    uint64_t rows = plan.max_logit_rows();
    if (Status status =
            output("logits", plan.logits_offset(), rows * model_.vocab_size() * 4, plan);
        !status || !plan.has_tokens_offset())
      return status;
    if (Status status = output("tokens", plan.tokens_offset(), rows * 4, plan); !status)
      return status;
    return output("log-probabilities", plan.logprobs_offset(), rows * 4, plan);
  }

  static Status output(const char *name, uint64_t offset, uint64_t bytes,
                       const artifact::Plan &plan) {
    if (offset % bufferAlignment == 0 && offset <= plan.arena_bytes() &&
        bytes <= plan.arena_bytes() - offset)
      return Status::ok();
    return Status::invalid(std::string(name) + " have " + number(bytes) + " bytes at " +
                           number(offset) + " in an arena of " + number(plan.arena_bytes()));
  }

  Status launch(const artifact::Launch &launch, const artifact::Plan &plan) {
    if (launch.kernel() >= uint64_t(program_.kernels_size()))
      return Status::invalid("kernel index is " + number(launch.kernel()) +
                             ", expected less than " + number(program_.kernels_size()));
    if (launch.args_size() > maxArguments)
      return Status::invalid("there are " + number(launch.args_size()) +
                             " arguments, expected at most " + number(maxArguments));
    for (uint64_t units :
         {launch.units_static(), launch.units_per_token(), launch.units_per_logit_row()})
      if (Status status = bounded("units", units, 0, maxUnits); !status)
        return status;
    if (Status status = grid(launch, plan); !status)
      return status;
    int tensorMaps = 0;
    for (int i = 0; i < launch.args_size(); ++i) {
      Status status = argument(launch.args(i), plan);
      if (status.isOk())
        status = tensorMapPlace(launch.args(i), tensorMaps);
      if (!status)
        return Status::invalid("argument " + number(i) + ": " + status.message());
    }
    return Status::ok();
  }

  Status grid(const artifact::Launch &launch, const artifact::Plan &plan) {
    if (launch.has_grid() != cuda_)
      return Status::invalid(cuda_ ? "it has no grid, which CUDA launches need"
                                   : "it has a grid, which only CUDA launches have");
    if (!cuda_)
      return Status::ok();
    const artifact::Grid &grid = launch.grid();
    if (grid.rows() < artifact::Grid::TOKENS || grid.rows() > artifact::Grid::QUERY_TILES)
      return Status::invalid("rows of the grid are of kind " + std::to_string(grid.rows()) +
                             ", which is unknown");
    if (grid.rows() == artifact::Grid::QUERY_TILES && plan.query_tile() == 0)
      return Status::invalid("its grid counts query tiles, which the plan doesn't have");
    uint64_t shared = program_.kernels(launch.kernel()).object().shared_bytes();
    const std::tuple<const char *, uint64_t, uint64_t, uint64_t> fields[] = {
        {"rows of a block", grid.rows_per_block(), 1, maxStepTokens},
        {"grid y", grid.y(), 1, maxGridYZ},
        {"grid z", grid.z(), 1, maxGridYZ},
        {"threads", grid.threads(), 1, maxBlockThreads},
        {"shared bytes", grid.shared_bytes(), 0, maxBlockSharedBytes - shared}};
    for (auto &[name, value, least, most] : fields)
      if (Status status = bounded(name, value, least, most); !status)
        return status;
    return Status::ok();
  }

  /// Tensor maps come last, because kernels take them behind their scalars.
  static Status tensorMapPlace(const artifact::Argument &argument, int &tensorMaps) {
    bool isMap = argument.value_case() == artifact::Argument::kTensorMap;
    if (!isMap && tensorMaps > 0)
      return Status::invalid("it follows a tensor map");
    tensorMaps += isMap;
    if (tensorMaps > maxTensorMaps)
      return Status::invalid("there are more than " + number(maxTensorMaps) + " tensor maps");
    return Status::ok();
  }

  Status tensorMap(const artifact::TensorMap &map, const artifact::Plan &plan) {
    if (!cuda_)
      return Status::invalid("it is a tensor map, which only CUDA launches have");
    const std::tuple<const char *, uint64_t, uint64_t> fields[] = {
        {"bytes of a row", map.row_bytes(), maxRowStride},
        {"rows", map.rows(), maxStepTokens},
        {"bytes between rows", map.stride(), maxRowStride},
        {"rows of a box", map.box_rows(), maxBoxRows}};
    for (auto &[name, value, most] : fields)
      if (Status status = bounded(name, value, 1, most); !status)
        return status;
    if (map.arena_offset() % copyAlignment != 0 || map.stride() % copyAlignment != 0 ||
        map.stride() < map.row_bytes())
      return Status::invalid("rows of " + number(map.row_bytes()) + " bytes start at " +
                             number(map.arena_offset()) + " and every " + number(map.stride()) +
                             ", expected multiples of " + number(copyAlignment) +
                             " and no overlap");
    uint64_t bytes = (map.rows() - 1) * map.stride() + map.row_bytes();
    if (map.arena_offset() > plan.arena_bytes() || bytes > plan.arena_bytes() - map.arena_offset())
      return Status::invalid("the tensor map has " + number(bytes) + " bytes at " +
                             number(map.arena_offset()) + " in an arena of " +
                             number(plan.arena_bytes()));
    return Status::ok();
  }

  Status stepInput(artifact::StepInput input, const artifact::Plan &plan) {
    if (input < artifact::TOKENS || input > artifact::SAMPLING)
      return Status::invalid("step input " + std::to_string(input) + " is unknown");
    if (input == artifact::SAMPLING && !plan.has_tokens_offset())
      return Status::invalid("it says how to sample, but the plan has no tokens");
    if ((input == artifact::QUERY_TILES || input == artifact::NUM_QUERY_TILES) &&
        plan.query_tile() == 0)
      return Status::invalid("it is of the query tiles, which the plan doesn't have");
    return Status::ok();
  }

  Status argument(const artifact::Argument &argument, const artifact::Plan &plan) {
    switch (argument.value_case()) {
    case artifact::Argument::kWeight:
      if (argument.weight() < uint64_t(program_.weights_size()))
        return Status::ok();
      return Status::invalid("weight index is " + number(argument.weight()) +
                             ", expected less than " + number(program_.weights_size()));
    case artifact::Argument::kArenaOffset:
      if (argument.arena_offset() < plan.arena_bytes())
        return Status::ok();
      return Status::invalid("arena offset is " + number(argument.arena_offset()) +
                             " in an arena of " + number(plan.arena_bytes()));
    case artifact::Argument::kInput:
      return stepInput(argument.input(), plan);
    case artifact::Argument::kKvOffset:
      if (argument.kv_offset() < program_.kv_cache().page_bytes())
        return Status::ok();
      return Status::invalid("cache offset is " + number(argument.kv_offset()) + " in a page of " +
                             number(program_.kv_cache().page_bytes()));
    case artifact::Argument::kStateOffset:
      if (argument.state_offset() < program_.state_bytes())
        return Status::ok();
      return Status::invalid("state offset is " + number(argument.state_offset()) +
                             " in a state of " + number(program_.state_bytes()));
    case artifact::Argument::kTensorMap:
      return tensorMap(argument.tensor_map(), plan);
    case artifact::Argument::kConstant:
      return Status::ok();
    case artifact::Argument::VALUE_NOT_SET:
      break;
    }
    return Status::invalid("it has no value");
  }

  const artifact::Model &model_;
  const artifact::Program &program_;
  uint64_t sectionsEnd_;
  bool cuda_ = false; ///< the target is a GPU
};

Status verifyModel(const artifact::Model &model) {
  if (Status status = bounded("vocabulary size", model.vocab_size(), 1, maxVocabulary); !status)
    return status;
  return bounded("maximum context", model.max_context(), 1, maxContext);
}

/// Nothing lies in the bytes of something else.
Status verifyOverlaps(const artifact::Manifest &manifest) {
  std::vector<Range> ranges;
  auto add = [&](const artifact::Section &section, std::string name, int program) {
    ranges.push_back({section.offset(), section.offset() + section.size(), std::move(name), program});
  };
  for (int i = 0; i < manifest.programs_size(); ++i) {
    add(manifest.programs(i).code(), "code section", -1);
    for (const artifact::Weight &weight : manifest.programs(i).weights())
      add(weight.section(), "weight " + quoted(weight.name()), i);
  }
  std::stable_sort(ranges.begin(), ranges.end(), [](const Range &a, const Range &b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].begin < ranges[i - 1].end && !isShared(ranges[i - 1], ranges[i]))
      return Status::invalid(ranges[i].name + " overlaps " + ranges[i - 1].name);
  return Status::ok();
}

Status verifyPrograms(const artifact::Manifest &manifest, uint64_t sectionsEnd) {
  if (manifest.programs_size() == 0)
    return Status::invalid("it has no program, expected one for each target");
  std::map<std::string, const artifact::Target *> seen; // by what tells them apart
  for (const artifact::Program &program : manifest.programs()) {
    const artifact::Target &target = program.target();
    std::string architecture = target.features_size() > 0 ? target.features(0) : "";
    auto [other, isNew] = seen.emplace(isCUDA(target) ? architecture : "cpu", &target);
    if (!isNew)
      return Status::invalid("it has programs for " + quoted(other->second->name()) + " and " +
                             quoted(target.name()) + ", expected one for each device");
    Status status = ProgramVerifier(manifest.model(), program, sectionsEnd).verify();
    if (!status && manifest.programs_size() > 1)
      return Status::invalid("program for " + quoted(program.target().name()) + ": " +
                             status.message());
    if (!status)
      return status;
  }
  return Status::ok();
}

} // namespace

bool qopt::isCUDA(const artifact::Target &target) {
  return target.triple().rfind("nvptx64", 0) == 0;
}

std::optional<GPUArchitecture> qopt::parseArchitecture(const std::string &name) {
  std::string digits = name.rfind("sm_", 0) == 0 ? name.substr(3) : "";
  GPUArchitecture result;
  if (!digits.empty() && digits.back() == 'a') {
    result.exact = true;
    digits.pop_back();
  }
  if (digits.size() < 2 || digits.size() > 4 ||
      digits.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  result.minor = digits.back() - '0';
  result.major = std::stoi(digits.substr(0, digits.size() - 1));
  return result;
}

Status qopt::verifyManifest(const artifact::Manifest &manifest, uint64_t sectionsEnd) {
  if (Status status = verifyModel(manifest.model()); !status)
    return status;
  if (Status status = verifyPrograms(manifest, sectionsEnd); !status)
    return status;
  return verifyOverlaps(manifest);
}
