//===- GemmTest.cu - Linear layers against float64, bits and time -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   scripts/build-gpu-tests [FOLDER], then on a machine with an H100 or H200:
//   GemmTest check [FORMAT]  every configuration against float64 (the bounds of
//                            docs/numerics.md), and bit for bit against the others
//   GemmTest time [FORMAT]   us, GB/s and TFLOP/s of the layers of Llama-3.1-8B, from
//                            graphs of dependent launches over rotating weights
//
// The packer here is written from RFC 1 and shares no code with the headers.
//
//===----------------------------------------------------------------------===//

#include "gemm.cuh"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda.h>
#include <cuda_runtime.h>
#include <functional>
#include <string>
#include <vector>

namespace q = qopt::cuda;
using q::Codes, q::GemmConfig, q::Number;

#define CHECK(call) check(static_cast<int>(call), #call, __LINE__)
static void check(int error, const char *call, int line) {
  if (!error)
    return;
  std::printf("GemmTest.cu:%d: %s: error %d (%s)\n", line, call, error,
              cudaGetErrorString(static_cast<cudaError_t>(error)));
  std::exit(1);
}

//===- Epilogues ----------------------------------------------------------===//

/// y = sum.
template <int stride> struct Plain {
  using Output = q::bf16;
  static constexpr int output_stride = stride, extras = 0;
  Output *output;
  __device__ static float apply(float sum) { return sum; }
};
/// y = sum + residual [t, n] + bias [n].
template <int stride> struct Residual {
  using Output = q::bf16;
  static constexpr int output_stride = stride, extras = 2;
  Output *output;
  const q::bf16 *extra0;
  static constexpr int extra0_stride = stride;
  const float *extra1;
  static constexpr int extra1_stride = 0;
  __device__ static float apply(float sum, float residual, float bias) {
    return sum + residual + bias;
  }
};
/// y = sum, float32.
template <int stride> struct Logits {
  using Output = float;
  static constexpr int output_stride = stride, extras = 0;
  Output *output;
  __device__ static float apply(float sum) { return sum; }
};
/// y = silu(gate) * up of interleaved rows.
template <int stride> struct GatedUnit {
  using Output = q::bf16;
  static constexpr int output_stride = stride, extras = 0;
  Output *output;
  __device__ static float apply(float gate, float up) { return gate / (1 + __expf(-gate)) * up; }
};
enum class Kind { plain, residual, logits, gated };

struct Operands {
  void *output;
  const q::bf16 *residual;
  const float *bias;
  const float *x_scales;
  const void *weight;
  long long rows;
};

template <GemmConfig config, Kind kind>
__global__ void __launch_bounds__(threads(config), 1)
    layer(Operands o, const __grid_constant__ q::TensorMap x) {
  constexpr int kStride = config.pair ? config.n / 2 : config.n;
  if constexpr (kind == Kind::plain)
    q::gemm<config>(x, o.x_scales, o.weight, Plain<kStride>{(q::bf16 *)o.output}, o.rows);
  if constexpr (kind == Kind::residual)
    q::gemm<config>(x, o.x_scales, o.weight,
                    Residual<kStride>{(q::bf16 *)o.output, o.residual, o.bias}, o.rows);
  if constexpr (kind == Kind::logits)
    q::gemm<config>(x, o.x_scales, o.weight, Logits<kStride>{(float *)o.output}, o.rows);
  if constexpr (kind == Kind::gated)
    q::gemm<config>(x, o.x_scales, o.weight, GatedUnit<kStride>{(q::bf16 *)o.output}, o.rows);
}

//===- Random operands ----------------------------------------------------===//

__host__ __device__ static inline unsigned hash(unsigned seed, unsigned long long index) {
  unsigned long long z = index * 0x9e3779b97f4a7c15ull + seed * 0xbf58476d1ce4e5b9ull + 1;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return unsigned((z ^ (z >> 31)) >> 16);
}
/// Uniform in [-1, 1).
__device__ static float uniform(unsigned seed, unsigned long long index) {
  return int(hash(seed, index)) * (1.0f / 2147483648.0f);
}

/// Codes [n, k] as float: what a weight stores, before offsets.
__global__ void make_codes(float *codes, long long count, Codes type) {
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < count; i += gridDim.x * 256ll) {
    unsigned h = hash(1, i);
    switch (type) {
    case Codes::bf16:
      codes[i] = q::to_float(q::to_bf16(uniform(1, i)));
      break;
    case Codes::e4m3:
      codes[i] = q::to_float(q::to_e4m3(uniform(1, i) * 448));
      break;
    case Codes::s8:
    case Codes::s8_grouped:
      codes[i] = int(h % 256) - 128;
      break;
    case Codes::s4:
      codes[i] = int(h % 16) - 8;
      break;
    case Codes::u4:
      codes[i] = int(h % 16);
      break;
    }
  }
}

/// Scales or minima, rounded to their type.
__global__ void make_scales(float *scales, long long count, Number type, unsigned seed, float low,
                            float range) {
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < count; i += gridDim.x * 256ll) {
    float v = low + range * uniform(seed, i);
    scales[i] = type == Number::bf16  ? q::to_float(q::to_bf16(v))
                : type == Number::f16 ? q::to_float(q::to_f16(v))
                                      : v;
  }
}

/// Tokens [t, k] in their type, and as float.
__global__ void make_tokens(void *tokens, float *values, long long count, Number type) {
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < count; i += gridDim.x * 256ll) {
    float v = uniform(3, i) + 0.1f;
    if (type == Number::bf16) {
      ((q::bf16 *)tokens)[i] = q::to_bf16(v);
      values[i] = q::to_float(((q::bf16 *)tokens)[i]);
    } else if (type == Number::e4m3) {
      ((q::e4m3 *)tokens)[i] = q::to_e4m3(v * 400);
      values[i] = q::to_float(((q::e4m3 *)tokens)[i]);
    } else {
      ((signed char *)tokens)[i] = q::to_s8(v * 115);
      values[i] = ((signed char *)tokens)[i];
    }
  }
}

__global__ void make_extras(q::bf16 *residual, long long count, float *bias, int n) {
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < count; i += gridDim.x * 256ll) {
    residual[i] = q::to_bf16(uniform(7, i) * 10);
    if (i < n)
      bias[i] = uniform(8, i) * 10;
  }
}

//===- The packer of RFC 1 ------------------------------------------------===//

struct Layout {
  bool fragment;
  int element_bits, scale_bytes;
  long long columns; // of a block
  long long blocks, block_bytes, units, unit_bytes, bytes;
};

static Layout layout_of(const GemmConfig &c) {
  Layout l;
  l.fragment = c.codes == Codes::s4 || c.codes == Codes::u4 || c.codes == Codes::s8_grouped;
  l.element_bits = c.codes == Codes::bf16                         ? 16
                   : c.codes == Codes::s4 || c.codes == Codes::u4 ? 4
                                                                  : 8;
  l.scale_bytes = c.scale == Number::f32 ? 4 : 2;
  l.columns =
      l.fragment ? (c.group >= c.k ? (c.k + 63) / 64 * 64 : c.group) : 1024 / l.element_bits;
  l.blocks = (c.k + l.columns - 1) / l.columns;
  l.block_bytes = 16 * l.columns * l.element_bits / 8 +
                  (l.fragment ? 16 * l.scale_bytes * (c.affine ? 2 : 1) : 0);
  l.units = (c.n + 63) / 64 * 4;
  l.unit_bytes = l.blocks * l.block_bytes;
  l.bytes = l.units * l.unit_bytes;
  if (c.codes == Codes::s8 || c.codes == Codes::e4m3)
    l.bytes += l.units * 16 * l.scale_bytes;
  return l;
}

/// The bits of a code as they are stored.
__device__ static unsigned stored(float code, Codes type) {
  switch (type) {
  case Codes::bf16:
    return q::to_bf16(code).bits;
  case Codes::e4m3:
    return q::to_e4m3(code).bits;
  case Codes::s8:
    return unsigned(int(code)) & 0xff;
  case Codes::s8_grouped:
    return unsigned(int(code) + 128);
  case Codes::s4:
    return unsigned(int(code) + 8);
  case Codes::u4:
    return unsigned(int(code));
  }
  return 0;
}

/// One element a thread; `image` is zero before.
__global__ void pack_codes(unsigned char *image, const float *codes, GemmConfig c, Layout l) {
  long long count = (long long)c.n * c.k;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < count; i += gridDim.x * 256ll) {
    long long n = i / c.k, k = i % c.k, unit = n / 16, row = n % 16;
    long long block = k / l.columns, column = k % l.columns;
    unsigned char *at = image + unit * l.unit_bytes + block * l.block_bytes;
    long long bit;
    if (l.fragment) {
      long long step = column / 16, in_step = column % 16;
      long long reg = row / 8 + 2 * (in_step / 8), j = in_step % 8 / 2, e = in_step % 2;
      long long lane = 4 * (row % 8) + j;
      long long word, bit_in_word, words;
      if (l.element_bits == 4) {
        word = step, bit_in_word = 4 * reg + 16 * e, words = l.columns / 16;
      } else {
        word = 2 * step + reg / 2, bit_in_word = 8 * (2 * (reg % 2) + e), words = l.columns / 8;
      }
      long long v = words < 4 ? words : 4;
      bit = 32 * (word / v * 32 * v + lane * v + word % v) + bit_in_word;
    } else {
      long long byte = column * l.element_bits / 8, chunk = byte / 16;
      bit = 8 * (row * 128 + (chunk ^ (row % 8)) * 16 + byte % 16);
    }
    atomicOr((unsigned *)at + bit / 32, stored(codes[i], c.codes) << (bit % 32));
  }
}

__device__ static void put(unsigned char *at, float value, Number type) {
  if (type == Number::f32)
    *(float *)at = value;
  else if (type == Number::f16)
    *(q::f16 *)at = q::to_f16(value);
  else
    *(q::bf16 *)at = q::to_bf16(value);
}

/// scales, minima: [n, groups], one group if the image is swizzled.
__global__ void pack_scales(unsigned char *image, const float *scales, const float *minima,
                            GemmConfig c, Layout l) {
  long long groups = l.fragment ? l.blocks : 1, count = c.n * groups;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < count; i += gridDim.x * 256ll) {
    long long n = i / groups, g = i % groups;
    if (!l.fragment) {
      put(image + l.units * l.unit_bytes + n * l.scale_bytes, scales[i], c.scale);
      continue;
    }
    unsigned char *at = image + n / 16 * l.unit_bytes + g * l.block_bytes +
                        16 * l.columns * l.element_bits / 8 + n % 16 * l.scale_bytes;
    put(at, scales[i], c.scale);
    if (c.affine)
      put(at + 16 * l.scale_bytes, minima[i], c.scale);
  }
}

//===- The reference ------------------------------------------------------===//

/// The layer in float64, before the epilogue: sums [t, n].
__global__ void reference(double *sums, const float *x, const float *x_scales, const float *codes,
                          const float *scales, const float *minima, GemmConfig c, int columns,
                          bool scaled, int tokens) {
  __shared__ float xs[16][33], ws[16][33];
  int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  int n0 = blockIdx.x * 16, t0 = blockIdx.y * 16;
  int n = n0 + tx, t = t0 + ty, groups = (c.k + columns - 1) / columns;
  double total = 0;
  for (int g = 0; g < groups; ++g) {
    double sum = 0, x_sum = 0;
    int end = min(c.k, (g + 1) * columns);
    for (int k0 = g * columns; k0 < end; k0 += 32) {
      for (int i = threadIdx.x; i < 512; i += 256) {
        int r = i / 32, k = k0 + i % 32;
        xs[r][i % 32] = k < end && t0 + r < tokens ? x[(long long)(t0 + r) * c.k + k] : 0;
        ws[r][i % 32] = k < end && n0 + r < c.n ? codes[(long long)(n0 + r) * c.k + k] : 0;
      }
      __syncthreads();
      for (int i = 0; i < 32; ++i) {
        sum += double(xs[ty][i]) * ws[tx][i];
        x_sum += xs[ty][i];
      }
      __syncthreads();
    }
    if (n < c.n)
      total += scaled ? scales[(long long)n * groups + g] * sum +
                            (c.affine ? minima[(long long)n * groups + g] * x_sum : 0)
                      : sum;
  }
  if (n < c.n && t < tokens)
    sums[(long long)t * c.n + n] = total * (x_scales ? x_scales[t] : 1.0f);
}

/// Errors of outputs [t, n]: sum of squares, of the reference's squares, maximum.
__global__ void compare(const void *output, const double *sums, const q::bf16 *residual,
                        const float *bias, Kind kind, bool wide, long long tokens, int n,
                        double *result) {
  double error = 0, norm = 0, worst = 0;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < tokens * n; i += gridDim.x * 256ll) {
    long long t = i / n, c = i % n;
    double want;
    if (kind == Kind::gated) {
      long long at = t * 2 * n + c / 8 * 16 + c % 8;
      want = sums[at] / (1 + exp(-sums[at])) * sums[at + 8];
    } else {
      want = sums[i];
    }
    if (kind == Kind::residual)
      want += double(q::to_float(residual[i])) + bias[c];
    double got = wide ? ((const float *)output)[i] : q::to_float(((const q::bf16 *)output)[i]);
    double d = fabs(got - want);
    if (!(d < 1e30))
      d = 1e30;
    error += d * d;
    norm += want * want;
    worst = fmax(worst, d);
  }
  atomicAdd(&result[0], error);
  atomicAdd(&result[1], norm);
  atomicMax((unsigned long long *)&result[2], (unsigned long long)__double_as_longlong(worst));
}

/// Words that differ.
__global__ void count_differences(const unsigned *a, const unsigned *b, long long words,
                                  unsigned long long *result) {
  unsigned long long different = 0;
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < words; i += gridDim.x * 256ll)
    different += a[i] != b[i];
  if (different)
    atomicAdd(result, different);
}

//===- Cases --------------------------------------------------------------===//

struct Case {
  GemmConfig config;
  Kind kind;
  const void *kernel;
};

template <GemmConfig config, Kind kind> static void add(std::vector<Case> &cases) {
  cases.push_back({config, kind, (const void *)&layer<config, kind>});
}

constexpr GemmConfig swizzled(Codes codes, int n, int k, Number scale = Number::f32,
                              bool pair = false) {
  return {codes, n, k, 0, false, scale, 0, 0, 0, 0, false, pair};
}
constexpr GemmConfig grouped(Codes codes, int n, int k, int group, bool affine,
                             Number scale = Number::bf16, bool pair = false) {
  return {codes, n, k, group, affine, scale, 0, 0, 0, 0, false, pair};
}
constexpr GemmConfig tiled(GemmConfig c, bool wgmma, int tile_n, int tile_t, int k_stage,
                           int stages) {
  c.wgmma = wgmma, c.tile_n = tile_n, c.tile_t = tile_t, c.k_stage = k_stage, c.stages = stages;
  return c;
}

constexpr GemmConfig shared_columns(GemmConfig c, int k_warps) {
  c.k_warps = k_warps;
  return c;
}

/// The tiles of a format that a test compares.
template <GemmConfig base, Kind kind> static void add_tiles(std::vector<Case> &cases) {
  constexpr bool kFragment = is_fragment(base), kWide = base.codes == Codes::bf16 || kFragment;
  constexpr int kRow = kWide ? 64 : 128; // columns of 128 bytes
  constexpr int kStage = base.group > kRow && !is_per_channel(base) ? base.group : kRow;
  if constexpr (base.codes != Codes::e4m3) {
    add<tiled(base, false, 16, 8, 4 * kStage, 4), kind>(cases);
    add<tiled(base, false, 32, 16, 2 * kStage, 3), kind>(cases);
    add<tiled(base, false, 64, 32, 2 * kStage, 3), kind>(cases);
    if constexpr (!base.affine)
      add<tiled(base, false, 128, 64, kStage, 3), kind>(cases);
  }
  if constexpr (base.codes == Codes::s8 || (kFragment && !is_per_channel(base))) {
    add<shared_columns(tiled(base, false, 16, 8, 8 * kRow, 3), 4), kind>(cases);
    add<shared_columns(tiled(base, false, 32, 16, 4 * kRow, 3), 2), kind>(cases);
    add<shared_columns(tiled(base, false, 32, 32, 2 * kStage, 3), 2), kind>(cases);
  }
  if constexpr (kFragment) {
    add<tiled(base, true, 64, 8, 2 * kStage, 4), kind>(cases);
    add<tiled(base, true, 128, 64, kStage, 4), kind>(cases);
    if constexpr (!base.affine)
      add<tiled(base, true, 128, 128, kStage, 4), kind>(cases);
  } else {
    add<tiled(base, true, 16, 8, 4 * kStage, 4), kind>(cases);
    add<tiled(base, true, 32, 16, 2 * kStage, 3), kind>(cases);
    add<tiled(base, true, 64, 32, kStage, 6), kind>(cases);
    add<tiled(base, true, 64, 64, 2 * kStage, 3), kind>(cases);
    add<tiled(base, true, 128, 128, kStage, 4), kind>(cases);
    add<tiled(base, true, 128, 192, kStage, 4), kind>(cases);
    add<tiled(base, true, 128, 256, kStage, 4), kind>(cases);
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

static std::vector<Case> timed_cases();

static const char *name_of(Codes codes) {
  const char *names[] = {"bf16", "e4m3", "s8", "s4", "u4", "s8_grouped"};
  return names[int(codes)];
}
static std::string tile_name(const GemmConfig &c) {
  return std::string(c.wgmma ? "wgmma " : "mma ") + std::to_string(c.tile_n) + "x" +
         std::to_string(c.tile_t) + " k" + std::to_string(c.k_stage) + " s" +
         std::to_string(c.stages) + (c.k_warps > 1 ? " w" + std::to_string(c.k_warps) : "");
}

//===- A layer on the device ----------------------------------------------===//

template <class T> static T *allocate(long long count) {
  void *pointer;
  CHECK(cudaMalloc(&pointer, std::max(count, 1ll) * sizeof(T) + 256));
  return static_cast<T *>(pointer);
}

/// Random operands of a format and shape, packed.
struct Layer {
  GemmConfig config;
  Layout layout;
  int tokens, groups;
  bool scaled, wide = false;
  float *codes, *scales, *minima, *values, *x_scales, *bias;
  unsigned char *image;
  void *x;
  q::bf16 *residual;

  Layer(const GemmConfig &c, int tokens) : config(c), layout(layout_of(c)), tokens(tokens) {
    scaled = c.codes != Codes::bf16;
    groups = layout.fragment ? int(layout.blocks) : 1;
    long long weights = (long long)c.n * c.k;
    if (layout.bytes != image_bytes(c)) {
      std::printf("image has %lld bytes, image_bytes() says %lld\n", layout.bytes, image_bytes(c));
      std::exit(1);
    }
    codes = allocate<float>(weights);
    scales = allocate<float>((long long)c.n * groups);
    minima = allocate<float>((long long)c.n * groups);
    values = allocate<float>((long long)tokens * c.k);
    x_scales = allocate<float>(tokens);
    bias = allocate<float>(c.n);
    image = allocate<unsigned char>(layout.bytes);
    x = allocate<q::bf16>((long long)tokens * c.k);
    residual = allocate<q::bf16>((long long)tokens * c.n);
    make_codes<<<1024, 256>>>(codes, weights, c.codes);
    make_scales<<<64, 256>>>(scales, (long long)c.n * groups, c.scale, 4, 0.02f, 0.015f);
    make_scales<<<64, 256>>>(minima, (long long)c.n * groups, c.scale, 5, -0.05f, 0.1f);
    make_scales<<<64, 256>>>(x_scales, tokens, Number::f32, 6, 0.02f, 0.01f);
    make_tokens<<<1024, 256>>>(x, values, (long long)tokens * c.k, token_number(c));
    make_extras<<<1024, 256>>>(residual, (long long)tokens * c.n, bias, c.n);
    CHECK(cudaMemset(image, 0, layout.bytes));
    pack_codes<<<1024, 256>>>(image, codes, c, layout);
    if (scaled)
      pack_scales<<<64, 256>>>(image, scales, minima, c, layout);
    CHECK(cudaDeviceSynchronize());
  }
  Layer(const Layer &) = delete;
  ~Layer() {
    for (void *p : {(void *)codes, (void *)scales, (void *)minima, (void *)values, (void *)x_scales,
                    (void *)bias, (void *)image, x, (void *)residual})
      CHECK(cudaFree(p));
  }
  bool has_token_scales() const { return config.codes == Codes::s8 || config.codes == Codes::e4m3; }
};

static q::TensorMap tensor_map(const GemmConfig &c, const void *x, int rows) {
  static auto *encode = [] {
    void *function = nullptr;
    cudaDriverEntryPointQueryResult result;
    CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                           cudaEnableDefault, &result));
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  q::TensorMap map;
  cuuint64_t sizes[2] = {cuuint64_t(c.k), cuuint64_t(rows)};
  cuuint64_t strides[1] = {cuuint64_t(c.k) * bytes(token_number(c))};
  cuuint32_t box[2] = {cuuint32_t(box_columns(c)), cuuint32_t(c.tile_t)}, steps[2] = {1, 1};
  CHECK(encode(reinterpret_cast<CUtensorMap *>(&map),
               token_number(c) == Number::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                               : CU_TENSOR_MAP_DATA_TYPE_UINT8,
               2, const_cast<void *>(x), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
               CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  return map;
}

static void launch(const Case &test, Operands &operands, q::TensorMap &map, cudaStream_t stream) {
  const GemmConfig &c = test.config;
  CHECK(cudaFuncSetAttribute(test.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             shared_bytes(c)));
  cudaLaunchAttribute dependent{};
  dependent.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  dependent.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3((operands.rows + c.tile_t - 1) / c.tile_t, (c.n + c.tile_n - 1) / c.tile_n);
  config.blockDim = dim3(threads(c));
  config.dynamicSmemBytes = shared_bytes(c);
  config.stream = stream;
  config.attrs = &dependent;
  config.numAttrs = 1;
  void *arguments[] = {&operands, &map};
  CHECK(cudaLaunchKernelExC(&config, test.kernel, arguments));
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

//===- check --------------------------------------------------------------===//

static bool same_layer(const Case &a, const Case &b) {
  GemmConfig x = shared_columns(tiled(a.config, false, 0, 0, 0, 0), 1);
  GemmConfig y = shared_columns(tiled(b.config, false, 0, 0, 0, 0), 1);
  return x == y && a.kind == b.kind;
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
    Operands o{to, layer.residual, layer.bias, layer.x_scales, layer.image, rows};
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

static int check_all(const std::string &format) {
  std::vector<Case> all = test_cases();
  int failures = 0;
  for (size_t i = 0; i < all.size();) {
    size_t end = i;
    while (end < all.size() && same_layer(all[i], all[end]))
      ++end;
    if (format.empty() || format == name_of(all[i].config.codes))
      failures += check_layer(std::vector<Case>(all.begin() + i, all.begin() + end));
    i = end;
  }
  std::printf("%s\n", failures ? "FAILED" : "all configurations are right");
  return failures != 0;
}

//===- time ---------------------------------------------------------------===//

/// Median microseconds of `count` launches of a graph, divided by `count`.
static double graph_us(cudaStream_t stream, int count, const std::function<void(int)> &call) {
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < count; ++i)
    call(i);
  CHECK(cudaStreamEndCapture(stream, &graph));
  CHECK(cudaGraphInstantiate(&ready, graph, 0));
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 9; ++i) {
    CHECK(cudaEventRecord(begin, stream));
    CHECK(cudaGraphLaunch(ready, stream));
    CHECK(cudaEventRecord(end, stream));
    CHECK(cudaStreamSynchronize(stream));
    float ms;
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  CHECK(cudaGraphExecDestroy(ready));
  CHECK(cudaGraphDestroy(graph));
  CHECK(cudaEventDestroy(begin));
  CHECK(cudaEventDestroy(end));
  return times[times.size() / 2] * 1e3 / count;
}

__global__ void read_all(const uint4 *p, size_t n, unsigned *out) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x, s = (size_t)gridDim.x * blockDim.x;
  unsigned a = 0;
  for (; i + 3 * s < n; i += 4 * s)
    for (int j = 0; j < 4; ++j) {
      uint4 v = __ldcs(p + i + j * s);
      a ^= v.x ^ v.y ^ v.z ^ v.w;
    }
  if (a == 0x12345678u)
    *out = a;
}

/// The best rate at which this card reads 4 GB, in GB/s.
static double read_ceiling(cudaStream_t stream) {
  const size_t size = 4000000000;
  auto *memory = allocate<unsigned char>(size);
  auto *out = allocate<unsigned>(1);
  CHECK(cudaMemset(memory, 0x5a, size));
  double best = 0;
  for (int blocks : {4, 8, 16})
    best = std::max(best, size * 1e-3 / graph_us(stream, 1, [&](int) {
                            read_all<<<132 * blocks, 512, 0, stream>>>((uint4 *)memory, size / 16,
                                                                       out);
                          }));
  CHECK(cudaFree(memory));
  CHECK(cudaFree(out));
  return best;
}

static int time_all(const std::string &format) {
  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream));
  cudaDeviceProp device;
  CHECK(cudaGetDeviceProperties(&device, 0));
  const double ceiling = read_ceiling(stream);
  std::printf("%s, reads %.0f GB/s\n", device.name, ceiling);
  for (const Case &test : timed_cases()) {
    const GemmConfig &c = test.config;
    if (!format.empty() && format != name_of(c.codes))
      continue;
    std::vector<int> rows;
    if (c.tile_t <= 64)
      rows = {c.tile_t == 8 ? 1 : c.tile_t};
    else
      rows = {c.tile_t, 4096};
    Layer layer(c, 4096);
    const long long image = (layer.layout.bytes + 255) / 256 * 256;
    const int copies = int(std::max(2ll, 200000000 / image + 1));
    auto *images = allocate<unsigned char>(image * copies);
    for (int i = 0; i < copies; ++i)
      CHECK(cudaMemcpy(images + i * image, layer.image, layer.layout.bytes,
                       cudaMemcpyDeviceToDevice));
    auto *output = allocate<float>(4096ll * c.n);
    for (int t : rows) {
      q::TensorMap map = tensor_map(c, layer.x, t);
      const int count = std::max(copies, t > 256 ? 2 : 24);
      double us = graph_us(stream, count, [&](int i) {
        Operands o{output, layer.residual, layer.bias, layer.x_scales, images + i % copies * image,
                   t};
        launch(test, o, map, stream);
      });
      double gb = layer.layout.bytes * 1e-3 / us, tf = 2e-6 * t * c.n * c.k / us;
      std::printf("%-6s %6dx%-6d T %-5d %-24s %5d KB %9.2f us %6.0f GB/s %5.1f %% %6.0f TFLOP/s\n",
                  name_of(c.codes), c.n, c.k, t, tile_name(c).c_str(), shared_bytes(c) / 1024, us,
                  gb, 100 * gb / ceiling, tf);
    }
    CHECK(cudaFree(images));
    CHECK(cudaFree(output));
  }
  return 0;
}

template <Codes codes> static void add_timed(std::vector<Case> &c) {
  constexpr bool kFragment = codes == Codes::s4;
  auto layer = []<int n, int k, bool pair, Kind kind>(std::vector<Case> &c) {
    constexpr GemmConfig base = kFragment ? grouped(codes, n, k, 128, false, Number::bf16, pair)
                                          : swizzled(codes, n, k, Number::f32, pair);
    constexpr int kDeep = codes == Codes::bf16 ? 256 : 512; // columns of 512 bytes or fewer
    constexpr int kRow = codes == Codes::bf16 ? 64 : 128;
    constexpr bool kWgmma = codes == Codes::e4m3;
    if constexpr (codes == Codes::s4) {
      add<shared_columns(tiled(base, false, 16, 8, 512, 8), 4), kind>(c);
      add<shared_columns(tiled(base, false, 32, 8, 1024, 3), 4), kind>(c);
      add<shared_columns(tiled(base, false, 32, 8, 512, 4), 4), kind>(c);
      add<shared_columns(tiled(base, false, 32, 8, 512, 6), 2), kind>(c);
      add<shared_columns(tiled(base, false, 64, 8, 512, 3), 2), kind>(c);
      add<shared_columns(tiled(base, false, 64, 8, 512, 3), 4), kind>(c);
      add<shared_columns(tiled(base, false, 32, 16, 512, 4), 4), kind>(c);
      add<shared_columns(tiled(base, false, 32, 32, 512, 3), 4), kind>(c);
      add<shared_columns(tiled(base, false, 64, 32, 512, 2), 4), kind>(c);
    } else if constexpr (codes == Codes::s8) {
      add<shared_columns(tiled(base, false, 16, 8, 512, 8), 2), kind>(c);
      add<shared_columns(tiled(base, false, 32, 8, 512, 5), 4), kind>(c);
      add<shared_columns(tiled(base, false, 64, 8, 512, 3), 2), kind>(c);
      add<shared_columns(tiled(base, false, 32, 16, 512, 4), 4), kind>(c);
      add<shared_columns(tiled(base, false, 32, 32, 512, 3), 4), kind>(c);
      add<shared_columns(tiled(base, false, 64, 32, 512, 2), 2), kind>(c);
    } else {
      if constexpr (codes == Codes::bf16)
        add<tiled(base, false, 32, 8, kDeep, 5), kind>(c);
      add<tiled(base, true, 16, 8, kDeep, 8), kind>(c);
      add<tiled(base, true, 32, 8, kDeep, 5), kind>(c);
      add<tiled(base, true, 64, 8, kDeep, 3), kind>(c);
      add<tiled(base, true, 32, 16, kDeep, 4), kind>(c);
      add<tiled(base, true, 32, 32, kDeep, 3), kind>(c);
      add<tiled(base, true, 32, 64, kDeep / 2, 4), kind>(c);
    }
    add<tiled(base, true, 64, 64, kRow * 2, 4), kind>(c);
    add<tiled(base, true, 128, 128, kRow, kFragment ? 5 : 6), kind>(c);
    if constexpr (!kFragment)
      add<tiled(base, true, 128, 256, kRow, 4), kind>(c);
  };
  layer.template operator()<4096, 4096, false, Kind::residual>(c);
  layer.template operator()<28672, 4096, true, Kind::gated>(c);
  layer.template operator()<4096, 14336, false, Kind::residual>(c);
}

static std::vector<Case> timed_cases() {
  std::vector<Case> c;
  add_timed<Codes::bf16>(c);
  add_timed<Codes::s8>(c);
  add_timed<Codes::e4m3>(c);
  add_timed<Codes::s4>(c);
  return c;
}

int main(int argc, char **argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string part = argc > 1 ? argv[1] : "", format = argc > 2 ? argv[2] : "";
  if (part == "check")
    return check_all(format);
  if (part == "time")
    return time_all(format);
  std::printf("usage: GemmTest check|time [bf16|e4m3|s8|s4|u4|s8_grouped]\n");
  return 2;
}
