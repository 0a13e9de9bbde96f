/*===- c_api.h - The runtime for C ------------------------------*- C -*-=====*\
|*                                                                            *|
|* Part of qopt, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|* Loads an artifact and generates text:                                      *|
|*                                                                            *|
|*   static int print(const qopt_event *event, void *user) {                  *|
|*     fwrite(event->text, 1, event->text_size, stdout);                      *|
|*     return 0;                                                              *|
|*   }                                                                        *|
|*                                                                            *|
|*   qopt_model *model;                                                       *|
|*   qopt_engine *engine;                                                     *|
|*   if (qopt_model_load("smol.qopt", NULL, &model) != QOPT_OK ||             *|
|*       qopt_engine_create(model, NULL, &engine) != QOPT_OK ||               *|
|*       qopt_generate(engine, "Gravity is", NULL, print, NULL) != QOPT_OK)   *|
|*     fprintf(stderr, "%s\n", qopt_last_error());                            *|
|*   qopt_engine_free(engine);                                                *|
|*   qopt_model_free(model);                                                  *|
|*                                                                            *|
|* Rules: all text is UTF-8. Every function may be called from any thread,    *|
|* except that an object may be freed only when no call uses it; an engine    *|
|* keeps what it needs of its model. Requests that run at the same time are   *|
|* batched. Options are set to their defaults by their _init function.        *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/
#ifndef QOPT_RUNTIME_C_API_H
#define QOPT_RUNTIME_C_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qopt_model qopt_model;
typedef struct qopt_engine qopt_engine;

/** The result of a call; also the exit codes of the commands. */
typedef enum qopt_status {
  QOPT_OK = 0,
  QOPT_INVALID_INPUT = 1, /**< a file, request or argument is wrong */
  QOPT_USAGE = 2,         /**< the call is wrong */
  QOPT_UNAVAILABLE = 3    /**< this machine can't: memory, GPU */
} qopt_status;

/** What went wrong in this thread's last call that failed; never NULL. Valid
 *  until the thread's next call that fails. */
const char *qopt_last_error(void);

/** "0.1.0" */
const char *qopt_version(void);

/*===-- Models ------------------------------------------------------------===*/

typedef struct qopt_model_options {
  size_t struct_size; /**< set by the _init function */
  uint32_t threads;   /**< 0: one for each core that the process may use */
  int pin_threads;    /**< bind threads to cores; default 1 */
  int verify;         /**< compare the hash of every section; default 0 */
  const char *device; /**< "cpu", "cuda" or "cuda:N"; NULL or "auto": a GPU if the artifact
                          has code for one and it is there, else the CPU */
} qopt_model_options;

void qopt_model_options_init(qopt_model_options *options);

/** Loads the artifact at \p path; \p options may be NULL. */
qopt_status qopt_model_load(const char *path, const qopt_model_options *options,
                            qopt_model **model);
void qopt_model_free(qopt_model *model);

uint32_t qopt_model_vocabulary_size(const qopt_model *model);
uint32_t qopt_model_max_context(const qopt_model *model); /**< tokens */

/*===-- Engines -----------------------------------------------------------===*/

typedef struct qopt_engine_options {
  size_t struct_size;
  uint32_t max_context;    /**< tokens of the longest sequence; 0: the model's */
  uint32_t max_sequences;  /**< full sequences in the KV cache; 0: 16 or what fits */
  uint64_t kv_cache_bytes; /**< size of the KV cache instead; 0: max_sequences decides */
} qopt_engine_options;

void qopt_engine_options_init(qopt_engine_options *options);
qopt_status qopt_engine_create(qopt_model *model, const qopt_engine_options *options,
                               qopt_engine **engine);
/** Requests that still run end without a call. */
void qopt_engine_free(qopt_engine *engine);

/*===-- Requests ----------------------------------------------------------===*/

typedef enum qopt_finish {
  QOPT_RUNNING = 0,
  QOPT_FINISH_STOP = 1,      /**< a stop token or a stop string */
  QOPT_FINISH_LENGTH = 2,    /**< max_tokens or the context is used up */
  QOPT_FINISH_CANCELLED = 3, /**< by qopt_engine_cancel */
  QOPT_FINISH_FAILED = 4     /**< the model's logits are no numbers */
} qopt_finish;

typedef struct qopt_generate_options {
  size_t struct_size;
  uint32_t max_tokens; /**< to generate; 0: until the context is full */
  float temperature;   /**< 0: greedy */
  uint32_t top_k;      /**< 0: all */
  float top_p;
  float min_p;
  float repetition_penalty;
  uint64_t seed;
  int logprobs;            /**< compute qopt_event.logprob */
  int ignore_eos;          /**< go on at the model's end tokens */
  const char *const *stop; /**< stop_count texts that end the generation */
  size_t stop_count;
} qopt_generate_options;

/** The defaults of \p engine's model. */
void qopt_generate_options_init(qopt_generate_options *options, const qopt_engine *engine);

/** A token and the text that it completes, or the end of a request. */
typedef struct qopt_event {
  uint64_t request;
  const char *text; /**< whole characters, text_size bytes and a 0; until the call returns */
  size_t text_size;
  int32_t token; /**< -1: an end without a token */
  double logprob;
  qopt_finish finish;
  uint32_t prompt_tokens;
  uint32_t generated_tokens;
} qopt_event;

/** Called for each token, on the thread that steps. A result other than 0 ends
 *  the request without a further call. May call submit and cancel. */
typedef int (*qopt_callback)(const qopt_event *event, void *user);

typedef struct qopt_message {
  const char *role;
  const char *content;
} qopt_message;

/** Continues \p prompt; returns when it is done. \p options may be NULL. */
qopt_status qopt_generate(qopt_engine *engine, const char *prompt,
                          const qopt_generate_options *options, qopt_callback callback, void *user);

/** Answers the last of \p count messages, with the model's chat template. */
qopt_status qopt_chat(qopt_engine *engine, const qopt_message *messages, size_t count,
                      const qopt_generate_options *options, qopt_callback callback, void *user);

/** Queues a request, which qopt_engine_step runs. \p request may be NULL. */
qopt_status qopt_engine_submit(qopt_engine *engine, const char *prompt,
                               const qopt_generate_options *options, qopt_callback callback,
                               void *user, uint64_t *request);
qopt_status qopt_engine_submit_chat(qopt_engine *engine, const qopt_message *messages, size_t count,
                                    const qopt_generate_options *options, qopt_callback callback,
                                    void *user, uint64_t *request);

/** Ends a request before the next step; nothing happens if it is over. */
void qopt_engine_cancel(qopt_engine *engine, uint64_t request);

/** Runs one step of every request; \p busy becomes 1 while any is left, else 0. */
qopt_status qopt_engine_step(qopt_engine *engine, int *busy);

/** Waits for something to do, at most \p milliseconds; returns 1 if there is. */
int qopt_engine_wait(qopt_engine *engine, uint32_t milliseconds);

#ifdef __cplusplus
}
#endif

#endif /* QOPT_RUNTIME_C_API_H */
