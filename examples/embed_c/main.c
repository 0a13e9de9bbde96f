/*===- main.c - Text from an artifact, in C ---------------------*- C -*-=====*\
|*                                                                            *|
|* Part of qopt, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|*===----------------------------------------------------------------------===*|
|*                                                                            *|
|*   embed_c MODEL.qopt "What is gravity?" ["another question" ...]           *|
|*                                                                            *|
|* Asks all questions at once, batched, and prints the answers.               *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "qopt/Runtime/c_api.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One answer as it grows. */
typedef struct answer {
  char text[4096];
  size_t size;
  uint32_t tokens;
} answer;

/* Called for each token. Returning something else than 0 would end the request. */
static int collect(const qopt_event *event, void *user) {
  answer *to = user;
  size_t room = sizeof(to->text) - to->size;
  size_t size = event->text_size < room ? event->text_size : room;
  memcpy(to->text + to->size, event->text, size);
  to->size += size;
  to->tokens = event->generated_tokens;
  return 0;
}

static int fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, qopt_last_error());
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s MODEL.qopt QUESTION...\n", argv[0]);
    return 2;
  }
  qopt_model *model = NULL;
  if (qopt_model_load(argv[1], NULL, &model) != QOPT_OK)
    return fail("can't load the model");
  qopt_engine *engine = NULL;
  if (qopt_engine_create(model, NULL, &engine) != QOPT_OK)
    return fail("can't create an engine");
  qopt_model_free(model); /* the engine keeps what it needs */

  qopt_generate_options options;
  qopt_generate_options_init(&options, engine);
  options.max_tokens = 64;
  options.temperature = 0; /* the most probable token each time */

  size_t count = (size_t)argc - 2;
  answer *answers = calloc(count, sizeof(*answers));
  if (!answers)
    return EXIT_FAILURE;
  for (size_t i = 0; i < count; ++i) {
    qopt_message message = {"user", argv[i + 2]};
    if (qopt_engine_submit_chat(engine, &message, 1, &options, collect, &answers[i], NULL) !=
        QOPT_OK)
      return fail("can't submit a question");
  }
  /* Each step advances every question by a token. */
  for (int busy = 1; busy;)
    if (qopt_engine_step(engine, &busy) != QOPT_OK)
      return fail("can't run a step");

  for (size_t i = 0; i < count; ++i) {
    printf("%s\n-> ", argv[i + 2]);
    fwrite(answers[i].text, 1, answers[i].size, stdout);
    printf("\n(%u tokens)\n", (unsigned)answers[i].tokens);
  }
  free(answers);
  qopt_engine_free(engine);
  return EXIT_SUCCESS;
}
