//===- RowKernelsTest.cu - Norms, codes, tables and cache writes -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   RowKernelsTest check   every kernel of single rows against its formula: bits where
//                          the order of rounding is fixed, else the bounds of
//                          docs/numerics.md
//   RowKernelsTest time    us of the layers of Llama-3.1-8B
//
// The packers here are written from RFC 1 and share no code with the headers.
//
//===----------------------------------------------------------------------===//

#include "../../include/qopt/Support/Float.h"
#include "GpuTest.cuh"
#include "elementwise.cuh"
#include "embedding.cuh"
#include "norm.cuh"
#include "rope.cuh"
#include <limits>

using namespace gpu_test;
namespace q = qopt::cuda;
using q::Codes, q::GemmConfig, q::Number;

using Bits = unsigned short; // of a bf16

static std::vector<q::bf16> randomRows(unsigned seed, size_t count, float deviation = 1.0f) {
  std::vector<q::bf16> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i].bits = qopt::floatToBf16(deviation * randomNormal(seed, i));
  return values;
}
static float value(q::bf16 x) { return qopt::bf16ToFloat(x.bits); }

/// Codes and scale of a row, as docs/numerics.md defines them.
template <class Code> struct HostCodes;
template <> struct HostCodes<q::int8_t> {
  static constexpr float levels = 127.5f;
  static unsigned char of(float x) {
    if (std::isnan(x))
      return 0;
    return static_cast<unsigned char>(
        static_cast<signed char>(std::clamp(std::nearbyint(x), -128.0f, 127.0f)));
  }
};
template <> struct HostCodes<q::e4m3> {
  static constexpr float levels = 448.0f;
  static unsigned char of(float x) { return qopt::floatToE4m3(x); }
};

/// Whether codes and scale are those of `row`, bit for bit.
template <class Code>
static bool sameCodes(const std::vector<float> &row, const unsigned char *codes, float scale) {
  float absmax = 0;
  for (float x : row)
    absmax = std::isnan(x) || std::isnan(absmax) ? NAN : std::max(absmax, std::fabs(x));
  float expected = absmax / HostCodes<Code>::levels;
  if (expected == 0)
    expected = 1;
  bool same = std::isnan(expected) ? std::isnan(scale) : scale == expected;
  for (size_t i = 0; i < row.size(); ++i) {
    unsigned char code = HostCodes<Code>::of(row[i] / expected);
    // A NaN has a code for each sign.
    if (std::isnan(row[i] / expected) && std::is_same_v<Code, q::e4m3>)
      same &= (codes[i] & 0x7f) == 0x7f;
    else
      same &= codes[i] == code;
  }
  return same;
}

//===- Norm and quantize --------------------------------------------------===//

/// Rows of `columns` in wider buffers, so that strides count.
template <int columns> struct NormCase {
  static constexpr q::NormConfig config = {columns, columns + 16, columns + 8, 1e-5f};
  static constexpr q::RowConfig row = {columns, columns + 16, columns + 8};
};

template <int columns>
__global__ void normKernel(const q::bf16 *x, const q::bf16 *w, q::bf16 *y, long long rows) {
  q::rms_norm<q::NormConfig(NormCase<columns>::config)>(x, w, y, rows);
}
template <int columns, class Code>
__global__ void normCodesKernel(const q::bf16 *x, const q::bf16 *w, Code *codes, float *scales,
                                long long rows) {
  q::rms_norm_quantized<q::NormConfig(NormCase<columns>::config)>(x, w, codes, scales, rows);
}
template <int columns, class Code>
__global__ void quantizeKernel(const q::bf16 *x, Code *codes, float *scales, long long rows) {
  q::quantize<q::RowConfig(NormCase<columns>::row)>(x, codes, scales, rows);
}

template <int columns, class Code>
static bool codesMatch(const std::vector<std::vector<float>> &rows, const Buffer<Code> &codes,
                       const Buffer<float> &scales) {
  auto hostCodes = codes.read();
  auto hostScales = scales.read();
  bool same = true;
  for (size_t r = 0; r < rows.size(); ++r)
    same &= sameCodes<Code>(rows[r],
                            reinterpret_cast<unsigned char *>(hostCodes.data()) +
                                r * NormCase<columns>::row.output_stride,
                            hostScales[r]);
  return same;
}

template <int columns> static void checkNorm() {
  constexpr int rows = 5, threads = q::row_threads(columns);
  constexpr q::NormConfig config = NormCase<columns>::config;
  auto x = randomRows(1, size_t(rows) * config.input_stride, 3.0f);
  for (int i = 0; i < columns; ++i)
    x[2 * config.input_stride + i].bits = 0; // a row of zeros
  auto w = randomRows(2, columns);
  Buffer<q::bf16> input(x), weight(w), output(size_t(rows) * config.output_stride);
  normKernel<columns><<<rows, threads>>>(input.get(), weight.get(), output.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  auto y = output.read();

  std::vector<float> out;
  std::vector<double> expected;
  std::vector<std::vector<float>> outRows(rows);
  bool untouched = true;
  for (int r = 0; r < rows; ++r) {
    double sum = 0;
    for (int i = 0; i < columns; ++i)
      sum += double(value(x[r * config.input_stride + i])) * value(x[r * config.input_stride + i]);
    for (int i = 0; i < config.output_stride; ++i) {
      q::bf16 result = y[r * config.output_stride + i];
      if (i >= columns) {
        untouched &= result.bits == 0xffff;
        continue;
      }
      out.push_back(value(result));
      outRows[r].push_back(value(result));
      expected.push_back(value(x[r * config.input_stride + i]) /
                         std::sqrt(sum / columns + double(config.eps)) * value(w[i]));
    }
  }
  double error = relativeError(out, expected);
  char name[120];
  std::snprintf(name, sizeof name, "norm of %d columns: relative error %.2e", columns, error);
  report(error < 4e-3 && untouched, name);

  Buffer<q::int8_t> s8(size_t(rows) * config.output_stride);
  Buffer<q::e4m3> f8(size_t(rows) * config.output_stride);
  Buffer<float> scales(rows);
  normCodesKernel<columns>
      <<<rows, threads>>>(input.get(), weight.get(), s8.get(), scales.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  report(codesMatch<columns>(outRows, s8, scales), "  its int8 codes are those of its values");
  scales.poison();
  normCodesKernel<columns>
      <<<rows, threads>>>(input.get(), weight.get(), f8.get(), scales.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  report(codesMatch<columns>(outRows, f8, scales), "  its e4m3 codes are those of its values");
}

template <int columns> static void checkQuantize() {
  constexpr int rows = 9;
  constexpr int exponents[] = {110, -78, -120}; // near and beyond where a reciprocal still divides
  constexpr q::RowConfig config = NormCase<columns>::row;
  auto x = randomRows(3, size_t(rows) * config.input_stride);
  std::vector<std::vector<float>> values(rows);
  for (int r = 0; r < rows; ++r) {
    q::bf16 *row = x.data() + r * config.input_stride;
    for (int i = 0; i < columns; ++i) {
      if (r == 1)
        row[i].bits = i % 2 ? 0x8000 : 0; // zeros of both signs
      if (r == 2)
        row[i].bits = qopt::floatToBf16(float(i % 511 - 255) * 0.5f); // halves between codes
      if (r == 4)
        row[i].bits = i == 7 ? 1 : 0; // the least subnormal
      if (r >= 6)
        row[i].bits = qopt::floatToBf16(std::ldexp(value(row[i]), exponents[r - 6]));
    }
    if (r == 3)
      row[columns - 1].bits = 0x7fc0; // a NaN
    for (int i = 0; i < columns; ++i)
      values[r].push_back(value(row[i]));
  }
  Buffer<q::bf16> input(x);
  Buffer<q::int8_t> s8(size_t(rows) * config.output_stride);
  Buffer<q::e4m3> f8(size_t(rows) * config.output_stride);
  Buffer<float> scales(rows);
  quantizeKernel<columns>
      <<<rows, q::row_threads(columns)>>>(input.get(), s8.get(), scales.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  char name[120];
  std::snprintf(name, sizeof name, "quantize %d columns to int8, bits", columns);
  report(codesMatch<columns>(values, s8, scales), name);
  scales.poison();
  quantizeKernel<columns>
      <<<rows, q::row_threads(columns)>>>(input.get(), f8.get(), scales.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  std::snprintf(name, sizeof name, "quantize %d columns to e4m3, bits", columns);
  report(codesMatch<columns>(values, f8, scales), name);
}

//===- Elementwise and gather ---------------------------------------------===//

constexpr int silColumns = 1544, silStride = 2 * silColumns + 8;

/// silu(gate) * up of two slices of one buffer, times a vector.
struct SiluMul {
  static constexpr int extras = 3;
  const q::bf16 *extra0;
  static constexpr int extra0_stride = silStride;
  const q::bf16 *extra1;
  static constexpr int extra1_stride = silStride;
  const float *extra2;
  static constexpr int extra2_stride = 0;
  __device__ static float apply(float gate, float up, float factor) {
    return q::to_float(q::to_bf16(gate / (1.0f + expf(-gate)) * up * factor));
  }
};
constexpr q::RowConfig silConfig = {silColumns, 0, silColumns + 8};

template <class Output> __global__ void siluKernel(SiluMul body, Output *y, long long rows) {
  q::elementwise<silConfig>(body, y, rows);
}
__global__ void siluCodesKernel(SiluMul body, q::e4m3 *codes, float *scales, long long rows) {
  q::elementwise_quantized<silConfig>(body, codes, scales, rows);
}

static void checkElementwise() {
  constexpr int rows = 4;
  auto x = randomRows(5, size_t(rows) * silStride, 2.0f);
  std::vector<float> factors(silColumns);
  for (int i = 0; i < silColumns; ++i)
    factors[i] = randomNormal(6, i);
  Buffer<q::bf16> input(x), output(size_t(rows) * silConfig.output_stride);
  Buffer<float> factor(factors), floats(size_t(rows) * silConfig.output_stride);
  SiluMul body = {input.get(), input.get() + silColumns, factor.get()};
  dim3 grid(rows, q::elementwise_blocks(silColumns));
  siluKernel<<<grid, q::elementwise_threads(silColumns)>>>(body, output.get(), rows);
  siluKernel<<<grid, q::elementwise_threads(silColumns)>>>(body, floats.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  auto y = output.read();
  auto yFloats = floats.read();
  std::vector<float> out;
  std::vector<double> expected;
  std::vector<std::vector<float>> outRows(rows);
  bool same = true;
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < silColumns; ++i) {
      double gate = value(x[r * silStride + i]), up = value(x[r * silStride + silColumns + i]);
      out.push_back(value(y[r * silConfig.output_stride + i]));
      outRows[r].push_back(out.back());
      same &= out.back() == yFloats[r * silConfig.output_stride + i];
      expected.push_back(gate / (1 + std::exp(-gate)) * up * factors[i]);
    }
  double error = relativeError(out, expected);
  char name[120];
  std::snprintf(name, sizeof name, "elementwise silu_mul of slices: relative error %.2e", error);
  report(error < 4e-3 && same, name);

  Buffer<q::e4m3> codes(size_t(rows) * silConfig.output_stride);
  Buffer<float> scales(rows);
  siluCodesKernel<<<rows, q::row_threads(silColumns)>>>(body, codes.get(), scales.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  auto hostCodes = codes.read();
  auto hostScales = scales.read();
  bool match = true;
  for (int r = 0; r < rows; ++r)
    match &= sameCodes<q::e4m3>(outRows[r],
                                reinterpret_cast<unsigned char *>(hostCodes.data()) +
                                    r * silConfig.output_stride,
                                hostScales[r]);
  report(match, "  its codes are those of its values");
}

template <class Element>
__global__ void gatherKernel(const Element *x, const int *index, Element *y, long long rows) {
  q::gather<q::RowConfig{584, 600, 592}>(x, index, y, rows);
}
static void checkGather() {
  auto x = randomRows(7, 9 * 600);
  std::vector<int> index = {8, 0, 3, 3};
  Buffer<q::bf16> input(x), output(4 * 592);
  Buffer<int> rows(index);
  gatherKernel<<<4, q::row_threads(584)>>>(input.get(), rows.get(), output.get(), 4);
  CHECK_CUDA(cudaDeviceSynchronize());
  auto y = output.read();
  bool same = true;
  for (int r = 0; r < 4; ++r)
    for (int i = 0; i < 592; ++i)
      same &= y[r * 592 + i].bits == (i < 584 ? x[index[r] * 600 + i].bits : 0xffff);
  report(same, "gather, bits");
}

//===- Embedding ----------------------------------------------------------===//

/// A packed table and what its elements are.
struct Table {
  std::vector<unsigned char> image;
  std::vector<float> values; // [n, k], before rounding
};

static float storeNumber(Number number, float x, unsigned char *to) {
  Bits bits = number == Number::f16 ? qopt::floatToF16(x) : qopt::floatToBf16(x);
  if (number == Number::f32) {
    std::memcpy(to, &x, 4);
    return x;
  }
  std::memcpy(to, &bits, 2);
  return number == Number::f16 ? qopt::f16ToFloat(bits) : qopt::bf16ToFloat(bits);
}
static int numberBytes(Number number) { return number == Number::f32 ? 4 : 2; }

/// [N/16][K bytes / 128][16][128], chunk c at c ^ (row % 8); scales [N padded].
static Table packSwizzled(const GemmConfig &t) {
  int element = t.codes == Codes::bf16 ? 2 : 1, padded = (t.n + 63) / 64 * 64;
  int rowBlocks = (t.k * element + 127) / 128;
  size_t codeBytes = size_t(padded) * rowBlocks * 128;
  Table table;
  table.image.resize(codeBytes + (element == 1 ? padded * numberBytes(t.scale) : 0));
  table.values.resize(size_t(t.n) * t.k);
  for (int n = 0; n < t.n; ++n) {
    float scale = 1;
    if (element == 1)
      scale = storeNumber(t.scale, 0.01f + 0.001f * (n % 97),
                          table.image.data() + codeBytes + n * numberBytes(t.scale));
    for (int k = 0; k < t.k; ++k) {
      int byte = k * element;
      unsigned char *to = table.image.data() +
                          ((size_t(n / 16) * rowBlocks + byte / 128) * 16 + n % 16) * 128 +
                          ((byte % 128 / 16) ^ (n % 8)) * 16 + byte % 16;
      unsigned bits = unsigned(randomBits(11, size_t(n) * t.k + k));
      float code;
      if (t.codes == Codes::bf16) {
        Bits b = qopt::floatToBf16(randomNormal(11, size_t(n) * t.k + k));
        std::memcpy(to, &b, 2);
        code = qopt::bf16ToFloat(b);
      } else if (t.codes == Codes::e4m3) {
        *to = (bits & 0x7f) == 0x7f ? 0 : bits & 0xff;
        code = qopt::e4m3ToFloat(*to);
      } else {
        *to = bits & 0xff;
        code = static_cast<signed char>(*to);
      }
      table.values[size_t(n) * t.k + k] = scale * code;
    }
  }
  return table;
}

/// [N/16][K/group] blocks: codes of A fragments, scales[16], minima[16].
static Table packFragment(const GemmConfig &t) {
  int padded = (t.n + 63) / 64 * 64, groups = t.k / t.group;
  int bits = t.codes == Codes::s8_grouped ? 8 : 4, codeBytes = 16 * t.group * bits / 8;
  int size = numberBytes(t.scale), blockBytes = codeBytes + 16 * size * (t.affine ? 2 : 1);
  int words = t.group / 16 * bits / 4, side = std::min(4, words);
  Table table;
  table.image.resize(size_t(padded) / 16 * groups * blockBytes);
  table.values.resize(size_t(t.n) * t.k);
  for (int n = 0; n < t.n; ++n)
    for (int k = 0; k < t.k; ++k) {
      int row = n % 16, group = k / t.group;
      unsigned char *block = table.image.data() + (size_t(n / 16) * groups + group) * blockBytes;
      float scale = storeNumber(t.scale, 0.01f + 0.001f * ((n * 7 + group) % 97),
                                block + codeBytes + row * size);
      float minimum = 0;
      if (t.affine)
        minimum = storeNumber(t.scale, -0.3f + 0.002f * ((n * 5 + group) % 89),
                              block + codeBytes + (16 + row) * size);
      int step = k % t.group / 16, in = k % 16;
      int lane = 4 * (row % 8) + in % 8 / 2, reg = row / 8 + 2 * (in / 8), e = in % 2;
      int word = bits == 4 ? step : 2 * step + reg / 2;
      unsigned stored = unsigned(randomBits(12, size_t(n) * t.k + k)) & ((1u << bits) - 1);
      unsigned shift = bits == 4 ? 4 * reg + 16 * e : 8 * (reg % 2 * 2 + e);
      unsigned char *to = block + ((word / side * 32 + lane) * side + word % side) * 4;
      unsigned current;
      std::memcpy(&current, to, 4);
      current |= stored << shift;
      std::memcpy(to, &current, 4);
      int offset = t.codes == Codes::s4 ? 8 : t.codes == Codes::u4 ? 0 : 128;
      float product = scale * float(int(stored) - offset);
      table.values[size_t(n) * t.k + k] = t.affine ? product + minimum : product;
    }
  return table;
}

__host__ __device__ constexpr GemmConfig tableConfig(Codes codes, int k, int group, bool affine,
                                                     Number scale) {
  GemmConfig t = {};
  t.codes = codes;
  t.n = 200;
  t.k = k;
  t.group = group;
  t.affine = affine;
  t.scale = scale;
  return t;
}

// Kernels are templates of plain values: nvcc can't name one by a structure.
template <Codes codes, int k, int group, bool affine, Number scale>
__global__ void embeddingKernel(const int *tokens, const void *image, q::bf16 *y, long long rows) {
  q::embedding<q::RowConfig{k, 0, k + 8}, tableConfig(codes, k, group, affine, scale)>(
      tokens, image, y, rows);
}
template <int columns>
__global__ void plainEmbeddingKernel(const int *tokens, const q::bf16 *table, q::bf16 *y,
                                     long long rows) {
  q::embedding<q::RowConfig{columns, columns, columns + 8}>(tokens, table, y, rows);
}

static void compareEmbedding(const char *name, int k, const std::vector<int> &tokens,
                             const Buffer<q::bf16> &output, const std::vector<float> &values) {
  CHECK_CUDA(cudaDeviceSynchronize());
  auto y = output.read();
  bool same = true;
  for (size_t r = 0; r < tokens.size(); ++r)
    for (int i = 0; i < k + 8; ++i)
      same &= y[r * (k + 8) + i].bits ==
              (i < k ? qopt::floatToBf16(values[size_t(tokens[r]) * k + i]) : 0xffff);
  report(same, std::string("embedding from ") + name + ", bits");
}

static const std::vector<int> embeddingTokens = {0, 199, 7, 8, 15, 16, 100, 63, 64, 7};

template <Codes codes, int k, int group, bool affine, Number scale>
static void checkEmbedding(const char *name) {
  constexpr GemmConfig table = tableConfig(codes, k, group, affine, scale);
  Table host = is_fragment(table) ? packFragment(table) : packSwizzled(table);
  Buffer<unsigned char> image(host.image);
  Buffer<int> tokens(embeddingTokens);
  Buffer<q::bf16> output(embeddingTokens.size() * (k + 8));
  embeddingKernel<codes, k, group, affine, scale>
      <<<unsigned(embeddingTokens.size()), q::row_threads(k)>>>(
          tokens.get(), image.get(), output.get(), embeddingTokens.size());
  compareEmbedding(name, k, embeddingTokens, output, host.values);
}

static void checkEmbeddings() {
  auto x = randomRows(13, 200 * 576);
  std::vector<float> values;
  for (q::bf16 v : x)
    values.push_back(value(v));
  Buffer<q::bf16> table(x), output(embeddingTokens.size() * (576 + 8));
  Buffer<int> tokens(embeddingTokens);
  plainEmbeddingKernel<576><<<unsigned(embeddingTokens.size()), q::row_threads(576)>>>(
      tokens.get(), table.get(), output.get(), embeddingTokens.size());
  compareEmbedding("row_major bf16", 576, embeddingTokens, output, values);
  checkEmbedding<Codes::bf16, 584, 0, false, Number::f32>("swizzled bf16");
  checkEmbedding<Codes::e4m3, 584, 0, false, Number::bf16>("swizzled e4m3");
  checkEmbedding<Codes::s8, 576, 0, false, Number::f32>("swizzled s8");
  checkEmbedding<Codes::s4, 576, 32, false, Number::f16>("fragment s4 of 32");
  checkEmbedding<Codes::s4, 768, 128, false, Number::bf16>("fragment s4 of 128");
  checkEmbedding<Codes::u4, 576, 32, true, Number::f16>("fragment u4 of 32, affine");
  checkEmbedding<Codes::u4, 576, 64, true, Number::f32>("fragment u4 of 64, affine");
  checkEmbedding<Codes::s8_grouped, 576, 32, false, Number::f16>("fragment s8 of 32");
}

//===- Rope and the cache -------------------------------------------------===//

template <int headDim>
__global__ void tableKernel(const int *positions, const float *frequencies, float *table,
                            long long rows) {
  q::rotary_table<headDim>(positions, frequencies, table, rows);
}

static std::vector<float> frequencies(int headDim) {
  std::vector<float> f(headDim / 2);
  for (int i = 0; i < headDim / 2; ++i)
    f[i] = float(std::pow(500000.0, -2.0 * i / headDim));
  return f;
}

static void checkRotaryTable() {
  constexpr int rows = 20000, headDim = 128;
  std::vector<int> positions(rows);
  for (int r = 0; r < rows; ++r)
    positions[r] = r < 2000   ? r
                   : r < 4000 ? (1 << 20) - 1 - (r - 2000)
                              : int(randomBits(14, r) & ((1 << 20) - 1));
  std::vector<float> f = frequencies(headDim);
  Buffer<int> p(positions);
  Buffer<float> fs(f), table(size_t(rows) * headDim);
  tableKernel<headDim><<<rows, 64>>>(p.get(), fs.get(), table.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  auto y = table.read();
  double worst = 0;
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < headDim / 2; ++i) {
      double angle = float(positions[r]) * f[i];
      double cos = std::fabs(y[size_t(r) * headDim + i] - std::cos(angle));
      double sin = std::fabs(y[size_t(r) * headDim + headDim / 2 + i] - std::sin(angle));
      // The negation keeps a NaN.
      if (!(std::max(cos, sin) <= worst))
        worst = std::max(cos, sin);
    }
  char name[120];
  std::snprintf(name, sizeof name, "rotary table, positions below 2^20: error %.2f x 2^-23",
                worst * 8388608);
  report(worst <= 1.0 / 8388608, name);
}

/// A head's pair of halves, rotated as docs/numerics.md rounds.
static void rotate(const q::bf16 *head, const float *table, int headDim, Bits *to) {
  for (int i = 0; i < headDim / 2; ++i) {
    float low = value(head[i]), high = value(head[headDim / 2 + i]);
    float cos = table[i], sin = table[headDim / 2 + i];
    volatile float a = low * cos, b = high * sin, c = high * cos, d = low * sin;
    to[i] = qopt::floatToBf16(a - b);
    to[headDim / 2 + i] = qopt::floatToBf16(c + d);
  }
}

__host__ __device__ constexpr q::AppendConfig appendConfig(int heads, int kvHeads, int headDim) {
  q::AppendConfig c = {};
  c.kv_heads = kvHeads;
  c.head_dim = headDim;
  c.heads = heads;
  c.key_stride = c.value_stride = c.query_stride = (heads + 2 * kvHeads) * headDim;
  c.output_stride = heads * headDim + 8;
  c.page_bytes = 3ll * 2 * kvHeads * 64 * headDim * 2; // three layers
  return c;
}

template <int heads, int kvHeads, int headDim>
__global__ void ropeAppendKernel(const q::bf16 *qkv, const float *table, void *pool,
                                 const int *positions, const int *sequences, const int *tables,
                                 long long maxPages, q::bf16 *y, long long rows) {
  q::rope_append<appendConfig(heads, kvHeads, headDim)>(
      qkv, qkv + heads * headDim, qkv + (heads + kvHeads) * headDim, table, pool, positions,
      sequences, tables, maxPages, y, rows);
}
template <int heads, int kvHeads, int headDim>
__global__ void appendKernel(const q::bf16 *qkv, void *pool, const int *positions,
                             const int *sequences, const int *tables, long long maxPages,
                             long long rows) {
  q::kv_append<appendConfig(heads, kvHeads, headDim)>(qkv + heads * headDim,
                                                      qkv + (heads + kvHeads) * headDim, pool,
                                                      positions, sequences, tables, maxPages, rows);
}
template <int heads, int kvHeads, int headDim>
__global__ void ropeKernel(const q::bf16 *qkv, const float *table, q::bf16 *y, long long rows) {
  q::rope<q::RopeConfig{heads, headDim, (heads + 2 * kvHeads) * headDim, heads * headDim + 8}>(
      qkv, table, y, rows);
}

template <int heads, int kvHeads, int headDim> static void checkAppend() {
  constexpr q::AppendConfig config = appendConfig(heads, kvHeads, headDim);
  constexpr int rows = 6, pages = 9, maxPages = 3, columns = config.query_stride;
  std::vector<int> positions = {0, 63, 64, 0, 130, 17}, sequences = {0, 1, 1, -1, 0, 1};
  std::vector<int> tables = {8, 2, 5, 3, 0, 7};
  auto x = randomRows(15, size_t(rows) * columns);
  std::vector<float> rotary(size_t(rows) * headDim);
  for (size_t i = 0; i < rotary.size(); ++i)
    rotary[i] = randomNormal(16, i);
  Buffer<q::bf16> qkv(x), output(size_t(rows) * config.output_stride);
  Buffer<float> table(rotary);
  Buffer<int> p(positions), s(sequences), t(tables);
  int threads = q::rope_threads(heads, kvHeads, headDim);
  long long layerOffset = config.page_bytes / 3;

  std::vector<Bits> rotatedQueries(size_t(rows) * heads * headDim);
  for (int r = 0; r < rows; ++r)
    for (int h = 0; h < heads; ++h)
      rotate(x.data() + r * columns + h * headDim, rotary.data() + r * headDim, headDim,
             rotatedQueries.data() + (r * heads + h) * headDim);
  auto queriesMatch = [&] {
    auto y = output.read();
    bool same = true;
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < config.output_stride; ++i)
        same &= y[r * config.output_stride + i].bits ==
                (i < heads * headDim ? rotatedQueries[r * heads * headDim + i] : 0xffff);
    return same;
  };
  auto poolMatches = [&](const Buffer<unsigned char> &pool, bool rotated) {
    std::vector<unsigned char> expected(pool.size(), 0xff);
    std::vector<Bits> key(headDim);
    for (int r = 0; r < rows; ++r) {
      if (sequences[r] < 0)
        continue;
      unsigned char *page = expected.data() + layerOffset +
                            tables[sequences[r] * maxPages + positions[r] / 64] * config.page_bytes;
      for (int h = 0; h < kvHeads; ++h) {
        const q::bf16 *keys = x.data() + r * columns + (heads + h) * headDim;
        const q::bf16 *values = keys + kvHeads * headDim;
        for (int i = 0; i < headDim; ++i)
          key[i] = keys[i].bits;
        if (rotated)
          rotate(keys, rotary.data() + r * headDim, headDim, key.data());
        for (int i = 0; i < headDim; ++i) {
          int token = positions[r] % 64;
          std::memcpy(page + pageOffset(false, kvHeads, headDim, h, token, i), &key[i], 2);
          std::memcpy(page + pageOffset(true, kvHeads, headDim, h, token, i), &values[i], 2);
        }
      }
    }
    return expected == pool.read();
  };

  Buffer<unsigned char> pool(pages * config.page_bytes);
  ropeAppendKernel<heads, kvHeads, headDim>
      <<<rows, threads>>>(qkv.get(), table.get(), pool.get() + layerOffset, p.get(), s.get(),
                          t.get(), maxPages, output.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  char name[120];
  std::snprintf(name, sizeof name, "rope_append %d/%d x %d: queries and pages, bits", heads,
                kvHeads, headDim);
  report(queriesMatch() && poolMatches(pool, true), name);
  pool.poison();
  output.poison();
  appendKernel<heads, kvHeads, headDim><<<rows, threads>>>(
      qkv.get(), pool.get() + layerOffset, p.get(), s.get(), t.get(), maxPages, rows);
  ropeKernel<heads, kvHeads, headDim>
      <<<rows, threads>>>(qkv.get(), table.get(), output.get(), rows);
  CHECK_CUDA(cudaDeviceSynchronize());
  report(queriesMatch() && poolMatches(pool, false), "  rope and kv_append, bits");
}

//===- Quotients by one or more -------------------------------------------===//

__global__ void quotientKernel(const float *x, const float *divisors, float *y, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count)
    y[i] = q::quotient(x[i], divisors[i]);
}

/// Bits of x / divisor by the host, for divisors as a logistic function's and all others.
static void checkQuotients() {
  constexpr int count = 1 << 20;
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x(count), divisors(count);
  for (int i = 0; i < count; ++i) {
    x[i] = randomNormal(8, i) * (i % 2 ? 2.0f : 60.0f);
    divisors[i] = i % 3 ? 1.0f + std::exp(-x[i])
                        : std::exp2(64.0f + 21.0f * std::fmin(std::fabs(randomNormal(9, i)), 3.0f));
  }
  x[0] = 0.0f, x[1] = -0.0f, x[2] = infinity, x[3] = -infinity, x[4] = -90.0f;
  divisors[0] = divisors[1] = 2.0f, divisors[2] = divisors[3] = 1.0f, divisors[4] = infinity;
  Buffer<float> a(x), b(divisors), y(count);
  quotientKernel<<<count / 256, 256>>>(a.get(), b.get(), y.get(), count);
  CHECK_CUDA(cudaDeviceSynchronize());
  auto quotients = y.read();
  bool same = true;
  for (int i = 0; i < count; ++i) {
    const float expected = x[i] / divisors[i];
    same &= std::memcmp(&quotients[i], &expected, 4) == 0;
  }
  report(same, "quotients by one or more have the bits of divisions");
}

static int check() {
  checkNorm<576>();
  checkNorm<8>();
  checkNorm<4096>();
  checkNorm<16384>();
  checkQuantize<1536>();
  checkQuantize<14336>();
  checkElementwise();
  checkQuotients();
  checkGather();
  checkEmbeddings();
  checkRotaryTable();
  checkAppend<9, 3, 64>();
  checkAppend<32, 8, 128>();
  checkAppend<4, 2, 16>();
  checkAppend<4, 1, 80>();
  checkAppend<2, 2, 256>();
  std::printf("%d failures\n", failures);
  return failures != 0;
}

//===- Times --------------------------------------------------------------===//

static int time() {
  for (int rows : {1, 64, 4096}) {
    constexpr q::NormConfig config = NormCase<4096>::config;
    Buffer<q::bf16> x(randomRows(1, size_t(rows) * config.input_stride)), w(randomRows(2, 4096));
    Buffer<q::bf16> y(size_t(rows) * config.output_stride);
    Buffer<q::e4m3> codes(size_t(rows) * config.output_stride);
    Buffer<float> scales(rows);
    double norm = microseconds(50, [&](int, cudaStream_t stream) {
      launchDependent(normKernel<4096>, dim3(rows), q::row_threads(4096), 0, stream, x.get(),
                      w.get(), y.get(), (long long)rows);
    });
    double quantized = microseconds(50, [&](int, cudaStream_t stream) {
      launchDependent(normCodesKernel<4096, q::e4m3>, dim3(rows), q::row_threads(4096), 0, stream,
                      x.get(), w.get(), codes.get(), scales.get(), (long long)rows);
    });
    std::printf("norm of 4096 columns, %4d rows: %6.2f us; to e4m3 %6.2f us\n", rows, norm,
                quantized);
  }
  constexpr q::AppendConfig config = appendConfig(32, 8, 128);
  for (int rows : {1, 64}) {
    Buffer<q::bf16> qkv(randomRows(3, size_t(rows) * config.query_stride));
    Buffer<q::bf16> y(size_t(rows) * config.output_stride);
    Buffer<float> table(std::vector<float>(size_t(rows) * 128, 0.5f));
    std::vector<int> positions(rows, 1000), sequences(rows), tables(size_t(rows) * 16);
    for (int r = 0; r < rows; ++r)
      sequences[r] = r;
    for (size_t i = 0; i < tables.size(); ++i)
      tables[i] = int(i / 16);
    Buffer<int> p(positions), s(sequences), t(tables);
    Buffer<unsigned char> pool(rows * config.page_bytes);
    double us = microseconds(50, [&](int, cudaStream_t stream) {
      launchDependent(ropeAppendKernel<32, 8, 128>, dim3(rows), q::rope_threads(32, 8, 128), 0,
                      stream, qkv.get(), table.get(), pool.get(), p.get(), s.get(), t.get(), 16ll,
                      y.get(), (long long)rows);
    });
    std::printf("rope_append 32/8 x 128, %d rows: %.2f us\n", rows, us);
  }
  return 0;
}

int main(int count, char **arguments) {
  if (count == 2 && std::string(arguments[1]) == "check")
    return check();
  if (count == 2 && std::string(arguments[1]) == "time")
    return time();
  std::printf("usage: RowKernelsTest check|time\n");
  return 2;
}
