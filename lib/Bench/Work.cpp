//===- Work.cpp - What a launch reads and computes ------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Work.h"
#include <algorithm>
#include <cstdio>

using namespace qopt;

Work &Work::operator+=(const Work &other) {
  weightBytes += other.weightBytes;
  cacheBytes += other.cacheBytes;
  floatOperations += other.floatOperations;
  shortOperations += other.shortOperations;
  byteOperations += other.byteOperations;
  return *this;
}

double qopt::memorySeconds(const Work &work, const Ceilings &ceilings) {
  return ceilings.readBytesPerSecond > 0 ? work.bytes() / ceilings.readBytesPerSecond : 0;
}

double qopt::computeSeconds(const Work &work, const Ceilings &ceilings) {
  if (ceilings.floatsPerSecond <= 0)
    return 0;
  // Without an instruction for them integers have no ceiling of their own.
  auto rate = [&](double dot) { return dot > 0 ? dot : ceilings.floatsPerSecond; };
  return work.floatOperations / ceilings.floatsPerSecond +
         work.shortOperations / rate(ceilings.shortsDotPerSecond) +
         work.byteOperations / rate(ceilings.bytesDotPerSecond);
}

namespace {

/// The first two sizes of a type "tensor<N x K x ...>".
std::pair<double, double> shapeOf(const artifact::Weight &weight) {
  unsigned long long n = 0, k = 0;
  if (std::sscanf(weight.type().c_str(), "tensor<%llux%llux", &n, &k) != 2)
    return {1, 1};
  return {static_cast<double>(n), static_cast<double>(k)};
}

uint64_t rowsOf(const artifact::Launch &launch, const StepShape &step) {
  bool logits = std::any_of(launch.args().begin(), launch.args().end(), [](const auto &argument) {
    return argument.input() == artifact::NUM_LOGIT_ROWS;
  });
  return logits ? step.logitRows : step.rows();
}

bool contains(const std::string &text, const char *part) {
  return text.find(part) != std::string::npos;
}

} // namespace

Work qopt::workOf(const artifact::Model &model, const artifact::Program &program,
                  const artifact::Launch &launch, const StepShape &step) {
  const artifact::Kernel &kernel = program.kernels(launch.kernel());
  double rows = static_cast<double>(rowsOf(launch, step));
  Work work;
  for (const artifact::Argument &argument : launch.args()) {
    if (argument.value_case() != artifact::Argument::kWeight)
      continue;
    const artifact::Weight &weight = program.weights(argument.weight());
    double bytes = static_cast<double>(weight.section().size());
    auto [n, k] = shapeOf(weight);
    if (kernel.op() == "kernel.embedding")
      bytes *= std::min(1.0, rows / n); // the tokens' rows
    work.weightBytes += rows > 0 ? bytes : 0;
    if (kernel.op() != "kernel.gemm" || k == 1)
      continue;
    double &operations = contains(kernel.entry(), "w8a8_int8") ? work.byteOperations
                         : contains(kernel.entry(), "w4a16_g") ? work.shortOperations
                                                               : work.floatOperations;
    operations += 2 * n * k * rows;
  }
  if (kernel.op() == "kernel.attention") {
    const artifact::KvCache &cache = program.kv_cache();
    double batch = static_cast<double>(step.batch), context = static_cast<double>(step.context);
    double tokens = static_cast<double>(step.tokens);
    double bytesPerToken = static_cast<double>(cache.page_bytes()) / cache.page_tokens() /
                           std::max<uint32_t>(1, model.num_layers());
    work.cacheBytes += batch * (context + tokens) * bytesPerToken;
    // Each token sees those before it and itself; a score and a sum for each.
    double seen = batch * (tokens * context + tokens * (tokens + 1) / 2);
    work.floatOperations += 4 * seen * model.num_heads() * model.head_dim();
  }
  return work;
}

const artifact::Plan *qopt::planOf(const artifact::Program &program, const StepShape &step) {
  for (artifact::Plan::Kind kind : {artifact::Plan::DECODE, artifact::Plan::MIXED})
    for (const artifact::Plan &plan : program.plans())
      if (plan.kind() == kind && (step.tokens == 1 || kind == artifact::Plan::MIXED) &&
          step.rows() <= plan.max_tokens() && step.logitRows <= plan.max_logit_rows())
        return &plan;
  return nullptr;
}

Work qopt::workOf(const artifact::Model &model, const artifact::Program &program,
                  const StepShape &step) {
  Work work;
  if (const artifact::Plan *plan = planOf(program, step))
    for (const artifact::Launch &launch : plan->launches())
      work += workOf(model, program, launch, step);
  return work;
}
