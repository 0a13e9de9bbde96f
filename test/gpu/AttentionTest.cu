//===- AttentionTest.cu - Attention against float64, bits and time -*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   AttentionTest check   both kernels against float64, and bit for bit against each
//                         other, with several splits
//   AttentionTest time    long contexts against the read ceiling, short ones, prefill
//
// Keys, values and queries are functions of (sequence, position, head, column), which
// the reference evaluates again. Pages start as NaN, and so does what is behind a
// sequence's last token.
//
//===----------------------------------------------------------------------===//

#include "AttentionStep.cuh"
#include "attention_decode.cuh"
#include "attention_tiles.cuh"

//===- Kernels ------------------------------------------------------------===//

__host__ __device__ constexpr AttentionConfig decode(int heads, int kvHeads, int headDim,
                                                     int splits = 1) {
  AttentionConfig c = base(heads, kvHeads, headDim);
  q::set_decode_schedule(c, splits);
  return c;
}
__host__ __device__ constexpr AttentionConfig tiles(int heads, int kvHeads, int headDim) {
  AttentionConfig c = base(heads, kvHeads, headDim);
  q::set_tile_schedule(c);
  return c;
}

// Kernels are templates of plain values: nvcc can't name one by a structure.
template <int heads, int kvHeads, int headDim, int splits>
__global__ void __cluster_dims__(1, 1, splits)
    __launch_bounds__(q::decode_threads(decode(heads, kvHeads, headDim, splits)), 1)
        decodeKernel(Arguments a) {
  q::attention_decode<decode(heads, kvHeads, headDim, splits)>(
      a.query, a.pool, a.positions, a.sequences, a.tables, a.maxPages, a.output, a.rows);
}
template <int heads, int kvHeads, int headDim>
__global__ void __launch_bounds__(q::tile_threads(tiles(heads, kvHeads, headDim)), 1)
    tilesKernel(Arguments a) {
  q::attention_tiles<tiles(heads, kvHeads, headDim)>(a.query, a.pool, a.positions, a.sequences,
                                                     a.tables, a.maxPages, a.output, a.tiles,
                                                     a.tileCount);
}

template <AttentionConfig config>
void launchDecode(const Arguments &a, cudaStream_t stream = nullptr) {
  launchDependent(decodeKernel<config.heads, config.kv_heads, config.head_dim, config.splits>,
                  dim3(unsigned(a.rows), config.kv_heads, config.splits),
                  q::decode_threads(config), q::decode_shared_bytes(config), stream, a);
}
template <AttentionConfig config>
void launchTiles(const Arguments &a, cudaStream_t stream = nullptr) {
  launchDependent(tilesKernel<config.heads, config.kv_heads, config.head_dim>,
                  dim3(unsigned(a.tileCount), config.kv_heads), q::tile_threads(config),
                  q::tile_shared_bytes(config), stream, a);
}

//===- Checks -------------------------------------------------------------===//

/// Decode's bits are those of tiles.
template <AttentionConfig config, AttentionConfig tile>
static void checkDecode(Step<tile> &step, const std::vector<unsigned short> &bits) {
  size_t count = differing(bits, step.run([&] { launchDecode<config>(step.arguments); }));
  char name[100];
  std::snprintf(name, sizeof name, "  decode, %d splits: %zu of %zu differ from tiles",
                config.splits, count, bits.size());
  report(count == 0, name);
}

/// Both kernels on `rows`, which have a sequence each.
template <int heads, int kvHeads, int headDim>
static void checkKernels(const char *what, const std::vector<int> &lengths, const Rows &rows,
                         long long minPoolPages = 0) {
  constexpr AttentionConfig tile = tiles(heads, kvHeads, headDim);
  Cache<tile> cache(lengths, minPoolPages);
  Step<tile> step(cache, rows);
  std::vector<unsigned short> bits = step.run([&] { launchTiles<tile>(step.arguments); });

  std::vector<float> out;
  for (unsigned short b : bits)
    out.push_back(bf16Value(b));
  double error =
      relativeError(out, referenceOf(step, *std::max_element(lengths.begin(), lengths.end())));
  char name[160];
  std::snprintf(name, sizeof name, "heads %d/%d x %d, %s: relative error %.2e", heads, kvHeads,
                headDim, what, error);
  report(error < 4e-3, name);
  checkDecode<decode(heads, kvHeads, headDim, 1)>(step, bits);
  checkDecode<decode(heads, kvHeads, headDim, 2)>(step, bits);
  checkDecode<decode(heads, kvHeads, headDim, 8)>(step, bits);
}

template <int heads, int kvHeads, int headDim> static void checkMixed() {
  checkKernels<heads, kvHeads, headDim>("chunks and single tokens", mixedLengths, mixedRows());
}

/// Rows without a sequence get zeros; the others are what they are alone.
template <int splits> static void checkIdleRows() {
  constexpr AttentionConfig single = decode(9, 3, 64, splits);
  Cache<single> cache({400, 100}, 0);
  Rows rows, alone;
  rows.add(-1, 0, 1);
  rows.add(0, 399, 1);
  rows.add(-1, 0, 1);
  rows.add(1, 99, 1);
  alone.add(1, 99, 1);
  Step<single> step(cache, rows), one(cache, alone);
  auto expected = one.run([&] { launchDecode<decode(9, 3, 64)>(one.arguments); });
  auto bits = step.run([&] { launchDecode<single>(step.arguments); });
  size_t row = size_t(single.heads) * single.head_dim;
  bool zero =
      std::all_of(bits.begin(), bits.begin() + row, [](auto b) { return b == 0; }) &&
      std::all_of(bits.begin() + 2 * row, bits.begin() + 3 * row, [](auto b) { return b == 0; });
  report(zero, "rows without a sequence are zero");
  report(std::equal(expected.begin(), expected.end(), bits.begin() + 3 * row),
         "a row among idle rows has the bits it has alone");
}

static void checkLong() {
  Rows rows;
  rows.add(0, 131071, 1);
  rows.add(0, 131000, 16);
  // 4.6 GB of pool: offsets of pages are beyond 32 bits.
  checkKernels<4, 2, 64>("131,072 tokens, pages beyond 4 GiB", {131072}, rows, 70000);
}

static int check() {
  checkMixed<9, 3, 64>();
  checkMixed<32, 8, 128>();
  checkMixed<16, 4, 256>();
  checkMixed<2, 2, 16>();
  checkMixed<5, 1, 32>();
  checkMixed<12, 2, 48>();
  checkMixed<16, 1, 80>();
  checkMixed<7, 1, 96>();
  checkMixed<22, 2, 112>();
  checkMixed<4, 4, 160>();
  checkMixed<8, 8, 144>();
  checkMixed<12, 4, 176>();
  checkMixed<6, 3, 192>();
  checkMixed<6, 2, 208>();
  checkMixed<16, 1, 224>();
  checkMixed<8, 1, 240>();
  checkIdleRows<1>();
  checkIdleRows<8>();
  checkLong();
  std::printf("%d failures\n", failures);
  return failures != 0;
}

//===- Times --------------------------------------------------------------===//

/// `batch` sequences of `length` tokens, a token of each.
template <AttentionConfig config>
static void timeDecode(int batch, int length, double ceiling) {
  // Many layers' worth of pages, so that nothing is still in the cache.
  long long bytes = 2ll * batch * length * config.kv_heads * config.head_dim * 2;
  int copies = int(std::clamp(600000000 / bytes, 1ll, 40ll));
  std::vector<int> lengths(size_t(batch) * copies, length);
  Cache<config> cache(lengths, 0);
  Rows rows;
  for (int s = 0; s < batch; ++s)
    rows.add(s, length - 1, 1);
  Step<config> step(cache, rows);
  double us = microseconds(std::max(copies, 4), [&](int i, cudaStream_t stream) {
    Arguments a = step.arguments;
    a.tables += i % copies * batch * cache.maxPages;
    launchDecode<config>(a, stream);
  });
  std::printf("decode %d/%d x %d, batch %3d x %6d, %3d splits, %d warps x %d stages: %8.2f us, "
              "%6.0f GB/s, %.2f of the read ceiling\n",
              config.heads, config.kv_heads, config.head_dim, batch, length, config.splits, config.warps,
              config.stages, us, bytes / us / 1e3, bytes / us * 1e6 / ceiling);
  std::fflush(stdout);
}

template <AttentionConfig config> static void timePrefill(int length, int batch) {
  std::vector<int> lengths(batch, length);
  Cache<config> cache(lengths, 0);
  Rows rows;
  for (int s = 0; s < batch; ++s)
    rows.add(s, 0, length);
  Step<config> step(cache, rows);
  double us = microseconds(
      4, [&](int, cudaStream_t stream) { launchTiles<config>(step.arguments, stream); });
  double flops = 4.0 * batch * config.heads * config.head_dim * (0.5 * length * (length + 1.0));
  std::printf("prefill %d/%d x %d, %d x %d tokens: %8.1f us, %.0f TFLOP/s (causal)\n", config.heads,
              config.kv_heads, config.head_dim, batch, length, us, flops / us / 1e6);
  std::fflush(stdout);
}

/// The tokens of a chunk behind `past` tokens of their sequence.
template <AttentionConfig config> static void timeChunk(int past, int count) {
  Cache<config> cache({past + count}, 0);
  Rows rows;
  rows.add(0, past, count);
  Step<config> step(cache, rows);
  double us = microseconds(
      4, [&](int, cudaStream_t stream) { launchTiles<config>(step.arguments, stream); });
  double flops = 4.0 * config.heads * config.head_dim * count * (past + 0.5 * (count + 1.0));
  std::printf("chunk %d/%d x %d, %d tokens behind %d: %8.1f us, %.0f TFLOP/s\n", config.heads,
              config.kv_heads, config.head_dim, count, past, us, flops / us / 1e6);
  std::fflush(stdout);
}

/// Tokens of `batch` sequences in a mixed plan.
template <AttentionConfig config> static void timeSingleTokens(int batch, int length) {
  std::vector<int> lengths(batch, length);
  Cache<config> cache(lengths, 0);
  Rows rows;
  for (int s = 0; s < batch; ++s)
    rows.add(s, length - 1, 1);
  Step<config> step(cache, rows);
  double us = microseconds(
      4, [&](int, cudaStream_t stream) { launchTiles<config>(step.arguments, stream); });
  std::printf("mixed plan %d/%d x %d, %d single tokens at %d: %.1f us\n", config.heads,
              config.kv_heads, config.head_dim, batch, length, us);
}

static int time() {
  double ceiling = readCeiling();
  std::printf("read ceiling %.0f GB/s\n", ceiling / 1e9);
  timeDecode<decode(32, 8, 128)>(64, 4096, ceiling);
  timeDecode<decode(32, 8, 128, 8)>(1, 512, ceiling);
  timeDecode<decode(32, 8, 128, 8)>(1, 4096, ceiling);
  timeDecode<decode(32, 8, 128, 8)>(1, 32768, ceiling);
  timeDecode<decode(32, 8, 128, 8)>(1, 131072, ceiling);
  timeDecode<decode(32, 8, 128, 2)>(16, 8192, ceiling);
  timeDecode<decode(9, 3, 64, 8)>(1, 512, ceiling);
  timeDecode<decode(9, 3, 64)>(64, 2048, ceiling);
  timeDecode<decode(16, 4, 256)>(64, 2048, ceiling);
  timeSingleTokens<tiles(32, 8, 128)>(1, 32768);
  timeSingleTokens<tiles(32, 8, 128)>(16, 4096);
  timePrefill<tiles(32, 8, 128)>(512, 1);
  timePrefill<tiles(32, 8, 128)>(1024, 1);
  timePrefill<tiles(32, 8, 128)>(1024, 4);
  timePrefill<tiles(32, 8, 128)>(4096, 1);
  timePrefill<tiles(32, 8, 128)>(16384, 1);
  timeChunk<tiles(32, 8, 128)>(8192, 256);
  timeChunk<tiles(32, 8, 128)>(15360, 1024);
  timePrefill<tiles(9, 3, 64)>(2048, 2);
  timePrefill<tiles(16, 4, 256)>(4096, 1);
  return 0;
}

int main(int count, char **arguments) {
  if (count == 2 && std::string(arguments[1]) == "check")
    return check();
  if (count == 2 && std::string(arguments[1]) == "time")
    return time();
  std::printf("usage: AttentionTest check|time\n");
  return 2;
}
