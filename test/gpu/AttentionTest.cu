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

#include "GpuTest.cuh"
#include "attention_decode.cuh"
#include "attention_tiles.cuh"

using namespace gpu_test;
namespace q = qopt::cuda;
using q::AttentionConfig;

//===- Kernels ------------------------------------------------------------===//

struct Arguments {
  const q::bf16 *query;
  const void *pool; // at the layer's offset
  const int *positions, *sequences, *tables;
  long long maxPages;
  q::bf16 *output;
  long long rows;
  const int *tiles;
  long long tileCount;
};

__host__ __device__ constexpr AttentionConfig base(int heads, int kvHeads, int headDim) {
  AttentionConfig c = {};
  c.heads = heads;
  c.kv_heads = kvHeads;
  c.head_dim = headDim;
  c.query_stride = (heads + 2 * kvHeads) * headDim;
  c.output_stride = heads * headDim + 8;
  c.scale = headDim == 64 ? 0.125f : headDim == 256 ? 0.0625f : 0.11f;
  c.page_bytes = 2ll * 2 * kvHeads * q::half_page_bytes(headDim); // two layers
  return c;
}
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

//===- What the tokens hold -----------------------------------------------===//

enum Operand { queries, keys, values };

/// Element (sequence, position, head, column); a few keys are long, so that some
/// weights are near one and maxima change from page to page.
__host__ __device__ static float element(Operand what, int sequence, int position, int head,
                                         int column) {
  unsigned long long token = (unsigned long long)(sequence) << 20 | unsigned(position);
  float value = randomNormal(what + 1, (token * 64 + head) * 256 + column);
  if (what == keys && randomBits(9, token * 64 + head) % 61 == 0)
    value *= 3.0f;
  return roundedBf16(value);
}

/// A row's tokens: of which sequence, at which position.
struct Rows {
  std::vector<int> sequences, positions;
  void add(int sequence, int first, int count) {
    for (int i = 0; i < count; ++i) {
      sequences.push_back(sequence);
      positions.push_back(first + i);
    }
  }
  size_t size() const { return positions.size(); }
};

__global__ void fillQueries(q::bf16 *query, int heads, int headDim, int stride,
                            const int *sequences, const int *positions) {
  int row = blockIdx.x;
  if (sequences[row] < 0)
    return;
  for (int i = threadIdx.x; i < heads * headDim; i += blockDim.x)
    query[(long long)(row)*stride + i].bits =
        bf16Bits(element(queries, sequences[row], positions[row], i / headDim, i % headDim));
}

/// Keys and values of `length` tokens, by the layout of RFC 1.
__global__ void fillPages(unsigned char *pool, long long pageBytes, const int *table, int sequence,
                          int length, int kvHeads, int headDim) {
  int position = blockIdx.x;
  unsigned char *page = pool + table[position / 64] * pageBytes;
  for (int i = threadIdx.x; i < 2 * kvHeads * headDim; i += blockDim.x) {
    int kind = i / (kvHeads * headDim), head = i / headDim % kvHeads, column = i % headDim;
    *reinterpret_cast<unsigned short *>(
        page + pageOffset(kind, kvHeads, headDim, head, position % 64, column)) =
        bf16Bits(element(kind ? values : keys, sequence, position, head, column));
  }
}

/// softmax(q k^T scale) v in float64: a block for each (row, head), a thread for each
/// token, then for each column.
__global__ void reference(double *out, double *scores /* [rows, heads, length] */, int length,
                          int heads, int kvHeads, int headDim, float scale, const int *sequences,
                          const int *positions) {
  int row = blockIdx.x, head = blockIdx.y, kvHead = head / (heads / kvHeads);
  int sequence = sequences[row], position = positions[row];
  double *s = scores + ((long long)(row)*heads + head) * length;
  for (int token = threadIdx.x; token <= position; token += blockDim.x) {
    double sum = 0;
    for (int i = 0; i < headDim; ++i)
      sum += double(element(queries, sequence, position, head, i)) *
             element(keys, sequence, token, kvHead, i);
    s[token] = sum * scale;
  }
  __syncthreads();
  double max = -INFINITY, total = 0;
  for (int token = 0; token <= position; ++token)
    max = fmax(max, s[token]);
  for (int column = threadIdx.x; column < headDim; column += blockDim.x) {
    double sum = 0;
    total = 0;
    for (int token = 0; token <= position; ++token) {
      double weight = exp(s[token] - max);
      total += weight;
      sum += weight * element(values, sequence, token, kvHead, column);
    }
    out[((long long)(row)*heads + head) * headDim + column] = sum / total;
  }
}

//===- A cache with sequences ---------------------------------------------===//

template <AttentionConfig config> struct Cache {
  long long poolPages, maxPages;
  Buffer<unsigned char> pool;
  std::vector<int> hostTable; // [sequences][maxPages]
  Buffer<int> table;
  long long layerOffset;

  /// Pages of `lengths` tokens, scattered over the pool's end.
  Cache(const std::vector<int> &lengths, long long minPoolPages)
      : poolPages(std::max(minPoolPages, usedPages(lengths))),
        maxPages((*std::max_element(lengths.begin(), lengths.end()) + 63) / 64 + 1),
        pool(poolPages * config.page_bytes), hostTable(lengths.size() * maxPages, -1),
        table(place(lengths)), layerOffset(config.page_bytes / 2) {
    for (size_t s = 0; s < lengths.size(); ++s)
      fillPages<<<lengths[s], 128>>>(pool.get() + layerOffset, config.page_bytes,
                                     table.get() + s * maxPages, int(s), lengths[s],
                                     config.kv_heads, config.head_dim);
    CHECK_CUDA(cudaDeviceSynchronize());
  }

private:
  static long long usedPages(const std::vector<int> &lengths) {
    long long pages = 0;
    for (int length : lengths)
      pages += (length + 63) / 64;
    return pages;
  }
  std::vector<int> place(const std::vector<int> &lengths) {
    long long used = usedPages(lengths), step = 7;
    while (used % step == 0)
      step += 2;
    long long next = 0;
    for (size_t s = 0; s < lengths.size(); ++s)
      for (int page = 0; page < (lengths[s] + 63) / 64; ++page)
        hostTable[s * maxPages + page] = int(poolPages - 1 - next++ * step % used);
    return hostTable;
  }
};

/// Runs of rows of one sequence, cut into tiles.
static std::vector<int> tilesOf(const Rows &rows, int most) {
  std::vector<int> tiles;
  for (size_t first = 0; first < rows.size();) {
    size_t end = first + 1;
    while (end < rows.size() && end - first < size_t(most) &&
           rows.sequences[end] == rows.sequences[first] &&
           rows.positions[end] == rows.positions[end - 1] + 1)
      ++end;
    if (rows.sequences[first] >= 0)
      tiles.insert(tiles.end(), {int(first), int(end - first)});
    first = end;
  }
  return tiles;
}

/// Buffers of a step over a cache.
template <AttentionConfig config> struct Step {
  Rows rows;
  Buffer<int> sequences, positions;
  Buffer<q::bf16> query, output;
  std::vector<int> hostTiles;
  Buffer<int> tiles;
  Arguments arguments;

  Step(const Cache<config> &cache, const Rows &rows)
      : rows(rows), sequences(rows.sequences), positions(rows.positions),
        query(rows.size() * config.query_stride), output(rows.size() * config.output_stride),
        hostTiles(tilesOf(rows, q::query_tile(config.heads, config.kv_heads))), tiles(hostTiles) {
    fillQueries<<<unsigned(rows.size()), 128>>>(query.get(), config.heads, config.head_dim,
                                                config.query_stride, sequences.get(),
                                                positions.get());
    CHECK_CUDA(cudaDeviceSynchronize());
    arguments = {query.get(),       cache.pool.get() + cache.layerOffset,
                 positions.get(),   sequences.get(),
                 cache.table.get(), cache.maxPages,
                 output.get(),      (long long)rows.size(),
                 tiles.get(),       (long long)hostTiles.size() / 2};
  }

  /// The output's bits [rows, heads * head_dim] after `launch`, which finds it as NaN.
  template <class Launch> std::vector<unsigned short> run(Launch &&launch) {
    output.poison();
    launch();
    CHECK_CUDA(cudaGetLastError());
    CHECK_CUDA(cudaDeviceSynchronize());
    std::vector<q::bf16> all = output.read();
    std::vector<unsigned short> bits;
    for (size_t row = 0; row < rows.size(); ++row)
      for (int i = 0; i < config.output_stride; ++i) {
        unsigned short value = all[row * config.output_stride + i].bits;
        if (i < config.heads * config.head_dim)
          bits.push_back(value);
        else if (value != 0xffff)
          report(false, "an attention kernel wrote between rows");
      }
    return bits;
  }
};

//===- Checks -------------------------------------------------------------===//

template <AttentionConfig config>
static std::vector<double> referenceOf(const Step<config> &step, int length) {
  size_t count = step.rows.size() * config.heads;
  Buffer<double> out(count * config.head_dim), scores(count * length);
  reference<<<dim3(unsigned(step.rows.size()), config.heads), 128>>>(
      out.get(), scores.get(), length, config.heads, config.kv_heads, config.head_dim, config.scale,
      step.sequences.get(), step.positions.get());
  CHECK_CUDA(cudaDeviceSynchronize());
  return out.read();
}

static size_t differing(const std::vector<unsigned short> &a,
                        const std::vector<unsigned short> &b) {
  size_t count = 0;
  for (size_t i = 0; i < a.size(); ++i)
    count += a[i] != b[i];
  return count;
}

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

/// Chunks of sequences of several lengths, single tokens among them.
template <int heads, int kvHeads, int headDim> static void checkMixed() {
  Rows rows;
  rows.add(0, 0, 150);   // from the start
  rows.add(1, 699, 1);   // a decode token
  rows.add(2, 250, 70);  // a chunk with a past
  rows.add(3, 63, 1);    // a page's last token
  rows.add(4, 64, 1);    // a page's first
  rows.add(5, 0, 1);     // a sequence's first
  rows.add(1, 500, 190); // earlier tokens of sequence 1, which has later ones
  checkKernels<heads, kvHeads, headDim>("chunks and single tokens", {150, 700, 320, 64, 65, 1},
                                        rows);
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
