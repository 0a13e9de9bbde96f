//===- PackWeights.h - All weights into an artifact -------------*- C++ -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_PACKWEIGHTS_H
#define QOPT_LIB_DRIVER_PACKWEIGHTS_H

#include "BuildManifest.h"
#include "qopt/Driver/Progress.h"
#include "qopt/Frontend/Weights.h"
#include "qopt/Runtime/ArtifactWriter.h"
#include <map>
#include <string>

namespace qopt {

struct PackOptions {
  bool keep = false;    ///< the source's own integers where it has them
  unsigned threads = 0; ///< 0: as many as there are cores
};

/// The sections of images that are the same for every target, by sources, type and
/// layout: vectors and row-major matrices.
using SharedSections = std::map<std::string, artifact::Section>;

/// Writes a section for each image, in order, and says in the program where it is;
/// in the report what quantization cost. An image in `shared` is not written again;
/// those that may be shared are added to it. A few MiB for each thread are in memory at
/// once, beside the pages of the sources.
llvm::Error packWeights(const WeightImages &images, const Target &target,
                        const WeightStore &weights, const PackOptions &options, ArtifactWriter &writer,
                        artifact::Program &program, artifact::Report &report,
                        SharedSections &shared, Progress &progress);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_PACKWEIGHTS_H
