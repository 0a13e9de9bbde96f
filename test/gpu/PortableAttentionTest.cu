//===- PortableAttentionTest.cu - Attention of sm_80 and later -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   PortableAttentionTest check   tiles against float64, and bit for bit against decode
//   PortableAttentionTest time    decode and prefill
//
// scripts/build-gpu-tests builds it twice: as PTX of sm_80, which the driver translates for
// any newer GPU, and, with QOPT_HOPPER, for sm_90a, where bits are compared with those of
// the kernels of Hopper, too.
//
//===----------------------------------------------------------------------===//

#include "AttentionStep.cuh"
#include "portable_tiles.cuh"
#ifdef QOPT_HOPPER
#include "attention_tiles.cuh"
#endif

//===- Kernels ------------------------------------------------------------===//

__host__ __device__ constexpr AttentionConfig decode(int heads, int kvHeads, int headDim) {
  AttentionConfig c = base(heads, kvHeads, headDim);
  q::set_portable_decode_schedule(c);
  return c;
}
__host__ __device__ constexpr AttentionConfig tiles(int heads, int kvHeads, int headDim) {
  AttentionConfig c = base(heads, kvHeads, headDim);
  q::set_portable_tile_schedule(c);
  return c;
}

// Kernels are templates of plain values: nvcc can't name one by a structure.
template <int heads, int kvHeads, int headDim>
__global__ void __launch_bounds__(q::portable_threads(decode(heads, kvHeads, headDim)), 1)
    decodeKernel(Arguments a) {
  q::portable_attention_decode<decode(heads, kvHeads, headDim)>(
      a.query, a.pool, a.positions, a.sequences, a.tables, a.maxPages, a.output, a.rows);
}
template <int heads, int kvHeads, int headDim>
__global__ void __launch_bounds__(q::portable_threads(tiles(heads, kvHeads, headDim)), 1)
    tilesKernel(Arguments a) {
  q::portable_attention_tiles<tiles(heads, kvHeads, headDim)>(a.query, a.pool, a.positions,
                                                              a.sequences, a.tables, a.maxPages,
                                                              a.output, a.tiles, a.tileCount);
}

/// As the runtime launches code of sm_80: a kernel starts when its predecessor has ended.
template <class Kernel>
static void launch(Kernel *kernel, dim3 grid, int threads, int sharedBytes, cudaStream_t stream,
                   const Arguments &a) {
  CHECK_CUDA(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sharedBytes));
  kernel<<<grid, threads, sharedBytes, stream>>>(a);
  CHECK_CUDA(cudaGetLastError());
}
template <int heads, int kvHeads, int headDim>
static void launchDecode(const Arguments &a, cudaStream_t stream = nullptr) {
  constexpr AttentionConfig c = decode(heads, kvHeads, headDim);
  launch(decodeKernel<heads, kvHeads, headDim>, dim3(unsigned(a.rows), kvHeads),
         q::portable_threads(c), q::decode_shared_bytes(c), stream, a);
}
template <int heads, int kvHeads, int headDim>
static void launchTiles(const Arguments &a, cudaStream_t stream = nullptr) {
  constexpr AttentionConfig c = tiles(heads, kvHeads, headDim);
  launch(tilesKernel<heads, kvHeads, headDim>,
         dim3(unsigned(a.tileCount), kvHeads, q::portable_row_blocks(c)),
         q::portable_threads(c), q::portable_tile_bytes(c), stream, a);
}

#ifdef QOPT_HOPPER
__host__ __device__ constexpr AttentionConfig hopperTiles(int heads, int kvHeads, int headDim) {
  AttentionConfig c = base(heads, kvHeads, headDim);
  q::set_tile_schedule(c);
  return c;
}
template <int heads, int kvHeads, int headDim>
__global__ void __launch_bounds__(q::tile_threads(hopperTiles(heads, kvHeads, headDim)), 1)
    hopperKernel(Arguments a) {
  q::attention_tiles<hopperTiles(heads, kvHeads, headDim)>(a.query, a.pool, a.positions,
                                                           a.sequences, a.tables, a.maxPages,
                                                           a.output, a.tiles, a.tileCount);
}
template <int heads, int kvHeads, int headDim> static void launchHopper(const Arguments &a) {
  constexpr AttentionConfig c = hopperTiles(heads, kvHeads, headDim);
  launchDependent(hopperKernel<heads, kvHeads, headDim>, dim3(unsigned(a.tileCount), kvHeads),
                  q::tile_threads(c), q::tile_shared_bytes(c), nullptr, a);
}
#endif

//===- Checks -------------------------------------------------------------===//

template <int heads, int kvHeads, int headDim>
static void checkKernels(const char *what, const std::vector<int> &lengths, const Rows &rows,
                         long long minPoolPages = 0) {
  constexpr AttentionConfig config = tiles(heads, kvHeads, headDim);
  Cache<config> cache(lengths, minPoolPages);
  Step<config> step(cache, rows);
  const auto bits = step.run([&] { launchTiles<heads, kvHeads, headDim>(step.arguments); });
  std::vector<float> out;
  for (unsigned short b : bits)
    out.push_back(bf16Value(b));
  const double error =
      relativeError(out, referenceOf(step, *std::max_element(lengths.begin(), lengths.end())));
  const size_t others =
      differing(bits, step.run([&] { launchDecode<heads, kvHeads, headDim>(step.arguments); }));
  size_t hopper = 0;
#ifdef QOPT_HOPPER
  hopper =
      differing(bits, step.run([&] { launchHopper<heads, kvHeads, headDim>(step.arguments); }));
#endif
  char name[200];
  std::snprintf(name, sizeof name,
                "heads %d/%d x %d, %s: relative error %.2e; of %zu %zu differ in decode, %zu from "
                "Hopper's kernels",
                heads, kvHeads, headDim, what, error, bits.size(), others, hopper);
  report(error < 4e-3 && others == 0 && hopper == 0, name);
}

template <int heads, int kvHeads, int headDim> static void checkMixed() {
  checkKernels<heads, kvHeads, headDim>("chunks and single tokens", mixedLengths, mixedRows());
}

/// Rows without a sequence get zeros; the others are what they are alone.
static void checkIdleRows() {
  constexpr AttentionConfig config = decode(9, 3, 64);
  Cache<config> cache({400, 100}, 0);
  Rows rows, alone;
  rows.add(-1, 0, 1);
  rows.add(1, 99, 1);
  alone.add(1, 99, 1);
  Step<config> step(cache, rows), one(cache, alone);
  auto bits = step.run([&] { launchDecode<9, 3, 64>(step.arguments); });
  auto expected = one.run([&] { launchDecode<9, 3, 64>(one.arguments); });
  expected.insert(expected.begin(), size_t(config.heads) * config.head_dim, 0);
  report(differing(bits, expected) == 0, "idle rows are zero, and change no other");
}

static int check() {
  checkMixed<9, 3, 64>();
  checkMixed<32, 8, 128>();
  checkMixed<2, 2, 16>();
  checkMixed<5, 1, 32>();
  checkMixed<12, 2, 48>();
  checkMixed<16, 1, 80>();
  checkMixed<7, 1, 96>();
  checkMixed<22, 2, 112>();
  checkMixed<4, 4, 160>();
#ifndef QOPT_HOPPER // made for the registers of sm_80: ptxas spills some for sm_90a
  checkMixed<6, 3, 192>();
  checkMixed<2, 1, 176>();
  checkMixed<8, 1, 192>();
#endif
  checkIdleRows();
  Rows rows;
  rows.add(0, 131071, 1);
  rows.add(0, 131000, 16);
  // 4.6 GB of pool: offsets of pages are beyond 32 bits.
  checkKernels<4, 2, 64>("131,072 tokens, pages beyond 4 GiB", {131072}, rows, 70000);
  std::printf("%d failures\n", failures);
  return failures != 0;
}

//===- Times --------------------------------------------------------------===//

static void timeDecode(int batch, int length, double ceiling) {
  constexpr AttentionConfig config = decode(32, 8, 128);
  const long long bytes = 2ll * batch * length * config.kv_heads * config.head_dim * 2;
  const int copies = int(std::clamp(600000000 / bytes, 1ll, 40ll));
  Cache<config> cache(std::vector<int>(size_t(batch) * copies, length), 0);
  Rows rows;
  for (int s = 0; s < batch; ++s)
    rows.add(s, length - 1, 1);
  Step<config> step(cache, rows);
  const double us = microseconds(std::max(copies, 4), [&](int i, cudaStream_t stream) {
    Arguments a = step.arguments;
    a.tables += i % copies * batch * cache.maxPages;
    launchDecode<32, 8, 128>(a, stream);
  });
  std::printf("decode 32/8 x 128, batch %3d x %6d, %d warps x %d stages: %8.2f us, %.2f of the "
              "read ceiling\n",
              batch, length, config.warps, config.stages, us, bytes / us * 1e6 / ceiling);
}

static void timePrefill(int length) {
  constexpr AttentionConfig config = tiles(32, 8, 128);
  Cache<config> cache({length}, 0);
  Rows rows;
  rows.add(0, 0, length);
  Step<config> step(cache, rows);
  const double us = microseconds(
      4, [&](int, cudaStream_t stream) { launchTiles<32, 8, 128>(step.arguments, stream); });
  const double flops = 4.0 * config.heads * config.head_dim * (0.5 * length * (length + 1.0));
  std::printf("prefill 32/8 x 128, %d tokens: %8.1f us, %.0f TFLOP/s (causal)\n", length, us,
              flops / us / 1e6);
}

static int time() {
  const double ceiling = readCeiling();
  std::printf("read ceiling %.0f GB/s\n", ceiling / 1e9);
  timeDecode(1, 512, ceiling);
  timeDecode(1, 4096, ceiling);
  timeDecode(16, 512, ceiling);
  timeDecode(64, 4096, ceiling);
  timePrefill(4096);
  return 0;
}

int main(int count, char **arguments) {
  const std::string what = count == 2 ? arguments[1] : "";
  if (what == "check")
    return check();
  if (what == "time")
    return time();
  std::printf("usage: PortableAttentionTest check|time\n");
  return 2;
}
