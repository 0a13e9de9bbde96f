//===- SampleTest.cu - Sampling against the runtime's sampler --*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   SampleTest check   the token and log-probability of lib/Runtime/Engine/Sampler.cpp
//                      from the same logits, with every parameter alone and together
//   SampleTest time    us of a step's rows over the vocabulary of Llama-3.1
//
//===----------------------------------------------------------------------===//

#include "../../lib/Runtime/Engine/Sampler.cpp"
#include "GpuTest.cuh"
#include "sample.cuh"

using namespace gpu_test;
namespace q = qopt::cuda;

constexpr int threadsOf(int blocks) { return q::sample_threads({1, 1, blocks}); }

template <int vocabulary, int stride, int blocks>
__global__ void __cluster_dims__(1, 1, blocks) __launch_bounds__(threadsOf(blocks), 1)
    sampleKernel(const float *logits, const q::SamplingRow *rows, int *tokens, float *logprobs,
                 long long count) {
  q::sample<q::SampleConfig{vocabulary, stride, blocks}>(logits, rows, tokens, logprobs, count);
}

template <int vocabulary, int stride, int blocks>
static void launchSample(const float *logits, const q::SamplingRow *rows, int *tokens,
                         float *logprobs, long long count, cudaStream_t stream = nullptr) {
  constexpr q::SampleConfig config = {vocabulary, stride, blocks};
  launchDependent(sampleKernel<vocabulary, stride, blocks>, dim3(unsigned(count), 1, blocks),
                  q::sample_threads(config), q::sample_shared_bytes(config), stream, logits, rows,
                  tokens, logprobs, count);
}

static q::SamplingRow rowOf(const qopt::SamplingParams &p, const int *history, int length,
                            unsigned long long position) {
  return {p.temperature, p.topP,   p.minP, p.repetitionPenalty, p.topK, length, history,
          p.seed,        position, true,   p.logprobs};
}

/// A row's logits and parameters.
struct Case {
  qopt::SamplingParams params;
  std::vector<int> history;
  unsigned long long position;
};

enum class Logits { smooth, ties, holes };

static float logitOf(Logits kind, int row, int token) {
  float x = 3.0f * randomNormal(31 + int(kind), (unsigned long long)(row) << 20 | token);
  if (kind == Logits::ties)
    x = std::round(x * 4) / 4;
  if (kind == Logits::holes && token % 3 == 0)
    x = token % 2 ? NAN : -INFINITY;
  return x;
}

/// Half a unit in the last place of a float32.
static double roundingOf(double value) { return std::ldexp(std::fabs(value), -24); }

template <int vocabulary, int blocks>
static void compare(const char *name, Logits kind, const std::vector<Case> &cases) {
  constexpr int stride = vocabulary + 64;
  size_t rows = cases.size();
  std::vector<float> logits(rows * stride, NAN);
  std::vector<int> history = {-5}; // of nobody
  for (size_t r = 0; r < rows; ++r) {
    for (int token = 0; token < vocabulary; ++token)
      logits[r * stride + token] = logitOf(kind, int(r % 7), token);
    history.insert(history.end(), cases[r].history.begin(), cases[r].history.end());
  }
  Buffer<int> deviceHistory(history), tokens(rows);
  std::vector<q::SamplingRow> parameters;
  const int *next = deviceHistory.get() + 1;
  for (const Case &c : cases) {
    parameters.push_back(rowOf(c.params, next, int(c.history.size()), c.position));
    next += c.history.size();
  }
  Buffer<float> deviceLogits(logits);
  Buffer<q::SamplingRow> deviceRows(parameters);
  Buffer<float> logprobs(rows);
  launchSample<vocabulary, stride, blocks>(deviceLogits.get(), deviceRows.get(), tokens.get(),
                                           logprobs.get(), (long long)rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  auto out = tokens.read();
  auto outLogprobs = logprobs.read();

  qopt::Sampler sampler;
  int different = 0;
  double worst = 0;
  for (size_t r = 0; r < rows; ++r) {
    auto expected = sampler.sample({logits.data() + r * stride, size_t(vocabulary)},
                                   cases[r].params, cases[r].history, cases[r].position);
    int token = expected ? expected->token : -1;
    different += out[r] != token;
    if (!expected || out[r] != token)
      continue;
    // Both are computed in float64; the kernel's is rounded to float32.
    double error = std::fabs(outLogprobs[r] - expected->logprob) - roundingOf(expected->logprob);
    if (!(error <= worst))
      worst = error;
  }
  char line[160];
  std::snprintf(line, sizeof line,
                "%s of %d by %d blocks: %d of %zu tokens differ, log-probability within %.1e", name,
                vocabulary, blocks, different, rows, worst);
  report(different == 0 && worst < 1e-9, line);
}

template <class Change> static std::vector<Case> casesWith(Change &&change, int count = 96) {
  std::vector<Case> cases(count);
  for (int i = 0; i < count; ++i) {
    cases[i].params.seed = randomBits(41, i);
    cases[i].params.logprobs = true;
    cases[i].position = i < 8 ? i : randomBits(42, i) >> (i % 40);
    cases[i].params.temperature = 0.5f + 0.25f * (i % 5);
    change(cases[i], i);
  }
  return cases;
}

template <int vocabulary, int blocks> static void checkVocabulary(Logits kind, const char *logits) {
  auto compareWith = [&](const char *name, auto &&change) {
    compare<vocabulary, blocks>((std::string(logits) + ", " + name).c_str(), kind,
                                casesWith(change));
  };
  compareWith("greedy", [](Case &c, int) { c.params.temperature = 0; });
  compareWith("temperature", [](Case &, int) {});
  compareWith("low and high temperature",
              [](Case &c, int i) { c.params.temperature = i % 2 ? 0.01f : 50.0f; });
  compareWith("top-k", [](Case &c, int i) { c.params.topK = i % 3 ? 1 + i : 1000 * i + 1; });
  compareWith("top-p", [](Case &c, int i) { c.params.topP = 0.05f + 0.01f * (i % 95); });
  compareWith("min-p", [](Case &c, int i) { c.params.minP = i % 2 ? 0.002f * i : 1.0f; });
  compareWith("penalty", [](Case &c, int i) {
    c.params.temperature = i % 2 ? 0 : 1;
    c.params.repetitionPenalty = i % 3 ? 1.5f : 0.5f;
    for (int k = 0; k < 40 * i; ++k)
      c.history.push_back(int(randomBits(43, 4000 * i + k) % vocabulary));
    c.history.push_back(vocabulary); // not a token
    c.history.push_back(-1);
  });
  compareWith("all together", [](Case &c, int i) {
    c.params.topK = i % 8 ? 20 + i : 0;
    c.params.topP = i % 16 ? 0.9f : 1;
    c.params.minP = 0.01f;
    c.params.repetitionPenalty = 1.1f;
    for (int k = 0; k < 50; ++k)
      c.history.push_back(int(randomBits(44, 50 * i + k) % vocabulary));
  });
}

static int check() {
  constexpr int blocks = q::sample_blocks;
  checkVocabulary<1000, blocks>(Logits::smooth, "random logits");
  checkVocabulary<1000, blocks>(Logits::ties, "logits with ties");
  checkVocabulary<49152, blocks>(Logits::ties, "logits with ties");
  checkVocabulary<49153, blocks>(Logits::holes, "logits with NaN and -inf");
  checkVocabulary<128256, blocks>(Logits::smooth, "random logits");
  checkVocabulary<1000, 1>(Logits::smooth, "random logits");
  checkVocabulary<49153, 1>(Logits::holes, "logits with NaN and -inf");

  // Nothing but NaN.
  std::vector<float> logits(1000, NAN);
  logits.resize(2000, 1.0f);
  std::vector<q::SamplingRow> rows(2, rowOf({}, nullptr, 0, 0));
  rows[1].is_used = false;
  Buffer<float> deviceLogits(logits);
  Buffer<q::SamplingRow> deviceRows(rows);
  Buffer<int> token(std::vector<int>{-7, -7});
  launchSample<1000, 1000, blocks>(deviceLogits.get(), deviceRows.get(), token.get(), nullptr, 2);
  CHECK_CUDA(cudaDeviceSynchronize());
  report(token.read()[0] == -1, "no token where every logit is a NaN");
  report(token.read()[1] == -7, "nothing is written for a row that is nobody's");
  std::printf("%d failures\n", failures);
  return failures != 0;
}

static int time() {
  constexpr int vocabulary = 128256;
  for (int rows : {1, 64, 256}) {
    std::vector<float> logits(size_t(rows) * vocabulary);
    for (size_t i = 0; i < logits.size(); ++i)
      logits[i] = 3.0f * randomNormal(51, i);
    Buffer<float> deviceLogits(logits);
    Buffer<int> tokens(rows);
    auto timeWith = [&](const char *name, float temperature, unsigned topK, float topP) {
      qopt::SamplingParams params{
          .temperature = temperature, .topK = topK, .topP = topP, .seed = 1};
      q::SamplingRow row = rowOf(params, nullptr, 0, 2);
      Buffer<q::SamplingRow> deviceRows(std::vector<q::SamplingRow>(rows, row));
      double us = microseconds(10, [&](int, cudaStream_t stream) {
        launchSample<vocabulary, vocabulary, q::sample_blocks>(deviceLogits.get(), deviceRows.get(),
                                                               tokens.get(), nullptr, rows, stream);
      });
      double bytes = 4.0 * rows * vocabulary; // read once where the choice is greedy
      std::printf("sample %3d rows of %d, %s: %.1f us, %.0f GB/s of one read\n", rows, vocabulary,
                  name, us, bytes / us * 1e-3);
    };
    timeWith("greedy", 0, 0, 1);
    timeWith("temperature", 1, 0, 1);
    timeWith("top-k 50", 1, 50, 1);
    timeWith("top-k 40, top-p 0.95", 1, 40, 0.95f);
    timeWith("top-p 0.9", 1, 0, 0.9f);
  }
  return 0;
}

int main(int count, char **arguments) {
  if (count == 2 && std::string(arguments[1]) == "check")
    return check();
  if (count == 2 && std::string(arguments[1]) == "time")
    return time();
  std::printf("usage: SampleTest check|time\n");
  return 2;
}
