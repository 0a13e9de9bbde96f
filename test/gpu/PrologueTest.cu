//===- PrologueTest.cu - Linear layers that make their tokens -----*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   scripts/build-gpu-tests, then on a machine with an H100 or H200:
//   PrologueTest check           layers with a prologue bit for bit against norm.cuh's kernels
//                                and a layer that reads what they wrote
//   PrologueTest time [FORMAT]   us of both, for few tokens and the layers of Llama-3.1-8B
//   PrologueTest chain [FORMAT]  us of the four layers of a step behind each other
//
//===----------------------------------------------------------------------===//

#include "GemmLayer.cuh"
#include "GemmTimer.cuh"
#include "norm.cuh"

using q::Prologue;
constexpr float kEps = 1e-5f;

constexpr GemmConfig with(GemmConfig c, Prologue prologue) {
  c.prologue = prologue;
  c.row_copies = false;
  return c;
}

struct Norm {
  static constexpr float eps = kEps;
  const q::bf16 *weight;
};

template <GemmConfig config, Kind kind>
__global__ void __launch_bounds__(threads(config), 1)
    fused_layer(Operands o, const q::bf16 *norm_weight) {
  constexpr int kStride = config.pair ? config.n / 2 : config.n;
  const Norm norm{norm_weight};
  const auto *x = (const q::bf16 *)o.tokens;
  if constexpr (kind == Kind::gated)
    q::gemm_of_rows<config>(x, o.token_stride, norm, o.weight,
                            GatedUnit<kStride>{(q::bf16 *)o.output}, o.rows);
  else
    q::gemm_of_rows<config>(x, o.token_stride, norm, o.weight,
                            Residual<kStride>{(q::bf16 *)o.output, o.residual, o.bias}, o.rows);
}

/// The kernels of norm.cuh by the type of the tokens; `scales` of codes.
__host__ __device__ constexpr q::NormConfig norm_config(int columns) {
  return {columns, columns, columns, kEps};
}
template <int columns, Prologue prologue, Number number>
__global__ void __launch_bounds__(q::row_threads(columns))
    make_rows(const q::bf16 *input, const q::bf16 *weight, void *tokens, float *scales, int rows) {
  using Code = typename q::TokenCode<number>::Type;
  if constexpr (number == Number::bf16)
    q::rms_norm<norm_config(columns)>(input, weight, (q::bf16 *)tokens, rows);
  else if constexpr (prologue == Prologue::norm)
    q::rms_norm_quantized<norm_config(columns)>(input, weight, (Code *)tokens, scales, rows);
  else
    q::quantize<q::RowConfig{columns, columns, columns}>(input, (Code *)tokens, scales, rows);
}

/// Rows whose sizes differ; row 3 is zero, row 5 has a NaN, row 6 tiny and row 7 huge elements.
__global__ void make_input(q::bf16 *input, int rows, int k) {
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < (long long)rows * k;
       i += gridDim.x * 256ll) {
    const int row = i / k % 8;
    float v = (uniform(11, i) + 0.2f) * (row + 1);
    v = row == 3 ? 0 : row == 6 ? v * 0x1p-100f : row == 7 ? v * 0x1p100f : v;
    if (row == 5 && i % k == k / 3)
      v = __int_as_float(0x7fffffff);
    input[i] = q::to_bf16(v);
  }
}
__global__ void make_norm_weight(q::bf16 *weight, int k) {
  for (int i = blockIdx.x * 256 + threadIdx.x; i < k; i += gridDim.x * 256)
    weight[i] = q::to_bf16(1.0f + 0.5f * uniform(12, i));
}

/// A launch that may start before its predecessor ends, as the runtime's.
static void launch_kernel(const void *kernel, dim3 grid, int threads, int shared, void **arguments,
                          cudaStream_t stream) {
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
  cudaLaunchAttribute dependent{};
  dependent.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  dependent.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid, config.blockDim = dim3(threads), config.dynamicSmemBytes = shared;
  config.stream = stream, config.attrs = &dependent, config.numAttrs = 1;
  CHECK(cudaLaunchKernelExC(&config, kernel, arguments));
}

template <GemmConfig config, Kind kind> static const void *plain_kernel() {
  return (const void *)&layer<config, kind>;
}

/// A layer with random weights, bf16 rows and a norm before it.
struct NormedLayer {
  static constexpr int kRows = 16;
  Layer layer;
  q::bf16 *input, *norm_weight;
  void *tokens;
  float *scales;

  explicit NormedLayer(const GemmConfig &c)
      : layer(c, kRows), input(allocate<q::bf16>(kRows * (long long)c.k)),
        norm_weight(allocate<q::bf16>(c.k)), tokens(allocate<q::bf16>(kRows * (long long)c.k)),
        scales(allocate<float>(kRows)) {
    make_input<<<64, 256>>>(input, kRows, c.k);
    make_norm_weight<<<64, 256>>>(norm_weight, c.k);
    CHECK(cudaDeviceSynchronize());
  }
  NormedLayer(const NormedLayer &) = delete;
  ~NormedLayer() {
    for (void *p : {(void *)input, (void *)norm_weight, tokens, (void *)scales})
      CHECK(cudaFree(p));
  }
  Operands operands(void *output, const void *image, int rows) const {
    return {output, layer.residual, layer.bias, scales, image, nullptr, 0, rows};
  }
  template <Prologue prologue, int columns, Number number>
  void make(int rows, cudaStream_t stream) {
    void *arguments[] = {&input, &norm_weight, &tokens, &scales, &rows};
    launch_kernel((const void *)&make_rows<columns, prologue, number>, dim3(rows),
                  q::row_threads(columns), 0, arguments, stream);
  }
  template <GemmConfig config, Kind kind>
  void run_fused(void *output, const void *image, int rows, cudaStream_t stream) {
    Operands o = operands(output, image, rows);
    o.tokens = input, o.token_stride = config.k * 2;
    void *arguments[] = {&o, &norm_weight};
    launch_kernel((const void *)&fused_layer<config, kind>,
                  dim3((rows + config.tile_t - 1) / config.tile_t, grid_y(config)), threads(config),
                  shared_bytes(config), arguments, stream);
  }
  template <GemmConfig config, Kind kind>
  void run_plain(void *output, const void *image, int rows, cudaStream_t stream) {
    Operands o = operands(output, image, rows);
    o.tokens = tokens, o.token_stride = config.k * bytes(token_number(config));
    q::TensorMap map = tensor_map(config, tokens, rows);
    launch({config, kind, plain_kernel<config, kind>()}, o, map, stream);
  }
};

//===- Bits ---------------------------------------------------------------===//

static int failures = 0;

static long long differences(const std::vector<unsigned short> &a,
                             const std::vector<unsigned short> &b) {
  long long different = 0;
  for (size_t i = 0; i < a.size(); ++i)
    different += a[i] != b[i];
  return different;
}

static std::string describe(const GemmConfig &c) {
  return std::string(name_of(c.codes)) + " n " + std::to_string(c.n) + " k " + std::to_string(c.k) +
         (c.prologue == Prologue::norm ? " norm, " : " quantize, ") + tile_name(c);
}

/// Every number of rows up to two tiles, poisoned outputs, one row that must stay poisoned.
template <GemmConfig plain, GemmConfig fused, Kind kind> static void check_pair(NormedLayer &l) {
  static_assert(reason_invalid(fused) == nullptr);
  const int outputs = fused.pair ? fused.n / 2 : fused.n;
  const size_t count = size_t(NormedLayer::kRows + 1) * outputs;
  auto *output = allocate<unsigned short>(count);
  auto run = [&](auto &&call) {
    std::vector<unsigned short> got(count);
    CHECK(cudaMemset(output, 0xff, count * 2));
    call();
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(got.data(), output, count * 2, cudaMemcpyDeviceToHost));
    return got;
  };
  std::string problem;
  for (int rows : {1, 2, 3, 4, 5, 7, 8, 9, 16}) {
    const auto want = run([&] {
      l.make<fused.prologue, fused.k, token_number(fused)>(rows, nullptr);
      l.run_plain<plain, kind>(output, l.layer.image, rows, nullptr);
    });
    const auto got = run([&] { l.run_fused<fused, kind>(output, l.layer.image, rows, nullptr); });
    if (auto d = differences(want, got))
      problem += " T=" + std::to_string(rows) + ": " + std::to_string(d) + " differ";
  }
  failures += !problem.empty();
  std::printf("%s %s%s\n", problem.empty() ? "ok    " : "FAILED", describe(fused).c_str(),
              problem.substr(0, 200).c_str());
  CHECK(cudaFree(output));
}

/// Layers of a format with k columns: all numbers of tokens, few and many strips for a warp.
template <GemmConfig base, Prologue prologue, Kind kind> static void check_layer() {
  constexpr bool kWgmma = base.codes == Codes::e4m3, kFragment = is_fragment(base);
  constexpr int kRow = box_columns(base);
  constexpr int kStage =
      kFragment && base.group > kRow && !is_per_channel(base) ? base.group : kRow;
  constexpr GemmConfig plain = tiled(base, kWgmma, 16, 8, 4 * kStage, 3);
  NormedLayer l(base);
  check_pair<plain, with(tiled(base, kWgmma, 16, 1, 4 * kStage, 3), prologue), kind>(l);
  check_pair<plain, with(tiled(base, kWgmma, 32, 2, 2 * kStage, 4), prologue), kind>(l);
  check_pair<plain, with(tiled(base, kWgmma, 64, 4, kStage, 4), prologue), kind>(l);
  check_pair<plain, with(tiled(base, kWgmma, 128, 8, kStage, 2), prologue), kind>(l);
  check_pair<plain, with(spread(tiled(base, kWgmma, 0, 1, kStage, 4)), prologue), kind>(l);
  if constexpr (base.codes == Codes::s8 || (kFragment && !is_per_channel(base))) {
    constexpr int kWide = kFragment && base.group < 64 ? 64 : kStage;
    check_pair<plain, with(shared_columns(tiled(base, false, 32, 1, 8 * kWide, 3), 4), prologue),
               kind>(l);
    check_pair<plain,
               with(shared_columns(spread(tiled(base, false, 0, 2, 4 * kWide, 3)), 2), prologue),
               kind>(l);
    constexpr GemmConfig wide = shared_columns(tiled(base, false, 16, 1, 8 * kWide, 2), 8);
    if constexpr (reason_invalid(with(wide, prologue)) == nullptr)
      check_pair<plain, with(wide, prologue), kind>(l);
  }
}

static int check() {
  using enum Codes;
  check_layer<swizzled(Codes::bf16, 200, 4096), Prologue::norm, Kind::residual>();
  check_layer<swizzled(Codes::bf16, 1536, 576, Number::f32, true), Prologue::norm, Kind::gated>();
  check_layer<swizzled(Codes::bf16, 136, 72), Prologue::norm, Kind::residual>();
  check_layer<swizzled(s8, 576, 4096, Number::bf16), Prologue::norm, Kind::residual>();
  check_layer<swizzled(s8, 1536, 576, Number::f32, true), Prologue::norm, Kind::gated>();
  check_layer<swizzled(s8, 320, 14336), Prologue::quantize, Kind::residual>();
  check_layer<swizzled(s8, 72, 208), Prologue::quantize, Kind::residual>();
  check_layer<swizzled(Codes::e4m3, 576, 4096, Number::bf16), Prologue::norm, Kind::residual>();
  check_layer<swizzled(Codes::e4m3, 1536, 576, Number::f32, true), Prologue::norm, Kind::gated>();
  check_layer<swizzled(Codes::e4m3, 320, 14336), Prologue::quantize, Kind::residual>();
  check_layer<swizzled(Codes::e4m3, 72, 208), Prologue::norm, Kind::residual>();
  check_layer<swizzled(Codes::e4m3, 4488, 512), Prologue::norm, Kind::residual>();
  check_layer<grouped(s4, 4488, 512, 128, false), Prologue::norm, Kind::residual>();
  check_layer<grouped(s4, 576, 4096, 128, false), Prologue::norm, Kind::residual>();
  check_layer<grouped(s4, 1536, 576, 64, false, Number::f16, true), Prologue::norm, Kind::gated>();
  check_layer<grouped(s4, 200, 1096, 1096, false), Prologue::norm, Kind::residual>();
  check_layer<grouped(u4, 320, 8192, 128, true), Prologue::norm, Kind::residual>();
  check_layer<grouped(u4, 72, 320, 32, true, Number::f32), Prologue::norm, Kind::residual>();
  check_layer<grouped(s8_grouped, 136, 576, 32, true), Prologue::norm, Kind::residual>();
  std::printf("%s\n", failures ? "FAILED" : "all prologues are right");
  return failures != 0;
}

//===- Time ---------------------------------------------------------------===//

/// More than 200 MB of copies of a layer's weights, and outputs.
struct Weights {
  long long image, size;
  int copies;
  unsigned char *data;
  void *output;
  explicit Weights(const Layer &layer)
      : image((layer.layout.bytes + 255) / 256 * 256), size(layer.layout.bytes),
        copies(int(200000000 / image + 2)), data(allocate<unsigned char>(image * copies)),
        output(allocate<float>(16ll * layer.config.n)) {
    for (int i = 0; i < copies; ++i)
      CHECK(cudaMemcpy(data + i * image, layer.image, size, cudaMemcpyDeviceToDevice));
  }
  Weights(const Weights &) = delete;
  ~Weights() {
    CHECK(cudaFree(data));
    CHECK(cudaFree(output));
  }
  const void *copy(int i) const { return data + i % copies * image; }
};

static double ceiling;

static void print_time(const GemmConfig &c, const char *form, double us, long long size) {
  std::printf("%-5s %5dx%-5d %-26s %3d KB %-11s %6.2f us, floor %5.2f\n", name_of(c.codes), c.n,
              c.k, tile_name(c).c_str(), shared_bytes(c) / 1024, form, us, size * 1e-3 / ceiling);
}

/// The same tile for tokens that another kernel has made: mma.sync copies their rows, wgmma
/// has boxes of eight.
constexpr GemmConfig copied(GemmConfig c) {
  c.row_copies = !c.wgmma;
  c.tile_t = c.wgmma ? 8 : c.tile_t;
  return c;
}

/// As many tokens of a layer as a tile has: its kernel alone, behind the kernel that makes its
/// tokens, and with a prologue.
template <GemmConfig base, Prologue prologue, Kind kind, GemmConfig... tiles>
static void time_layer(cudaStream_t stream) {
  NormedLayer l(base);
  Weights w(l.layer);
  auto time_tile = [&]<GemmConfig tile>() {
    constexpr int kRows = tile.tile_t;
    constexpr GemmConfig plain = copied(tile);
    const int count = std::max(w.copies, 24);
    print_time(
        plain, "alone",
        graph_us(stream, count,
                 [&](int i) { l.run_plain<plain, kind>(w.output, w.copy(i), kRows, stream); }),
        w.size);
    if constexpr (prologue != Prologue::none) {
      print_time(plain, "two kernels",
                 graph_us(stream, count,
                          [&](int i) {
                            l.make<prologue, base.k, token_number(base)>(kRows, stream);
                            l.run_plain<plain, kind>(w.output, w.copy(i), kRows, stream);
                          }),
                 w.size);
      constexpr GemmConfig fused = with(tile, prologue);
      print_time(
          fused, "prologue",
          graph_us(stream, count,
                   [&](int i) { l.run_fused<fused, kind>(w.output, w.copy(i), kRows, stream); }),
          w.size);
    }
  };
  (time_tile.template operator()<tiles>(), ...);
}

/// A layer of a chain, with tiles of its own.
template <GemmConfig tile, Prologue prologue, bool fused, Kind kind = Kind::residual> struct Link {
  static constexpr GemmConfig config = tile;
  static void run(NormedLayer &l, const Weights &w, int i, cudaStream_t stream) {
    if constexpr (fused) {
      l.template run_fused<with(tile, prologue), kind>(w.output, w.copy(i), 1, stream);
    } else {
      if constexpr (prologue != Prologue::none)
        l.template make<prologue, tile.k, token_number(tile)>(1, stream);
      l.template run_plain<copied(tile), kind>(w.output, w.copy(i), 1, stream);
    }
  }
};

/// The linear layers of a decode step, one token, behind each other: blocks of a launch find
/// those of the one before on the multiprocessors.
template <class O, class GateUp, class Down, class Qkv> struct Chain {
  static void time(const char *name, NormedLayer (&l)[4], const Weights (&w)[4],
                   cudaStream_t stream) {
    const double us = graph_us(stream, 32, [&](int i) {
      O::run(l[0], w[0], i, stream);
      GateUp::run(l[1], w[1], i, stream);
      Down::run(l[2], w[2], i, stream);
      Qkv::run(l[3], w[3], i, stream);
    });
    long long size = 0;
    for (const Weights &weights : w)
      size += weights.size;
    std::printf("%-5s chain %-8s %6.2f us, floor %5.2f: o %s, gate_up %s, down %s, qkv %s\n",
                name_of(O::config.codes), name, us, size * 1e-3 / ceiling,
                tile_name(O::config).c_str(), tile_name(GateUp::config).c_str(),
                tile_name(Down::config).c_str(), tile_name(Qkv::config).c_str());
  }
};

static void chain_s4(cudaStream_t stream) {
  constexpr GemmConfig o = grouped(Codes::s4, 4096, 4096, 128, false);
  constexpr GemmConfig down = grouped(Codes::s4, 4096, 14336, 128, false);
  constexpr GemmConfig qkv = grouped(Codes::s4, 6144, 4096, 128, false);
  constexpr GemmConfig gate_up = grouped(Codes::s4, 28672, 4096, 128, false, Number::bf16, true);
  NormedLayer l[4] = {NormedLayer(o), NormedLayer(gate_up), NormedLayer(down), NormedLayer(qkv)};
  const Weights w[4] = {Weights(l[0].layer), Weights(l[1].layer), Weights(l[2].layer),
                        Weights(l[3].layer)};
  using enum Prologue;
  using O = Link<shared_columns(tiled(o, false, 16, 1, 2048, 4), 4), none, false>;
  using GateUp = Link<tiled(gate_up, false, 64, 1, 512, 2), norm, true, Kind::gated>;
  using Down = Link<shared_columns(tiled(down, false, 16, 1, 2048, 4), 8), none, false>;
  using Qkv = Link<shared_columns(tiled(qkv, false, 32, 1, 1024, 4), 4), norm, true>;
  using OldGateUp = Link<tiled(gate_up, false, 64, 1, 512, 3), norm, false, Kind::gated>;
  using OldQkv = Link<shared_columns(tiled(qkv, false, 16, 1, 1024, 4), 4), norm, false>;
  using SpreadO = Link<shared_columns(spread(tiled(o, false, 0, 1, 1024, 4)), 8), none, false>;
  using SpreadDown =
      Link<shared_columns(spread(tiled(down, false, 0, 1, 1024, 4)), 8), none, false>;
  using SpreadQkv = Link<shared_columns(spread(tiled(qkv, false, 0, 1, 512, 6)), 4), norm, true>;
  using SpreadGateUp = Link<spread(tiled(gate_up, false, 0, 1, 256, 3)), norm, true, Kind::gated>;
  Chain<O, OldGateUp, Down, OldQkv>::time("apart", l, w, stream);
  Chain<O, GateUp, Down, Qkv>::time("fused", l, w, stream);
  Chain<O, GateUp, Down, SpreadQkv>::time("qkv", l, w, stream);
  Chain<O, GateUp, SpreadDown, Qkv>::time("down", l, w, stream);
  Chain<SpreadO, GateUp, SpreadDown, SpreadQkv>::time("three", l, w, stream);
  Chain<SpreadO, SpreadGateUp, SpreadDown, SpreadQkv>::time("spread", l, w, stream);
}

static void chain_s8(cudaStream_t stream) {
  constexpr GemmConfig o = swizzled(Codes::s8, 4096, 4096, Number::bf16);
  constexpr GemmConfig down = swizzled(Codes::s8, 4096, 14336, Number::bf16);
  constexpr GemmConfig qkv = swizzled(Codes::s8, 6144, 4096, Number::bf16);
  constexpr GemmConfig gate_up = swizzled(Codes::s8, 28672, 4096, Number::bf16, true);
  NormedLayer l[4] = {NormedLayer(o), NormedLayer(gate_up), NormedLayer(down), NormedLayer(qkv)};
  const Weights w[4] = {Weights(l[0].layer), Weights(l[1].layer), Weights(l[2].layer),
                        Weights(l[3].layer)};
  using enum Prologue;
  using OldO = Link<shared_columns(tiled(o, false, 16, 1, 2048, 2), 4), quantize, false>;
  using OldGateUp = Link<tiled(gate_up, false, 64, 1, 256, 3), norm, false, Kind::gated>;
  using OldDown = Link<shared_columns(tiled(down, false, 32, 1, 2048, 3), 4), quantize, false>;
  using OldQkv = Link<shared_columns(tiled(qkv, false, 32, 1, 1024, 3), 2), norm, false>;
  using O = Link<shared_columns(spread(tiled(o, false, 0, 1, 1024, 3)), 8), quantize, true>;
  using GateUp = Link<spread(tiled(gate_up, false, 0, 1, 128, 6)), norm, true, Kind::gated>;
  using Down = Link<shared_columns(tiled(down, false, 32, 1, 1024, 5), 8), quantize, true>;
  using SpreadDown =
      Link<shared_columns(spread(tiled(down, false, 0, 1, 1024, 5)), 8), quantize, true>;
  using Qkv = Link<shared_columns(tiled(qkv, false, 32, 1, 1024, 3), 4), norm, true>;
  using SpreadQkv = Link<shared_columns(spread(tiled(qkv, false, 0, 1, 512, 4)), 4), norm, true>;
  Chain<OldO, OldGateUp, OldDown, OldQkv>::time("apart", l, w, stream);
  Chain<O, GateUp, Down, Qkv>::time("fused", l, w, stream);
  Chain<OldO, GateUp, Down, Qkv>::time("old o", l, w, stream);
  Chain<O, GateUp, SpreadDown, SpreadQkv>::time("spread", l, w, stream);
  Chain<O, GateUp, OldDown, Qkv>::time("old down", l, w, stream);
  Chain<O, GateUp, Down, OldQkv>::time("old qkv", l, w, stream);
}

static void chain_e4m3(cudaStream_t stream) {
  constexpr GemmConfig o = swizzled(Codes::e4m3, 4096, 4096, Number::bf16);
  constexpr GemmConfig down = swizzled(Codes::e4m3, 4096, 14336, Number::bf16);
  constexpr GemmConfig qkv = swizzled(Codes::e4m3, 6144, 4096, Number::bf16);
  constexpr GemmConfig gate_up = swizzled(Codes::e4m3, 28672, 4096, Number::bf16, true);
  NormedLayer l[4] = {NormedLayer(o), NormedLayer(gate_up), NormedLayer(down), NormedLayer(qkv)};
  const Weights w[4] = {Weights(l[0].layer), Weights(l[1].layer), Weights(l[2].layer),
                        Weights(l[3].layer)};
  using enum Prologue;
  using OldO = Link<tiled(o, true, 32, 1, 512, 5), quantize, false>;
  using OldGateUp = Link<tiled(gate_up, true, 256, 1, 128, 6), norm, false, Kind::gated>;
  using Down = Link<tiled(down, true, 32, 1, 1024, 5), quantize, false>;
  using OldQkv = Link<tiled(qkv, true, 32, 1, 512, 5), norm, false>;
  using O = Link<tiled(o, true, 32, 1, 512, 5), quantize, true>;
  using SpreadO = Link<spread(tiled(o, true, 0, 1, 512, 5)), quantize, true>;
  using GateUp = Link<spread(tiled(gate_up, true, 0, 1, 128, 6)), norm, true, Kind::gated>;
  using Qkv = Link<tiled(qkv, true, 32, 1, 512, 5), norm, true>;
  Chain<OldO, OldGateUp, Down, OldQkv>::time("apart", l, w, stream);
  Chain<O, GateUp, Down, Qkv>::time("fused", l, w, stream);
  Chain<SpreadO, GateUp, Down, Qkv>::time("spread", l, w, stream);
}

static void chain_bf16(cudaStream_t stream) {
  constexpr GemmConfig o = swizzled(Codes::bf16, 4096, 4096);
  constexpr GemmConfig down = swizzled(Codes::bf16, 4096, 14336);
  constexpr GemmConfig qkv = swizzled(Codes::bf16, 6144, 4096);
  constexpr GemmConfig gate_up = swizzled(Codes::bf16, 28672, 4096, Number::f32, true);
  NormedLayer l[4] = {NormedLayer(o), NormedLayer(gate_up), NormedLayer(down), NormedLayer(qkv)};
  const Weights w[4] = {Weights(l[0].layer), Weights(l[1].layer), Weights(l[2].layer),
                        Weights(l[3].layer)};
  using enum Prologue;
  using O = Link<tiled(o, false, 16, 1, 512, 5), none, false>;
  using OldGateUp = Link<tiled(gate_up, false, 32, 1, 256, 3), norm, false, Kind::gated>;
  using GateUp = Link<tiled(gate_up, false, 32, 1, 256, 6), norm, true, Kind::gated>;
  using OldDown = Link<tiled(down, false, 32, 1, 512, 6), none, false>;
  using Down = Link<spread(tiled(down, false, 0, 1, 512, 6)), none, false>;
  using OldQkv = Link<tiled(qkv, false, 32, 1, 512, 3), norm, false>;
  using Qkv = Link<spread(tiled(qkv, false, 0, 1, 256, 4)), norm, true>;
  Chain<O, OldGateUp, OldDown, OldQkv>::time("apart", l, w, stream);
  Chain<O, OldGateUp, Down, OldQkv>::time("down", l, w, stream);
  Chain<O, OldGateUp, Down, Qkv>::time("qkv", l, w, stream);
  Chain<O, GateUp, Down, Qkv>::time("fused", l, w, stream);
}

static void time_s4(cudaStream_t stream) {
  constexpr GemmConfig o = grouped(Codes::s4, 4096, 4096, 128, false);
  constexpr GemmConfig down = grouped(Codes::s4, 4096, 14336, 128, false);
  constexpr GemmConfig qkv = grouped(Codes::s4, 6144, 4096, 128, false);
  constexpr GemmConfig gate_up = grouped(Codes::s4, 28672, 4096, 128, false, Number::bf16, true);
  time_layer<o, Prologue::none, Kind::residual, shared_columns(tiled(o, false, 16, 1, 2048, 4), 4),
             shared_columns(spread(tiled(o, false, 0, 1, 1024, 4)), 4),
             shared_columns(spread(tiled(o, false, 0, 1, 1024, 4)), 8)>(stream);
  time_layer<down, Prologue::none, Kind::residual,
             shared_columns(tiled(down, false, 16, 1, 2048, 4), 8),
             shared_columns(spread(tiled(down, false, 0, 1, 1024, 4)), 4),
             shared_columns(spread(tiled(down, false, 0, 1, 1024, 4)), 8),
             shared_columns(spread(tiled(down, false, 0, 1, 512, 8)), 4)>(stream);
  time_layer<qkv, Prologue::norm, Kind::residual,
             shared_columns(tiled(qkv, false, 32, 1, 1024, 4), 4),
             shared_columns(spread(tiled(qkv, false, 0, 1, 1024, 3)), 4),
             shared_columns(spread(tiled(qkv, false, 0, 1, 512, 6)), 4)>(stream);
  time_layer<gate_up, Prologue::norm, Kind::gated, tiled(gate_up, false, 64, 1, 512, 2),
             tiled(gate_up, false, 64, 1, 256, 5), spread(tiled(gate_up, false, 0, 1, 256, 3)),
             spread(tiled(gate_up, false, 0, 1, 128, 6))>(stream);
}

static void time_s8(cudaStream_t stream) {
  constexpr GemmConfig o = swizzled(Codes::s8, 4096, 4096, Number::bf16);
  constexpr GemmConfig down = swizzled(Codes::s8, 4096, 14336, Number::bf16);
  constexpr GemmConfig qkv = swizzled(Codes::s8, 6144, 4096, Number::bf16);
  constexpr GemmConfig gate_up = swizzled(Codes::s8, 28672, 4096, Number::bf16, true);
  time_layer<o, Prologue::quantize, Kind::residual,
             shared_columns(spread(tiled(o, false, 0, 1, 1024, 3)), 4),
             shared_columns(spread(tiled(o, false, 0, 1, 1024, 3)), 8)>(stream);
  time_layer<down, Prologue::quantize, Kind::residual,
             shared_columns(tiled(down, false, 32, 1, 1024, 5), 8),
             shared_columns(spread(tiled(down, false, 0, 1, 1024, 3)), 8),
             shared_columns(spread(tiled(down, false, 0, 1, 1024, 5)), 8)>(stream);
  time_layer<qkv, Prologue::norm, Kind::residual,
             shared_columns(spread(tiled(qkv, false, 0, 1, 512, 4)), 4)>(stream);
  time_layer<gate_up, Prologue::norm, Kind::gated, tiled(gate_up, false, 64, 1, 256, 6),
             spread(tiled(gate_up, false, 0, 1, 128, 3)),
             spread(tiled(gate_up, false, 0, 1, 128, 6))>(stream);
}

static void time_e4m3(cudaStream_t stream) {
  constexpr GemmConfig o = swizzled(Codes::e4m3, 4096, 4096, Number::bf16);
  constexpr GemmConfig down = swizzled(Codes::e4m3, 4096, 14336, Number::bf16);
  constexpr GemmConfig qkv = swizzled(Codes::e4m3, 6144, 4096, Number::bf16);
  constexpr GemmConfig gate_up = swizzled(Codes::e4m3, 28672, 4096, Number::bf16, true);
  time_layer<o, Prologue::quantize, Kind::residual, tiled(o, true, 32, 1, 512, 5),
             spread(tiled(o, true, 0, 1, 512, 5))>(stream);
  time_layer<down, Prologue::quantize, Kind::residual, tiled(down, true, 32, 1, 1024, 5),
             spread(tiled(down, true, 0, 1, 512, 5)), spread(tiled(down, true, 0, 1, 1024, 5))>(
      stream);
  time_layer<qkv, Prologue::norm, Kind::residual, tiled(qkv, true, 32, 1, 512, 5),
             spread(tiled(qkv, true, 0, 1, 512, 4))>(stream);
  time_layer<gate_up, Prologue::norm, Kind::gated, tiled(gate_up, true, 256, 1, 128, 6),
             spread(tiled(gate_up, true, 0, 1, 128, 3)),
             spread(tiled(gate_up, true, 0, 1, 128, 6))>(stream);
}

static void time_bf16(cudaStream_t stream) {
  constexpr GemmConfig o = swizzled(Codes::bf16, 4096, 4096);
  constexpr GemmConfig down = swizzled(Codes::bf16, 4096, 14336);
  constexpr GemmConfig qkv = swizzled(Codes::bf16, 6144, 4096);
  constexpr GemmConfig gate_up = swizzled(Codes::bf16, 28672, 4096, Number::f32, true);
  time_layer<o, Prologue::none, Kind::residual, tiled(o, false, 16, 1, 512, 5),
             spread(tiled(o, false, 0, 1, 256, 6))>(stream);
  time_layer<down, Prologue::none, Kind::residual, tiled(down, false, 32, 1, 512, 6),
             spread(tiled(down, false, 0, 1, 256, 6)), spread(tiled(down, false, 0, 1, 512, 6))>(
      stream);
  time_layer<qkv, Prologue::norm, Kind::residual, tiled(qkv, false, 32, 1, 512, 3),
             spread(tiled(qkv, false, 0, 1, 256, 4))>(stream);
  time_layer<gate_up, Prologue::norm, Kind::gated, tiled(gate_up, false, 32, 1, 256, 6),
             spread(tiled(gate_up, false, 0, 1, 64, 3)),
             spread(tiled(gate_up, false, 0, 1, 64, 6))>(stream);
}

int main(int argc, char **argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string part = argc > 1 ? argv[1] : "", format = argc > 2 ? argv[2] : "";
  if (part == "check")
    return check();
  if (part != "time" && part != "chain") {
    std::printf("usage: PrologueTest check|time|chain [bf16|e4m3|s8|s4]\n");
    return 2;
  }
  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream));
  ceiling = read_ceiling(stream);
  std::printf("reads %.0f GB/s\n", ceiling);
  struct Format {
    const char *name;
    void (*time)(cudaStream_t), (*chain)(cudaStream_t);
  };
  for (auto [name, time, chain] :
       {Format{"s4", time_s4, chain_s4}, Format{"s8", time_s8, chain_s8},
        Format{"e4m3", time_e4m3, chain_e4m3}, Format{"bf16", time_bf16, chain_bf16}})
    if (format.empty() || format == name)
      (part == "time" ? time : chain)(stream);
  return 0;
}
