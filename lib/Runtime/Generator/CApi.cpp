//===- CApi.cpp - The runtime for C ---------------------------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Runtime/Generator.h"
#include "qopt/Runtime/c_api.h"
#include <algorithm>
#include <cstring>
#include <exception>

using namespace qopt;

struct qopt_model {
  Model model;
};

struct qopt_engine {
  Generator generator;
};

namespace {

thread_local std::string lastError;

qopt_status report(const Status &status) {
  if (!status)
    lastError = status.message();
  return static_cast<qopt_status>(status.code());
}

/// Runs \p body, which returns a Status; no exception leaves the library.
template <typename Body> qopt_status guarded(Body body) {
  try {
    return report(body());
  } catch (const std::exception &exception) {
    return report(Status::unavailable(exception.what()));
  }
}

/// The caller's options as this version knows them: an older caller's struct is
/// shorter and keeps the defaults of what it lacks.
template <typename Options> Options read(const Options *options, Options defaults) {
  if (options)
    std::memcpy(&defaults, options, std::min(options->struct_size, sizeof(Options)));
  return defaults;
}

Status missing(const char *what) { return Status::usage(std::string(what) + " is NULL"); }

/// Runs \p body on the engine's generator.
template <typename Body> qopt_status withGenerator(qopt_engine *engine, Body body) {
  return guarded([&] { return engine ? body(engine->generator) : missing("engine"); });
}

qopt_generate_options defaultsOf(const Generator &generator) {
  GenerateOptions model = generator.defaults();
  qopt_generate_options options = {};
  options.struct_size = sizeof(options);
  options.temperature = model.sampling.temperature;
  options.top_k = model.sampling.topK;
  options.top_p = model.sampling.topP;
  options.min_p = model.sampling.minP;
  options.repetition_penalty = model.sampling.repetitionPenalty;
  return options;
}

Result<GenerateOptions> convert(const Generator &generator, const qopt_generate_options *given) {
  qopt_generate_options from = read(given, defaultsOf(generator));
  GenerateOptions to;
  to.maxTokens = from.max_tokens;
  to.sampling = {from.temperature,        from.top_k, from.top_p,        from.min_p,
                 from.repetition_penalty, from.seed,  from.logprobs != 0};
  to.stopAtEos = !from.ignore_eos;
  if (from.stop_count && !from.stop)
    return missing("stop");
  for (size_t i = 0; i < from.stop_count; ++i) {
    if (!from.stop[i])
      return missing("a stop string");
    to.stop.push_back(from.stop[i]);
  }
  return to;
}

qopt_finish convert(FinishReason reason) {
  switch (reason) {
  case FinishReason::none:
    return QOPT_RUNNING;
  case FinishReason::stopToken:
  case FinishReason::stopString:
    return QOPT_FINISH_STOP;
  case FinishReason::length:
    return QOPT_FINISH_LENGTH;
  case FinishReason::cancelled:
    return QOPT_FINISH_CANCELLED;
  case FinishReason::failed:
    break;
  }
  return QOPT_FINISH_FAILED;
}

TextCallback convert(qopt_callback callback, void *user) {
  if (!callback)
    return {};
  return [=](const TextEvent &event) {
    qopt_event converted = {event.request,      event.text.c_str(),   event.text.size(),
                            event.token,        event.logprob,        convert(event.finish),
                            event.promptTokens, event.generatedTokens};
    return callback(&converted, user) == 0;
  };
}

Result<std::vector<int32_t>> encode(const Generator &generator, const char *prompt) {
  if (!prompt)
    return missing("prompt");
  return generator.encode(prompt);
}

Result<std::vector<int32_t>> encode(const Generator &generator, const qopt_message *messages,
                                    size_t count) {
  if (!messages)
    return missing("messages");
  std::vector<ChatMessage> converted;
  for (size_t i = 0; i < count; ++i) {
    if (!messages[i].role || !messages[i].content)
      return missing("a message's role or content");
    converted.push_back({messages[i].role, messages[i].content});
  }
  return generator.encode(converted);
}

Status generate(Generator &generator, Result<std::vector<int32_t>> tokens,
                const qopt_generate_options *options, qopt_callback callback, void *user) {
  if (!tokens)
    return tokens.status();
  Result<GenerateOptions> converted = convert(generator, options);
  if (!converted)
    return converted.status();
  return generator.generate(std::move(*tokens), *converted, convert(callback, user)).status();
}

Status submit(Generator &generator, Result<std::vector<int32_t>> tokens,
              const qopt_generate_options *options, qopt_callback callback, void *user,
              uint64_t *request) {
  if (!tokens)
    return tokens.status();
  Result<GenerateOptions> converted = convert(generator, options);
  if (!converted)
    return converted.status();
  Result<RequestId> id = generator.submit(std::move(*tokens), *converted, convert(callback, user));
  if (id && request)
    *request = *id;
  return id.status();
}

} // namespace

const char *qopt_last_error(void) { return lastError.c_str(); }
const char *qopt_version(void) { return QOPT_VERSION; }

void qopt_model_options_init(qopt_model_options *options) {
  *options = {sizeof(*options), 0, 1, 0, nullptr};
}

qopt_status qopt_model_load(const char *path, const qopt_model_options *options,
                            qopt_model **model) {
  return guarded([&]() -> Status {
    if (!path || !model)
      return missing(path ? "model" : "path");
    *model = nullptr;
    qopt_model_options from;
    qopt_model_options_init(&from);
    from = read(options, from);
    Result<Model> loaded = Model::load(path, {.device = from.device ? from.device : "auto",
                                              .threads = from.threads,
                                              .pinThreads = from.pin_threads != 0,
                                              .verify = from.verify != 0});
    if (loaded)
      *model = new qopt_model{std::move(*loaded)};
    return loaded.status();
  });
}

void qopt_model_free(qopt_model *model) { delete model; }

uint32_t qopt_model_vocabulary_size(const qopt_model *model) {
  return model->model.vocabularySize();
}

uint32_t qopt_model_max_context(const qopt_model *model) { return model->model.maxContext(); }

void qopt_engine_options_init(qopt_engine_options *options) {
  *options = {sizeof(*options), 0, 0, 0};
}

qopt_status qopt_engine_create(qopt_model *model, const qopt_engine_options *options,
                               qopt_engine **engine) {
  return guarded([&]() -> Status {
    if (!model || !engine)
      return missing(model ? "engine" : "model");
    *engine = nullptr;
    qopt_engine_options from;
    qopt_engine_options_init(&from);
    from = read(options, from);
    EngineOptions to;
    to.executor = {from.max_context, from.max_sequences, from.kv_cache_bytes};
    Result<Generator> generator = Generator::create(model->model, to);
    if (generator)
      *engine = new qopt_engine{std::move(*generator)};
    return generator.status();
  });
}

void qopt_engine_free(qopt_engine *engine) { delete engine; }

void qopt_generate_options_init(qopt_generate_options *options, const qopt_engine *engine) {
  *options = defaultsOf(engine->generator);
}

qopt_status qopt_generate(qopt_engine *engine, const char *prompt,
                          const qopt_generate_options *options, qopt_callback callback,
                          void *user) {
  return withGenerator(engine, [&](Generator &generator) {
    return generate(generator, encode(generator, prompt), options, callback, user);
  });
}

qopt_status qopt_chat(qopt_engine *engine, const qopt_message *messages, size_t count,
                      const qopt_generate_options *options, qopt_callback callback, void *user) {
  return withGenerator(engine, [&](Generator &generator) {
    return generate(generator, encode(generator, messages, count), options, callback, user);
  });
}

qopt_status qopt_engine_submit(qopt_engine *engine, const char *prompt,
                               const qopt_generate_options *options, qopt_callback callback,
                               void *user, uint64_t *request) {
  return withGenerator(engine, [&](Generator &generator) {
    return submit(generator, encode(generator, prompt), options, callback, user, request);
  });
}

qopt_status qopt_engine_submit_chat(qopt_engine *engine, const qopt_message *messages, size_t count,
                                    const qopt_generate_options *options, qopt_callback callback,
                                    void *user, uint64_t *request) {
  return withGenerator(engine, [&](Generator &generator) {
    return submit(generator, encode(generator, messages, count), options, callback, user, request);
  });
}

void qopt_engine_cancel(qopt_engine *engine, uint64_t request) {
  withGenerator(engine, [&](Generator &generator) {
    generator.cancel(request);
    return Status::ok();
  });
}

qopt_status qopt_engine_step(qopt_engine *engine, int *busy) {
  return withGenerator(engine, [&](Generator &generator) {
    Result<bool> more = generator.step();
    if (more && busy)
      *busy = *more;
    return more.status();
  });
}

int qopt_engine_wait(qopt_engine *engine, uint32_t milliseconds) {
  return engine->generator.wait(std::chrono::milliseconds(milliseconds));
}
