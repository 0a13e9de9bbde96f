//===- ManifestVerifier.cpp - Checks a manifest before it is used ---------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Format.h"
#include "qopt/Runtime/Artifact/manifest.pb.h"
#include <algorithm>
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

std::string number(uint64_t value) { return std::to_string(value); }

struct Range {
  uint64_t begin, end;
  std::string name;
};

class Verifier {
public:
  Verifier(const artifact::Manifest &manifest, uint64_t sectionsEnd)
      : manifest_(manifest), sectionsEnd_(sectionsEnd) {}

  Status verify() {
    for (auto check : {&Verifier::model, &Verifier::cache, &Verifier::sections, &Verifier::kernels,
                       &Verifier::plans})
      if (Status status = (this->*check)(); !status)
        return status;
    return Status::ok();
  }

private:
  static Status bounded(const std::string &name, uint64_t value, uint64_t least, uint64_t most) {
    if (value >= least && value <= most)
      return Status::ok();
    return Status::invalid(name + " is " + number(value) + ", expected " + number(least) + " to " +
                           number(most));
  }

  Status model() {
    if (Status status =
            bounded("vocabulary size", manifest_.model().vocab_size(), 1, maxVocabulary);
        !status)
      return status;
    return bounded("maximum context", manifest_.model().max_context(), 1, maxContext);
  }

  Status cache() {
    const artifact::KvCache &cache = manifest_.kv_cache();
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
    std::vector<Range> ranges;
    auto add = [&](const artifact::Section &range, std::string name) {
      Status status = section(range, name);
      if (status.isOk())
        ranges.push_back({range.offset(), range.offset() + range.size(), std::move(name)});
      return status;
    };
    if (Status status = add(manifest_.code(), "code section"); !status)
      return status;
    for (const artifact::Weight &weight : manifest_.weights())
      if (Status status = add(weight.section(), "weight " + quoted(weight.name())); !status)
        return status;
    std::sort(ranges.begin(), ranges.end(),
              [](const Range &a, const Range &b) { return a.begin < b.begin; });
    for (size_t i = 1; i < ranges.size(); ++i)
      if (ranges[i].begin < ranges[i - 1].end)
        return Status::invalid(ranges[i].name + " overlaps " + ranges[i - 1].name);
    return Status::ok();
  }

  /// An entry is looked up with dlsym: it must be a C identifier.
  Status kernels() {
    auto identifier = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    for (const artifact::Kernel &kernel : manifest_.kernels()) {
      const std::string &entry = kernel.entry();
      if (entry.empty() || entry.size() > maxEntryLength ||
          !std::all_of(entry.begin(), entry.end(), identifier))
        return Status::invalid("kernel has entry " + quoted(entry) +
                               ", expected a C identifier of at most " + number(maxEntryLength) +
                               " characters");
    }
    return Status::ok();
  }

  Status plans() {
    if (manifest_.plans().empty())
      return Status::invalid("there is no plan, expected at least one");
    uint64_t before = 0;
    for (const artifact::Plan &plan : manifest_.plans()) {
      std::string name = "plan of " + number(plan.max_tokens()) + " tokens";
      Status status = this->plan(plan, before);
      if (!status)
        return Status::invalid(name + ": " + status.message());
      before = plan.max_tokens();
    }
    return Status::ok();
  }

  Status plan(const artifact::Plan &plan, uint64_t before) {
    if (Status status = bounded("tokens", plan.max_tokens(), before + 1, maxStepTokens); !status)
      return status;
    if (Status status = bounded("logit rows", plan.max_logit_rows(), 1, plan.max_tokens()); !status)
      return status;
    if (Status status = bounded("arena bytes", plan.arena_bytes(), 1, maxArenaBytes); !status)
      return status;
    uint64_t logits = uint64_t(plan.max_logit_rows()) * manifest_.model().vocab_size() * 4;
    if (plan.logits_offset() % bufferAlignment != 0 || plan.logits_offset() > plan.arena_bytes() ||
        logits > plan.arena_bytes() - plan.logits_offset())
      return Status::invalid("logits have " + number(logits) + " bytes at " +
                             number(plan.logits_offset()) + " in an arena of " +
                             number(plan.arena_bytes()));
    for (const artifact::Launch &launch : plan.launches())
      if (Status status = this->launch(launch, plan); !status)
        return Status::invalid("launch " + quoted(launch.name()) + ": " + status.message());
    return Status::ok();
  }

  Status launch(const artifact::Launch &launch, const artifact::Plan &plan) {
    if (launch.kernel() >= uint64_t(manifest_.kernels_size()))
      return Status::invalid("kernel index is " + number(launch.kernel()) +
                             ", expected less than " + number(manifest_.kernels_size()));
    if (launch.args_size() > maxArguments)
      return Status::invalid("there are " + number(launch.args_size()) +
                             " arguments, expected at most " + number(maxArguments));
    for (uint64_t units :
         {launch.units_static(), launch.units_per_token(), launch.units_per_logit_row()})
      if (Status status = bounded("units", units, 0, maxUnits); !status)
        return status;
    for (int i = 0; i < launch.args_size(); ++i)
      if (Status status = argument(launch.args(i), plan); !status)
        return Status::invalid("argument " + number(i) + ": " + status.message());
    return Status::ok();
  }

  Status argument(const artifact::Argument &argument, const artifact::Plan &plan) {
    switch (argument.value_case()) {
    case artifact::Argument::kWeight:
      if (argument.weight() < uint64_t(manifest_.weights_size()))
        return Status::ok();
      return Status::invalid("weight index is " + number(argument.weight()) +
                             ", expected less than " + number(manifest_.weights_size()));
    case artifact::Argument::kArenaOffset:
      if (argument.arena_offset() < plan.arena_bytes())
        return Status::ok();
      return Status::invalid("arena offset is " + number(argument.arena_offset()) +
                             " in an arena of " + number(plan.arena_bytes()));
    case artifact::Argument::kInput:
      if (argument.input() >= artifact::TOKENS && argument.input() <= artifact::BLOCK_TABLE_STRIDE)
        return Status::ok();
      return Status::invalid("step input " + std::to_string(argument.input()) + " is unknown");
    case artifact::Argument::kKvOffset:
      if (argument.kv_offset() < manifest_.kv_cache().page_bytes())
        return Status::ok();
      return Status::invalid("cache offset is " + number(argument.kv_offset()) + " in a page of " +
                             number(manifest_.kv_cache().page_bytes()));
    case artifact::Argument::kConstant:
      return Status::ok();
    case artifact::Argument::VALUE_NOT_SET:
      break;
    }
    return Status::invalid("it has no value");
  }

  const artifact::Manifest &manifest_;
  uint64_t sectionsEnd_;
};

} // namespace

Status qopt::verifyManifest(const artifact::Manifest &manifest, uint64_t sectionsEnd) {
  return Verifier(manifest, sectionsEnd).verify();
}
