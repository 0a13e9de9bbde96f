//===- GemmLayer.cuh - Random linear layers on a device -----------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What GemmTest.cu and GemmTime.cu share: epilogues, random operands, the launch, and a
// packer that is written from RFC 1 and shares no code with the device headers.
//
//===----------------------------------------------------------------------===//

#pragma once

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
  __device__ static float apply(float gate, float up) {
    return __fmul_rn(q::quotient(gate, __fadd_rn(1.0f, expf(-gate))), up);
  }
};
enum class Kind { plain, residual, logits, gated };

struct Operands {
  void *output;
  const q::bf16 *residual;
  const float *bias;
  const float *x_scales;
  const void *weight;
  const void *tokens;
  long long token_stride; // bytes
  long long rows;
};

template <GemmConfig config, Kind kind>
__global__ void __launch_bounds__(threads(config), 1)
    layer(Operands o, const __grid_constant__ q::TensorMap x) {
  constexpr int kStride = config.pair ? config.n / 2 : config.n;
  if constexpr (kind == Kind::plain)
    q::gemm<config>(x, o.x_scales, o.weight, Plain<kStride>{(q::bf16 *)o.output}, o.rows, o.tokens,
                    o.token_stride);
  if constexpr (kind == Kind::residual)
    q::gemm<config>(x, o.x_scales, o.weight,
                    Residual<kStride>{(q::bf16 *)o.output, o.residual, o.bias}, o.rows, o.tokens,
                    o.token_stride);
  if constexpr (kind == Kind::logits)
    q::gemm<config>(x, o.x_scales, o.weight, Logits<kStride>{(float *)o.output}, o.rows, o.tokens,
                    o.token_stride);
  if constexpr (kind == Kind::gated)
    q::gemm<config>(x, o.x_scales, o.weight, GatedUnit<kStride>{(q::bf16 *)o.output}, o.rows,
                    o.tokens, o.token_stride);
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

constexpr GemmConfig by_rows(GemmConfig c) {
  c.row_copies = true;
  return c;
}
constexpr GemmConfig shared_columns(GemmConfig c, int k_warps) {
  c.k_warps = k_warps;
  return c;
}

constexpr GemmConfig spread(GemmConfig c) {
  c.spread = true;
  c.tile_n = spread_channels(c);
  return c;
}

constexpr GemmConfig clustered(GemmConfig c, int blocks) {
  c.cluster = blocks;
  return c;
}

static const char *name_of(Codes codes) {
  const char *names[] = {"bf16", "e4m3", "s8", "s4", "u4", "s8_grouped"};
  return names[int(codes)];
}
static std::string tile_name(const GemmConfig &c) {
  return std::string(c.wgmma ? "wgmma " : "mma ") + std::to_string(c.tile_n) + "x" +
         std::to_string(c.tile_t) + " k" + std::to_string(c.k_stage) + " s" +
         std::to_string(c.stages) + (c.k_warps > 1 ? " w" + std::to_string(c.k_warps) : "") +
         (c.row_copies ? " rows" : "") + (c.spread ? " spread" : "") +
         (c.cluster > 1 ? " cluster " + std::to_string(c.cluster) : "");
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
  const cuuint64_t row_bytes = cuuint64_t(c.k) * bytes(token_number(c));
  cuuint64_t sizes[2] = {row_bytes, cuuint64_t(rows)}, strides[1] = {row_bytes};
  cuuint32_t box[2] = {128, cuuint32_t(box_tokens(c))}, steps[2] = {1, 1};
  CHECK(encode(reinterpret_cast<CUtensorMap *>(&map), CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, const_cast<void *>(x), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
               CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  return map;
}

static void launch(const Case &test, Operands &operands, q::TensorMap &map, cudaStream_t stream) {
  const GemmConfig &c = test.config;
  CHECK(cudaFuncSetAttribute(test.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             shared_bytes(c)));
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim = {1, unsigned(c.cluster), 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3((operands.rows + rows_per_block(c) - 1) / rows_per_block(c), grid_y(c));
  config.blockDim = dim3(threads(c));
  config.dynamicSmemBytes = shared_bytes(c);
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = c.cluster > 1 ? 2 : 1;
  void *arguments[] = {&operands, &map};
  CHECK(cudaLaunchKernelExC(&config, test.kernel, arguments));
}
