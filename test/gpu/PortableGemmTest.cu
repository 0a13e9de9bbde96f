//===- PortableGemmTest.cu - Linear layers of sm_80 and later -----*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   PortableGemmTest check   every configuration against float64 (the bounds of
//                            docs/numerics.md), and bit for bit against the others
//   PortableGemmTest time    us, GB/s and TFLOP/s of layers of Llama-3.1-8B
//
// scripts/build-gpu-tests builds it twice: as PTX of sm_80, which the driver translates for
// any newer GPU, and, with QOPT_HOPPER, for sm_90a, where the kernels of Hopper are among
// those whose bits are compared.
//
//===----------------------------------------------------------------------===//

#include "GemmReference.cuh"
#include "GpuTest.cuh"
#include "portable_gemm.cuh"

using q::PortableGemmConfig;

//===- Kernels ------------------------------------------------------------===//

template <PortableGemmConfig config, class Epilogue>
__device__ void portable(const Operands &o, const Epilogue &epilogue) {
  q::portable_gemm<config>(o.tokens, o.token_stride, o.x_scales, o.weight, epilogue, o.rows);
}

// nvcc can name a kernel by a GemmConfig, but not by a structure that has one.
template <GemmConfig base, int warp_n, int warp_t, Kind kind>
__global__ void __launch_bounds__(threads(PortableGemmConfig{base, warp_n, warp_t}), 1)
    portable_layer(Operands o) {
  constexpr PortableGemmConfig config = {base, warp_n, warp_t};
  constexpr int kStride = config.layer.pair ? config.layer.n / 2 : config.layer.n;
  if constexpr (kind == Kind::plain)
    portable<config>(o, Plain<kStride>{(q::bf16 *)o.output});
  if constexpr (kind == Kind::residual)
    portable<config>(o, Residual<kStride>{(q::bf16 *)o.output, o.residual, o.bias});
  if constexpr (kind == Kind::logits)
    portable<config>(o, Logits<kStride>{(float *)o.output});
  if constexpr (kind == Kind::gated)
    portable<config>(o, GatedUnit<kStride>{(q::bf16 *)o.output});
}

/// A kernel, and how it is launched for some rows.
struct Way {
  std::string name;
  std::function<void(const Layer &, Operands, cudaStream_t)> run;
};

template <PortableGemmConfig config, Kind kind> static Way portable_way() {
  const GemmConfig &l = config.layer;
  std::string name = "portable " + std::to_string(l.tile_n) + "x" + std::to_string(l.tile_t) +
                     " warps " + std::to_string(config.warp_n) + "x" +
                     std::to_string(config.warp_t) + " k" + std::to_string(l.k_stage) + " s" +
                     std::to_string(l.stages) + " w" + std::to_string(l.k_warps);
  return {
      name, [](const Layer &, Operands o, cudaStream_t stream) {
        const auto kernel = &portable_layer<config.layer, config.warp_n, config.warp_t, kind>;
        CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   shared_bytes(config)));
        const unsigned tiles = unsigned((o.rows + config.layer.tile_t - 1) / config.layer.tile_t);
        kernel<<<dim3(tiles, grid_y(config)), threads(config), shared_bytes(config), stream>>>(o);
        CHECK(cudaGetLastError());
      }};
}

#ifdef QOPT_HOPPER
template <GemmConfig config, Kind kind> static Way hopper_way() {
  return {"sm_90a " + tile_name(config), [](const Layer &layer_, Operands o, cudaStream_t stream) {
            const Case test{config, kind, (const void *)&layer<config, kind>};
            q::TensorMap map = tensor_map(config, layer_.x, int(o.rows));
            launch(test, o, map, stream);
          }};
}
#endif

//===- Configurations -----------------------------------------------------===//

constexpr PortableGemmConfig cut(GemmConfig layer, int tile_n, int tile_t, int warp_n, int warp_t,
                                 int k_stage, int stages) {
  return {tiled(layer, false, tile_n, tile_t, k_stage, stages), warp_n, warp_t};
}

constexpr PortableGemmConfig share(PortableGemmConfig config, int k_warps) {
  config.layer.k_warps = k_warps;
  return config;
}

/// A layer, and the ways to compute it.
struct Test {
  GemmConfig layer;
  Kind kind;
  std::vector<Way> ways;
};

template <GemmConfig base, Kind kind> static Test test_of() {
  constexpr int kRow = base.codes == Codes::s8 ? 128 : 64; // columns of 128 bytes
  constexpr int kStage =
      is_fragment(base) && !is_per_channel(base) && base.group > kRow ? base.group : kRow;
  constexpr int kWide = base.affine ? 32 : 64; // tokens of a warp
  Test test{base, kind, {}};
#ifdef QOPT_HOPPER
  test.ways.push_back(hopper_way<tiled(base, true, 64, 64, kStage, 3), kind>());
#endif
  test.ways.push_back(portable_way<cut(base, 64, 64, 32, 32, kStage, 3), kind>());
  test.ways.push_back(portable_way<cut(base, 16, 8, 16, 8, 2 * kStage, 4), kind>());
  test.ways.push_back(portable_way<cut(base, 64, 16, 16, 16, 2 * kStage, 3), kind>());
  if constexpr (base.codes == Codes::s8 || (is_fragment(base) && !is_per_channel(base))) {
    constexpr int kShared = kStage < 128 ? 256 : 4 * kStage;
    test.ways.push_back(portable_way<share(cut(base, 16, 8, 16, 8, kShared, 4), 4), kind>());
    test.ways.push_back(portable_way<share(cut(base, 32, 16, 16, 16, kShared / 2, 3), 2), kind>());
  }
  if constexpr (is_fragment(base))
    test.ways.push_back(portable_way<cut(base, 128, kWide, 32, kWide, kStage, 2), kind>());
  else
    test.ways.push_back(portable_way<cut(base, 128, 128, 64, 32, kStage, 3), kind>());
  return test;
}

static std::vector<Test> tests() {
  using enum Codes;
  std::vector<Test> t;
  t.push_back(test_of<swizzled(Codes::bf16, 4096, 4096), Kind::residual>());
  t.push_back(test_of<swizzled(Codes::bf16, 3072, 576, Number::f32, true), Kind::gated>());
  t.push_back(test_of<swizzled(Codes::bf16, 200, 72), Kind::logits>());
  t.push_back(test_of<swizzled(s8, 1024, 8192, Number::bf16, true), Kind::gated>());
  t.push_back(test_of<swizzled(s8, 72, 208, Number::f16), Kind::residual>());
  t.push_back(test_of<swizzled(s8, 576, 14336, Number::f32), Kind::logits>());
  t.push_back(test_of<grouped(s4, 576, 14336, 128, false), Kind::logits>());
  t.push_back(test_of<grouped(s4, 1024, 4096, 128, false, Number::bf16, true), Kind::gated>());
  t.push_back(test_of<grouped(s4, 960, 576, 64, false, Number::f16), Kind::plain>());
  t.push_back(test_of<grouped(s4, 200, 1096, 1096, false), Kind::residual>());
  t.push_back(test_of<grouped(u4, 960, 576, 32, true, Number::f16), Kind::plain>());
  t.push_back(test_of<grouped(u4, 320, 8192, 128, true), Kind::residual>());
  t.push_back(test_of<grouped(u4, 136, 576, 576, true), Kind::logits>());
  t.push_back(test_of<grouped(s8_grouped, 960, 576, 32, false, Number::f16), Kind::plain>());
  t.push_back(test_of<grouped(s8_grouped, 136, 576, 576, false), Kind::residual>());
  return t;
}

//===- Checks -------------------------------------------------------------===//

/// Outputs of a layer, behind them rows that nobody may write.
class Outputs {
public:
  static constexpr int kMost = 1024, kGuard = 128; // rows
  const Test &test;
  bool wide;
  int columns;
  long long row_bytes;

  explicit Outputs(const Test &test)
      : test(test), wide(test.kind == Kind::logits),
        columns(test.layer.pair ? test.layer.n / 2 : test.layer.n),
        row_bytes((long long)columns * (wide ? 4 : 2)), first(size()), output(size()),
        guard(size()), result(4) {}

  /// What is wrong with `way`'s outputs of the first `rows` tokens.
  std::string run(const Layer &layer, const Way &way, int rows, bool is_first) {
    gpu_test::Buffer<unsigned char> &to = is_first ? first : output;
    to.poison();
    way.run(layer,
            {to.get(), layer.residual, layer.bias, layer.x_scales, layer.image, layer.x,
             (long long)test.layer.k * bytes(token_number(test.layer)), rows},
            nullptr);
    CHECK(cudaDeviceSynchronize());
    std::string text;
    if (auto count = differences(to.get(), first.get(), rows * row_bytes))
      text += " T=" + std::to_string(rows) + ": " + std::to_string(count) + " words differ";
    if (differences(to.get() + rows * row_bytes, guard.get(), kGuard * row_bytes))
      text += " T=" + std::to_string(rows) + ": wrote rows past the end";
    return text;
  }

  /// Relative error of the first outputs, and the worst in root mean squares.
  std::pair<double, double> errors(const Layer &layer, const double *sums) {
    result.clear();
    compare<<<512, 256>>>(first.get(), sums, layer.residual, layer.bias, test.kind, wide, kMost,
                          columns, result.get());
    const std::vector<double> r = result.read();
    return {std::sqrt(r[0] / r[1]), r[2] / std::sqrt(r[1] / ((double)kMost * columns))};
  }

private:
  gpu_test::Buffer<unsigned char> first, output, guard;
  gpu_test::Buffer<double> result;

  size_t size() const { return (kMost + kGuard) * row_bytes; }
  unsigned long long differences(const void *a, const void *b, long long count) {
    result.clear();
    count_differences<<<256, 256>>>((const unsigned *)a, (const unsigned *)b, count / 4,
                                    (unsigned long long *)result.get());
    unsigned long long different;
    const double raw = result.read()[0];
    std::memcpy(&different, &raw, 8);
    return different;
  }
};

/// All ways of one layer.
static void check_layer(const Test &test) {
  const GemmConfig &c = test.layer;
  Layer layer(c, Outputs::kMost);
  gpu_test::Buffer<double> sums((size_t)Outputs::kMost * c.n);
  reference<<<dim3((c.n + 15) / 16, Outputs::kMost / 16), 256>>>(
      sums.get(), layer.values, layer.has_token_scales() ? layer.x_scales : nullptr, layer.codes,
      layer.scales, layer.minima, c, layer.layout.fragment ? int(layer.layout.columns) : c.k,
      layer.scaled, Outputs::kMost);
  Outputs outputs(test);
  std::string problems;
  for (const Way &way : test.ways) {
    std::string problem;
    for (int rows : {1024, 250, 128, 100, 64, 31, 16, 9, 8, 7, 2, 1})
      problem += outputs.run(layer, way, rows, &way == &test.ways[0] && rows == Outputs::kMost);
    if (!problem.empty())
      problems += "\n    " + way.name + problem.substr(0, 200);
  }
  const auto [relative, worst] = outputs.errors(layer, sums.get());
  const double bound = outputs.wide ? 1e-5 : 4e-3;
  if (!(relative <= bound) || !(worst <= bound * (test.kind == Kind::gated ? 64 : 8)))
    problems += " error " + std::to_string(relative);
  char text[200];
  std::snprintf(text, sizeof text,
                "%-10s n %-6d k %-6d group %-5d%s%s: %zu ways, relative error %.2e, worst %.2e",
                name_of(c.codes), c.n, c.k, c.group, c.affine ? " affine" : "",
                c.pair ? " pair" : "", test.ways.size(), relative, worst);
  gpu_test::report(problems.empty(), text + problems);
}

//===- Times --------------------------------------------------------------===//

/// Of `rows` tokens, over weights that together do not fit the cache.
static void time_layer(const Test &test, size_t way, int rows) {
  const GemmConfig &c = test.layer;
  Layer layer(c, rows);
  const int copies = int(std::clamp(300000000 / image_bytes(c), 1ll, 16ll));
  gpu_test::Buffer<unsigned char> images(copies * image_bytes(c));
  for (int i = 0; i < copies; ++i)
    CHECK(cudaMemcpy(images.get() + i * image_bytes(c), layer.image, image_bytes(c),
                     cudaMemcpyDeviceToDevice));
  gpu_test::Buffer<unsigned char> output((size_t)rows * c.n * 4);
  const double us = gpu_test::microseconds(2 * copies, [&](int i, cudaStream_t stream) {
    test.ways[way].run(layer,
                       {output.get(), layer.residual, layer.bias, layer.x_scales,
                        images.get() + i % copies * image_bytes(c), layer.x,
                        (long long)c.k * bytes(token_number(c)), rows},
                       stream);
  });
  std::printf("%-10s n %-6d k %-6d %4d tokens, %-40s %8.2f us, %5.0f GB/s, %4.0f TFLOP/s\n",
              name_of(c.codes), c.n, c.k, rows, test.ways[way].name.c_str(), us,
              image_bytes(c) / us / 1e3, 2.0 * c.n * c.k * rows / us / 1e6);
}

template <GemmConfig base, Kind kind> static void time_shape() {
  constexpr int kRow = base.codes == Codes::s8 ? 128 : 64;
  constexpr int kStage = is_fragment(base) ? base.group : kRow;
  Test few{base, kind, {}}, some{base, kind, {}}, many{base, kind, {}};
  few.ways.push_back(portable_way<cut(base, 16, 8, 16, 8, 256, 6), kind>());
  few.ways.push_back(portable_way<cut(base, 32, 8, 16, 8, 256, 4), kind>());
  few.ways.push_back(portable_way<cut(base, 64, 8, 16, 8, 128, 4), kind>());
  if constexpr (base.codes != Codes::bf16) {
    few.ways.push_back(portable_way<share(cut(base, 16, 8, 16, 8, 512, 5), 4), kind>());
    few.ways.push_back(portable_way<share(cut(base, 32, 8, 16, 8, 512, 4), 4), kind>());
    few.ways.push_back(portable_way<share(cut(base, 32, 8, 16, 8, 256, 4), 2), kind>());
  }
  some.ways.push_back(portable_way<cut(base, 64, 64, 32, 32, kStage, 3), kind>());
  some.ways.push_back(portable_way<cut(base, 32, 64, 16, 32, kStage, 4), kind>());
  many.ways.push_back(portable_way<cut(base, 64, 64, 32, 32, kStage, 3), kind>());
  many.ways.push_back(
      portable_way<cut(base, 128, 128, 32, 64, kStage, is_fragment(base) ? 2 : 3), kind>());
  if constexpr (is_fragment(base))
    many.ways.push_back(portable_way<cut(base, 128, 64, 32, 64, kStage, 3), kind>());
  else
    many.ways.push_back(portable_way<cut(base, 128, 128, 64, 32, kStage, 3), kind>());
  for (size_t way = 0; way < few.ways.size(); ++way)
    time_layer(few, way, 1);
  for (size_t way = 0; way < some.ways.size(); ++way)
    time_layer(some, way, 64);
  for (size_t way = 0; way < many.ways.size(); ++way)
    time_layer(many, way, 4096);
}

static int time() {
  std::printf("read ceiling %.0f GB/s\n", gpu_test::readCeiling() / 1e9);
  time_shape<swizzled(Codes::bf16, 4096, 4096), Kind::residual>();
  time_shape<swizzled(Codes::s8, 4096, 4096), Kind::residual>();
  time_shape<grouped(Codes::s4, 4096, 4096, 128, false), Kind::residual>();
  return 0;
}

int main(int count, char **arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  if (what == "time")
    return time();
  if (what != "check") {
    std::printf("usage: PortableGemmTest check|time\n");
    return 2;
  }
  for (const Test &test : tests())
    check_layer(test);
  std::printf("%d failures\n", gpu_test::failures);
  return gpu_test::failures != 0;
}
