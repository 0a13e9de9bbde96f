//===- GemmTest.cu - Linear layers against float64 and bit for bit -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   scripts/build-gpu-tests, then on a machine with an H100 or H200:
//   GemmTest check [FORMAT]   every configuration against float64 (the bounds of
//                             docs/numerics.md), and bit for bit against the others of its layer
//
//===----------------------------------------------------------------------===//

#include "GemmReference.cuh"

//===- Configurations -----------------------------------------------------===//

/// The tile in a cluster, if the layer's channels can be cut so.
template <GemmConfig config, Kind kind> static void add_clustered(std::vector<Case> &cases) {
  if constexpr (reason_invalid(config) == nullptr)
    add<config, kind>(cases);
}

/// The tiles of a format that a test compares.
template <GemmConfig base, Kind kind> static void add_tiles(std::vector<Case> &cases) {
  constexpr bool kFragment = is_fragment(base), kWide = base.codes == Codes::bf16 || kFragment;
  constexpr int kRow = kWide ? 64 : 128; // columns of 128 bytes
  constexpr int kStage = base.group > kRow && !is_per_channel(base) ? base.group : kRow;
  if constexpr (base.codes != Codes::e4m3) {
    add<tiled(base, false, 16, 1, 4 * kStage, 4), kind>(cases);
    if constexpr (base.k % (is_per_channel(base) ? 64 : block_columns(base)) == 0) {
      add<by_rows(tiled(base, false, 16, 1, 4 * kStage, 4)), kind>(cases);
      add<by_rows(tiled(base, false, 64, 4, 2 * kStage, 3)), kind>(cases);
      add<by_rows(tiled(base, false, 32, 8, 4 * kStage, 3)), kind>(cases);
      if constexpr (base.codes == Codes::s8 || (kFragment && !is_per_channel(base)))
        add<by_rows(shared_columns(tiled(base, false, 32, 2, 8 * kStage, 3), 4)), kind>(cases);
      add<by_rows(spread(tiled(base, false, 0, 1, 2 * kStage, 3))), kind>(cases);
      constexpr GemmConfig wide =
          by_rows(shared_columns(tiled(base, false, 32, 1, 8 * kStage, 2), 8));
      if constexpr (reason_invalid(wide) == nullptr)
        add<wide, kind>(cases);
    }
    add<tiled(base, false, 32, 4, 2 * kStage, 3), kind>(cases);
    add<tiled(base, false, 16, 8, 4 * kStage, 4), kind>(cases);
    add<tiled(base, false, 32, 16, 2 * kStage, 3), kind>(cases);
    add<tiled(base, false, 64, 32, 2 * kStage, 3), kind>(cases);
    // Blocks that share a multiprocessor, with stages of a few products.
    add<tiled(base, false, 64, 16, kStage, 5), kind>(cases);
    add<tiled(base, false, 64, 32, kStage, 4), kind>(cases);
    if constexpr (!base.affine) {
      add<tiled(base, false, 64, 64, kStage, 6), kind>(cases);
      add<tiled(base, false, 128, 64, kStage, 3), kind>(cases);
    }
  }
  if constexpr (base.codes == Codes::s8 || (kFragment && !is_per_channel(base))) {
    add<shared_columns(tiled(base, false, 16, 2, 16 * kStage, 3), 4), kind>(cases);
    add<shared_columns(tiled(base, false, 16, 8, 8 * kRow, 3), 4), kind>(cases);
    add<shared_columns(tiled(base, false, 32, 16, 4 * kRow, 3), 2), kind>(cases);
    add<shared_columns(tiled(base, false, 32, 32, 2 * kStage, 3), 2), kind>(cases);
  }
  if constexpr (kFragment) {
    add<tiled(base, true, 64, 8, 2 * kStage, 4), kind>(cases);
    add<tiled(base, true, 128, 64, kStage, 4), kind>(cases);
    if constexpr (!base.affine)
      add<tiled(base, true, 128, 128, kStage, 4), kind>(cases);
    add_clustered<clustered(tiled(base, true, 64, 32, 2 * kStage, 4), 2), kind>(cases);
    if constexpr (!base.affine)
      add_clustered<clustered(tiled(base, true, 128, 128, kStage, 4), 2), kind>(cases);
  } else {
    add<tiled(base, true, 16, 8, 4 * kStage, 4), kind>(cases);
    add<spread(tiled(base, true, 0, 16, kStage, 4)), kind>(cases);
    add<tiled(base, true, 32, 16, 2 * kStage, 3), kind>(cases);
    add<tiled(base, true, 64, 32, kStage, 6), kind>(cases);
    add<tiled(base, true, 64, 64, 2 * kStage, 3), kind>(cases);
    add<tiled(base, true, 128, 128, kStage, 4), kind>(cases);
    add<tiled(base, true, 128, 192, kStage, 4), kind>(cases);
    add<tiled(base, true, 128, 256, kStage, 4), kind>(cases);
    add_clustered<clustered(tiled(base, true, 16, 16, 2 * kStage, 3), 2), kind>(cases);
    add_clustered<clustered(tiled(base, true, 64, 64, 2 * kStage, 3), 2), kind>(cases);
    add_clustered<clustered(tiled(base, true, 128, 256, kStage, 4), 2), kind>(cases);
  }
}

static std::vector<Case> test_cases() {
  using enum Codes;
  std::vector<Case> c;
  // Layers of SmolLM2, 8B, 70B and 405B (some channels of the large ones), tiny and odd.
  add_tiles<swizzled(Codes::bf16, 960, 576), Kind::plain>(c);
  add_tiles<swizzled(Codes::bf16, 4096, 4096), Kind::residual>(c);
  add_tiles<swizzled(Codes::bf16, 3072, 576, Number::f32, true), Kind::gated>(c);
  add_tiles<swizzled(Codes::bf16, 200, 72), Kind::logits>(c);
  add_tiles<swizzled(Codes::bf16, 320, 53248), Kind::residual>(c);
  add_tiles<swizzled(s8, 1536, 576, Number::f32), Kind::plain>(c);
  add_tiles<swizzled(s8, 1024, 8192, Number::bf16, true), Kind::gated>(c);
  add_tiles<swizzled(s8, 72, 208, Number::f16), Kind::residual>(c);
  add_tiles<swizzled(s8, 576, 14336, Number::f32), Kind::logits>(c);
  add_tiles<swizzled(Codes::e4m3, 1536, 576, Number::f32), Kind::plain>(c);
  add_tiles<swizzled(Codes::e4m3, 1024, 4096, Number::bf16, true), Kind::gated>(c);
  add_tiles<swizzled(Codes::e4m3, 72, 208, Number::f16), Kind::residual>(c);
  add_tiles<swizzled(Codes::e4m3, 576, 14336, Number::f32), Kind::logits>(c);
  // More units than multiprocessors, not shared out evenly.
  add_tiles<swizzled(s8, 4488, 512), Kind::residual>(c);
  add_tiles<swizzled(Codes::e4m3, 4488, 512), Kind::residual>(c);
  add_tiles<grouped(s4, 4480, 512, 128, false, Number::bf16, true), Kind::gated>(c);
  add_tiles<grouped(s4, 576, 1536, 128, false), Kind::residual>(c);
  add_tiles<grouped(s4, 1024, 4096, 128, false, Number::bf16, true), Kind::gated>(c);
  add_tiles<grouped(s4, 576, 14336, 128, false), Kind::logits>(c);
  add_tiles<grouped(s4, 960, 576, 64, false, Number::f16), Kind::plain>(c);
  add_tiles<grouped(s4, 64, 32, 32, true, Number::f32), Kind::plain>(c);
  add_tiles<grouped(s4, 200, 1096, 1096, false), Kind::residual>(c);
  add_tiles<grouped(u4, 960, 576, 32, true, Number::f16), Kind::plain>(c);
  add_tiles<grouped(u4, 320, 8192, 128, true), Kind::residual>(c);
  add_tiles<grouped(u4, 72, 320, 128, false), Kind::plain>(c);
  add_tiles<grouped(u4, 136, 576, 576, true), Kind::logits>(c);
  add_tiles<grouped(s8_grouped, 960, 576, 32, false, Number::f16), Kind::plain>(c);
  add_tiles<grouped(s8_grouped, 1024, 4096, 128, true, Number::f32, true), Kind::gated>(c);
  add_tiles<grouped(s8_grouped, 136, 576, 576, false), Kind::residual>(c);
  return c;
}

/// Ends the program if the kernel does not end: a lost arrival at an mbarrier.
static void finish(const Case &test, int rows) {
  const auto begin = std::chrono::steady_clock::now();
  while (cudaStreamQuery(nullptr) == cudaErrorNotReady)
    if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(5)) {
      std::printf("FAILED: %s %s with %d tokens hangs\n", name_of(test.config.codes),
                  tile_name(test.config).c_str(), rows);
      std::fflush(stdout);
      std::_Exit(1);
    }
  CHECK(cudaDeviceSynchronize());
}

//===- The comparison -----------------------------------------------------===//

static bool same_layer(const Case &a, const Case &b) {
  auto layer_of = [](const Case &c) {
    GemmConfig layer = by_rows(shared_columns(tiled(c.config, false, 0, 0, 0, 0), 1));
    layer.spread = false;
    layer.cluster = 1;
    return layer;
  };
  return layer_of(a) == layer_of(b) && a.kind == b.kind;
}

/// All configurations of one layer. Returns the number of failures.
static int check_layer(const std::vector<Case> &cases) {
  const GemmConfig &c = cases[0].config;
  const Kind kind = cases[0].kind;
  const bool wide = kind == Kind::logits;
  const int outputs = c.pair ? c.n / 2 : c.n, size = wide ? 4 : 2;
  const int most = c.k > 20000 ? 256 : 4096, guard = 256;
  Layer layer(c, most);
  double *sums = allocate<double>((long long)most * c.n), *result = allocate<double>(4);
  reference<<<dim3((c.n + 15) / 16, (most + 15) / 16), 256>>>(
      sums, layer.values, layer.has_token_scales() ? layer.x_scales : nullptr, layer.codes,
      layer.scales, layer.minima, c, layer.layout.fragment ? int(layer.layout.columns) : c.k,
      layer.scaled, most);
  CHECK(cudaDeviceSynchronize());
  const long long row_bytes = (long long)outputs * size;
  unsigned char *first = allocate<unsigned char>((most + guard) * row_bytes);
  unsigned char *output = allocate<unsigned char>((most + guard) * row_bytes);
  unsigned char *poison = allocate<unsigned char>((most + guard) * row_bytes);
  CHECK(cudaMemset(poison, 0xff, (most + guard) * row_bytes)); // NaN
  int failures = 0;
  double errors[2] = {};
  auto differences = [&](const void *a, const void *b, long long count) {
    unsigned long long different = 0;
    CHECK(cudaMemset(result, 0, 32));
    count_differences<<<256, 256>>>((const unsigned *)a, (const unsigned *)b, count / 4,
                                    (unsigned long long *)result);
    CHECK(cudaMemcpy(&different, result, 8, cudaMemcpyDeviceToHost));
    return different;
  };
  auto run = [&](const Case &test, int rows, unsigned char *to) {
    CHECK(cudaMemcpy(to, poison, (most + guard) * row_bytes, cudaMemcpyDeviceToDevice));
    Operands o{to,
               layer.residual,
               layer.bias,
               layer.x_scales,
               layer.image,
               layer.x,
               (long long)c.k * bytes(token_number(c)),
               rows};
    q::TensorMap map = tensor_map(test.config, layer.x, rows);
    launch(test, o, map, nullptr);
    finish(test, rows);
  };
  for (const Case &test : cases) {
    const bool is_first = &test == &cases[0];
    std::string problem;
    for (int rows : {4096, 1000, 256, 250, 128, 100, 64, 31, 16, 9, 8, 7, 2, 1}) {
      if (rows > most)
        continue;
      const bool keeps = is_first && rows == most;
      run(test, rows, keeps ? first : output);
      unsigned char *got = keeps ? first : output;
      if (rows == most) {
        double r[4];
        CHECK(cudaMemset(result, 0, 32));
        compare<<<512, 256>>>(got, sums, layer.residual, layer.bias, kind, wide, rows, outputs,
                              result);
        CHECK(cudaMemcpy(r, result, 32, cudaMemcpyDeviceToHost));
        double relative = std::sqrt(r[0] / r[1]);
        double rms = std::sqrt(r[1] / ((double)rows * outputs)), worst = r[2] / rms;
        double bound = wide && c.codes != Codes::e4m3 ? 1e-5 : 4e-3;
        errors[0] = std::max(errors[0], relative), errors[1] = std::max(errors[1], worst);
        // An element may be far larger than the root of the mean square if gated.
        if (!(relative <= bound) || !(worst <= bound * (kind == Kind::gated ? 64 : 8)))
          problem += " error " + std::to_string(relative) + " worst " + std::to_string(worst);
      }
      if (auto d = differences(got, first, rows * row_bytes))
        problem += " T=" + std::to_string(rows) + ": " + std::to_string(d) + " words differ";
      if (differences(got + rows * row_bytes, poison, guard * row_bytes))
        problem += " T=" + std::to_string(rows) + ": wrote rows past the end";
    }
    if (!problem.empty()) {
      ++failures;
      std::printf("  FAILED %-24s%s\n", tile_name(test.config).c_str(),
                  problem.substr(0, 300).c_str());
    }
  }
  std::printf("%s %-10s n %-6d k %-6d group %-5d %s%s scale %d kind %d: %zu configurations, "
              "relative error %.2e, worst %.2e of rms\n",
              failures ? "FAILED" : "ok    ", name_of(c.codes), c.n, c.k, c.group,
              c.affine ? "affine " : "", c.pair ? "pair" : "", int(c.scale), int(kind),
              cases.size(), errors[0], errors[1]);
  for (void *p : {(void *)sums, (void *)result, (void *)first, (void *)output, (void *)poison})
    CHECK(cudaFree(p));
  return failures;
}

int main(int argc, char **argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string part = argc > 1 ? argv[1] : "", format = argc > 2 ? argv[2] : "";
  if (part != "check") {
    std::printf("usage: GemmTest check [bf16|e4m3|s8|s4|u4|s8_grouped]\n");
    return 2;
  }
  std::vector<Case> all = test_cases();
  int failures = 0, layers = 0;
  for (size_t i = 0; i < all.size();) {
    size_t end = i;
    while (end < all.size() && same_layer(all[i], all[end]))
      ++end;
    if (format.empty() || format == name_of(all[i].config.codes)) {
      failures += check_layer(std::vector<Case>(all.begin() + i, all.begin() + end));
      ++layers;
    }
    i = end;
  }
  if (!layers) {
    std::printf("FAILED: no layer has weights of format '%s'\n", format.c_str());
    return 2;
  }
  std::printf("%s\n", failures ? "FAILED" : "all configurations are right");
  return failures != 0;
}
