//===- qopt-translate.cpp - Prints an imported model ----------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "qopt/Frontend/Import.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <CLI/CLI.hpp>

using namespace qopt;

static int report(llvm::Error error) {
  llvm::errs() << "error: " << llvm::toString(std::move(error)) << "\n";
  return 1;
}

int main(int argc, char **argv) {
  CLI::App app("Imports a model and prints its qopt module");
  std::string hf, gguf, onnx, random, output = "-";
  uint64_t seed = 0;
  auto *source = app.add_option_group("source")->require_option(1);
  source->add_option("--import-hf", hf, "Hugging Face folder, or name in the local hub cache");
  source->add_option("--import-gguf", gguf, "GGUF file");
  source->add_option("--import-onnx", onnx, "ONNX file");
  source->add_option("--import-random", random, "config.json, folder or ready configuration");
  app.add_option("--seed", seed, "seed of --import-random");
  app.add_option("-o", output, "output file")->capture_default_str();
  bool locations = false;
  app.add_flag("--locations", locations, "print locations: the tensor or layer of each operation");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) ? 2 : 0;
  }

  mlir::MLIRContext context;
  llvm::Expected<ImportedModel> model = !hf.empty()     ? importHF(hf, context)
                                        : !gguf.empty() ? importGGUF(gguf, context)
                                        : !onnx.empty() ? importONNX(onnx, context, {})
                                                        : importRandom(random, seed, context);
  if (!model)
    return report(model.takeError());
  for (const std::string &note : model->notes)
    llvm::errs() << "note: " << note << "\n";
  std::error_code code;
  llvm::raw_fd_ostream stream(output, code);
  if (code)
    return report(llvm::createStringError(output + ": " + code.message()));
  model->module->print(stream, mlir::OpPrintingFlags().enableDebugInfo(locations));
  return 0;
}
