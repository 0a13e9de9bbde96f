//===- RopeAttentionTest.cu - Rope, cache write and attention ---*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   RopeAttentionTest check   outputs and pages, bit for bit those of rope_append and
//                             attention_decode, which have tests of their own
//   RopeAttentionTest time    between kernels that stream weights, and back to back
//   RopeAttentionTest sweep   warps, stages and splits
//
// Keys, values and queries are random; pages hold NaNs behind a sequence's tokens.
//
//===----------------------------------------------------------------------===//

#include "GpuTest.cuh"
#include "rope_attention.cuh"

using namespace gpu_test;
namespace q = qopt::cuda;
using q::AttentionConfig;

//===- Kernels ------------------------------------------------------------===//

struct Arguments {
  const q::bf16 *qkv; // [rows, (heads + 2 kvHeads) * headDim], not rotated
  const float *table; // [rows, headDim]
  unsigned char *pool;
  const int *positions, *sequences, *tables;
  long long maxPages;
  q::bf16 *rotated, *output; // [rows, heads * headDim]
  long long rows;
};

__host__ __device__ constexpr AttentionConfig config(int heads, int kvHeads, int headDim,
                                                     int splits, int warps = 0, int stages = 0) {
  AttentionConfig c = {};
  c.heads = heads;
  c.kv_heads = kvHeads;
  c.head_dim = headDim;
  c.query_stride = c.key_stride = c.value_stride = (heads + 2 * kvHeads) * headDim;
  c.output_stride = heads * headDim;
  c.scale = 0.11f;
  c.page_bytes = 2ll * kvHeads * q::half_page_bytes(headDim);
  q::set_decode_schedule(c, splits);
  if (warps)
    c.warps = warps;
  if (stages)
    c.stages = stages;
  return c;
}
/// Of the two kernels apart: the query is rotated, in rows of its own.
__host__ __device__ constexpr AttentionConfig apart(AttentionConfig c) {
  c.query_stride = c.heads * c.head_dim;
  return c;
}

template <int heads, int kvHeads, int headDim, int splits, int warps, int stages>
__global__ void __cluster_dims__(1, 1, splits) __launch_bounds__(32 * warps, 1)
    fusedKernel(Arguments a) {
  constexpr AttentionConfig c = config(heads, kvHeads, headDim, splits, warps, stages);
  q::rope_attention<c>(a.qkv, a.qkv + heads * headDim, a.qkv + (heads + kvHeads) * headDim,
                       a.table, a.pool, a.positions, a.sequences, a.tables, a.maxPages, a.output,
                       a.rows);
}
template <int heads, int kvHeads, int headDim, int splits, int warps, int stages>
__global__ void __cluster_dims__(1, 1, splits) __launch_bounds__(32 * warps, 1)
    attentionKernel(Arguments a) {
  constexpr AttentionConfig c = apart(config(heads, kvHeads, headDim, splits, warps, stages));
  q::attention_decode<c>(a.rotated, a.pool, a.positions, a.sequences, a.tables, a.maxPages,
                         a.output, a.rows);
}
template <int heads, int kvHeads, int headDim> __global__ void appendKernel(Arguments a) {
  constexpr AttentionConfig c = config(heads, kvHeads, headDim, 1);
  constexpr q::AppendConfig append = {kvHeads,      headDim, c.key_stride,  c.value_stride,
                                      c.page_bytes, heads,   c.query_stride, heads * headDim};
  q::rope_append<append>(a.qkv, a.qkv + heads * headDim, a.qkv + (heads + kvHeads) * headDim,
                         a.table, a.pool, a.positions, a.sequences, a.tables, a.maxPages,
                         a.rotated, a.rows);
}

template <AttentionConfig c> dim3 gridOf(const Arguments &a) {
  return dim3(unsigned(a.rows), c.kv_heads, c.splits);
}
template <AttentionConfig c> void launchFused(const Arguments &a, cudaStream_t stream = nullptr) {
  launchDependent(
      fusedKernel<c.heads, c.kv_heads, c.head_dim, c.splits, c.warps, c.stages>, gridOf<c>(a),
      q::decode_threads(c), q::decode_shared_bytes(c), stream, a);
}
template <AttentionConfig c> void launchApart(const Arguments &a, cudaStream_t stream = nullptr) {
  launchDependent(appendKernel<c.heads, c.kv_heads, c.head_dim>, dim3(unsigned(a.rows)),
                  q::rope_threads(c.heads, c.kv_heads, c.head_dim), 0, stream, a);
  launchDependent(
      attentionKernel<c.heads, c.kv_heads, c.head_dim, c.splits, c.warps, c.stages>, gridOf<c>(a),
      q::decode_threads(c), q::decode_shared_bytes(c), stream, a);
}

//===- Data ---------------------------------------------------------------===//

__global__ void fillRandom(q::bf16 *data, size_t count, int seed) {
  for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count;
       i += size_t(gridDim.x) * blockDim.x)
    data[i].bits = bf16Bits(randomNormal(seed, i));
}

/// NaN in the tokens of a page from `first` on.
__global__ void spoilPage(unsigned char *page, int first, int kvHeads, int headDim) {
  for (int i = threadIdx.x; i < 2 * kvHeads * 64 * headDim; i += blockDim.x) {
    int column = i % headDim, token = i / headDim % 64, head = i / headDim / 64;
    if (token >= first)
      *reinterpret_cast<unsigned short *>(
          page + pageOffset(head >= kvHeads, kvHeads, headDim, head % kvHeads, token, column)) =
          0xffff;
  }
}

/// A row for each position, of a sequence of its own; -1 for a row without one. Sequences
/// of `copies` steps, for times.
template <AttentionConfig c> struct Step {
  int rows, copies;
  long long maxPages;
  std::vector<int> hostPositions;
  Buffer<q::bf16> qkv, rotated, output;
  Buffer<float> table;
  Buffer<int> positions, sequences, tables;
  Buffer<unsigned char> pool;

  Step(std::vector<int> wanted, int copies = 1)
      : rows(int(wanted.size())), copies(copies),
        maxPages(*std::max_element(wanted.begin(), wanted.end()) / 64 + 2), hostPositions(wanted),
        qkv(size_t(rows) * c.query_stride), rotated(size_t(rows) * c.output_stride),
        output(size_t(rows) * c.output_stride), table(rotaryTable(rows)),
        positions(clamped(wanted)), sequences(sequencesOf(wanted)), tables(tablesOf()),
        pool(tables.size() * c.page_bytes) {
    fillRandom<<<256, 256>>>(qkv.get(), qkv.size(), 1);
    fillRandom<<<1024, 256>>>(reinterpret_cast<q::bf16 *>(pool.get()), pool.size() / 2, 2);
    std::vector<int> pages = tables.read();
    for (int row = 0; row < rows; ++row)
      if (wanted[row] >= 0)
        spoilPage<<<1, 256>>>(pool.get() + pages[row * maxPages + wanted[row] / 64] * c.page_bytes,
                              wanted[row] % 64, c.kv_heads, c.head_dim);
    CHECK_CUDA(cudaDeviceSynchronize());
  }

  /// Of the step with the sequences of a copy.
  Arguments arguments(int copy = 0) const {
    return {qkv.get(),       table.get(),  pool.get(),    positions.get(), sequences.get(),
            tables.get() + copy % copies * rows * maxPages, maxPages, rotated.get(), output.get(),
            rows};
  }

private:
  static std::vector<float> rotaryTable(int rows) {
    std::vector<float> values(size_t(rows) * c.head_dim);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = randomNormal(3, i);
    return values;
  }
  static std::vector<int> clamped(std::vector<int> positions) {
    for (int &position : positions)
      position = std::max(position, 0);
    return positions;
  }
  static std::vector<int> sequencesOf(const std::vector<int> &positions) {
    std::vector<int> sequences;
    for (size_t i = 0; i < positions.size(); ++i)
      sequences.push_back(positions[i] < 0 ? -1 : int(i));
    return sequences;
  }
  /// Scattered over the pool.
  std::vector<int> tablesOf() const {
    std::vector<int> tables(size_t(copies) * rows * maxPages);
    size_t step = 7919;
    while (tables.size() % step == 0)
      ++step;
    for (size_t i = 0; i < tables.size(); ++i)
      tables[i] = int(i * step % tables.size());
    return tables;
  }
};

/// What a step leaves: the output's bits, and the pool.
struct Result {
  std::vector<unsigned short> output;
  std::vector<unsigned char> pool;
};

template <AttentionConfig c, class Launch>
Result resultOf(Step<c> &step, const std::vector<unsigned char> &pool, Launch &&launch) {
  CHECK_CUDA(cudaMemcpy(step.pool.get(), pool.data(), pool.size(), cudaMemcpyHostToDevice));
  step.output.poison();
  launch(step.arguments());
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaDeviceSynchronize());
  Result result;
  for (q::bf16 value : step.output.read())
    result.output.push_back(value.bits);
  result.pool = step.pool.read();
  return result;
}

template <class T> size_t differing(const std::vector<T> &a, const std::vector<T> &b) {
  size_t count = 0;
  for (size_t i = 0; i < a.size(); ++i)
    count += a[i] != b[i];
  return count;
}

//===- Checks -------------------------------------------------------------===//

template <AttentionConfig c, AttentionConfig data>
void checkFused(Step<data> &step, const std::vector<unsigned char> &pool, const Result &expected) {
  Result fused = resultOf(step, pool, [&](const Arguments &a) { launchFused<c>(a); });
  size_t outputs = differing(fused.output, expected.output);
  size_t bytes = differing(fused.pool, expected.pool);
  char name[160];
  std::snprintf(name, sizeof name,
                "%d/%d x %d, %d splits, %d warps x %d stages: %zu of %zu outputs and %zu bytes of "
                "the pool differ",
                c.heads, c.kv_heads, c.head_dim, c.splits, c.warps, c.stages, outputs,
                expected.output.size(), bytes);
  report(outputs == 0 && bytes == 0, name);
}

/// First, last and middle tokens of a page, alone and behind many pages.
static std::vector<int> checkedPositions() {
  return {0, -1, 1, 63, 64, 65, 127, 128, 511, 512, 700, 1599, -1, 1600, 2047, 2048, 4242};
}

template <int heads, int kvHeads, int headDim> void check() {
  constexpr AttentionConfig c = config(heads, kvHeads, headDim, 1);
  Step<c> step(checkedPositions());
  std::vector<unsigned char> pool = step.pool.read();
  Result expected = resultOf(step, pool, [&](const Arguments &a) { launchApart<c>(a); });
  bool finite = std::none_of(expected.output.begin(), expected.output.end(),
                             [](unsigned short bits) { return (bits & 0x7f80) == 0x7f80; });
  report(finite && differing(pool, expected.pool) > 0, "apart: finite, and the pool is written");
  checkFused<c>(step, pool, expected);
  checkFused<config(heads, kvHeads, headDim, 2)>(step, pool, expected);
  checkFused<config(heads, kvHeads, headDim, 8)>(step, pool, expected);
}

/// Shapes of blocks that the schedule does not take.
static void checkSchedules() {
  constexpr AttentionConfig c = config(32, 8, 128, 1);
  Step<c> step(checkedPositions());
  std::vector<unsigned char> pool = step.pool.read();
  Result expected = resultOf(step, pool, [&](const Arguments &a) { launchApart<c>(a); });
  checkFused<config(32, 8, 128, 4, 6, 1)>(step, pool, expected);
  checkFused<config(32, 8, 128, 3, 2, 3)>(step, pool, expected);
  checkFused<config(32, 8, 128, 1, 1, 4)>(step, pool, expected);
}

static int check() {
  check<32, 8, 128>();
  check<9, 3, 64>();
  check<2, 2, 16>();
  check<5, 1, 32>();
  check<12, 2, 48>();
  check<16, 1, 80>();
  check<7, 1, 96>();
  check<22, 2, 112>();
  check<16, 1, 128>();
  check<4, 4, 160>();
  check<6, 3, 192>();
  check<16, 4, 256>();
  checkSchedules();
  std::printf("%d failures\n", failures);
  return failures != 0;
}

//===- Times --------------------------------------------------------------===//

/// A linear layer as far as time goes: a block a multiprocessor reads its part of
/// `weights`, the first of it before its predecessor ends, into half the shared memory.
constexpr int streamStages = 6, streamBytes = 16384;
__global__ void __launch_bounds__(32, 1) streamKernel(const unsigned char *weights, int stages) {
  extern __shared__ __align__(128) unsigned char shared[];
  q::launch_dependents();
  unsigned ring = q::shared_address(shared), barriers = ring + streamStages * streamBytes;
  const unsigned char *own = weights + size_t(blockIdx.x) * stages * streamBytes;
  if (threadIdx.x == 0) {
    for (int i = 0; i < streamStages; ++i)
      q::barrier_init(barriers + 8 * i, 1);
    q::fence_barrier_init();
  }
  __syncwarp();
  auto request = [&](int stage) {
    if (stage >= stages || threadIdx.x != 0)
      return;
    unsigned barrier = barriers + stage % streamStages * 8;
    q::barrier_arrive_expect(barrier, streamBytes);
    q::bulk_copy(ring + stage % streamStages * streamBytes, own + size_t(stage) * streamBytes,
                 streamBytes, barrier);
  };
  for (int i = 0; i < streamStages; ++i)
    request(i);
  q::wait_for_predecessors();
  for (int i = 0; i < stages; ++i) {
    q::barrier_wait(barriers + i % streamStages * 8, i / streamStages % 2);
    request(i + streamStages);
  }
}

/// 17 MB a launch, of a buffer that exceeds the last-level cache.
struct Weights {
  static constexpr int stages = 8, launches = 16;
  int processors;
  size_t bytes;
  Buffer<unsigned char> data;

  Weights() : processors(count()), bytes(size_t(processors) * stages * streamBytes),
              data(bytes * launches) {}
  void launch(int i, cudaStream_t stream) const {
    launchDependent(streamKernel, dim3(processors), 32,
                    streamStages * streamBytes + 8 * streamStages, stream,
                    data.get() + i % launches * bytes, int(stages));
  }

private:
  static int count() {
    int processors;
    CHECK_CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0));
    return processors;
  }
};

/// Microseconds that `launch(i, stream)` adds to a layer of two linear layers.
template <class Launch> double addedMicroseconds(const Weights &weights, Launch &&launch) {
  auto layer = [&](bool full) {
    return microseconds(16, [&](int i, cudaStream_t stream) {
      weights.launch(2 * i, stream);
      if (full)
        launch(i, stream);
      weights.launch(2 * i + 1, stream);
    });
  };
  return layer(true) - layer(false);
}

template <AttentionConfig c, bool also_apart = false>
void timeStep(const Weights &weights, int batch, int context, double ceiling) {
  long long bytes = 2ll * batch * context * c.kv_heads * c.head_dim * 2;
  int copies = int(std::clamp(300000000 / bytes, 1ll, 16ll));
  Step<c> step(std::vector<int>(batch, context), copies);
  auto fused = [&](int i, cudaStream_t stream) { launchFused<c>(step.arguments(i), stream); };
  double added = addedMicroseconds(weights, fused), alone = microseconds(16, fused);
  std::printf("batch %3d x %6d, %d splits, %d warps x %d stages: adds %7.2f us, alone %7.2f us, "
              "%.2f of the read ceiling",
              batch, context, c.splits, c.warps, c.stages, added, alone,
              bytes / alone * 1e6 / ceiling);
  if constexpr (also_apart) {
    auto apart = [&](int i, cudaStream_t stream) { launchApart<c>(step.arguments(i), stream); };
    std::printf("; apart: adds %7.2f us, alone %7.2f us", addedMicroseconds(weights, apart),
                microseconds(16, apart));
  }
  std::printf("\n");
  std::fflush(stdout);
}

static int time() {
  double ceiling = readCeiling();
  std::printf("read ceiling %.0f GB/s\n", ceiling / 1e9);
  Weights weights;
  for (int context : {127, 512, 2048, 8192})
    timeStep<config(32, 8, 128, 8), true>(weights, 1, context, ceiling);
  timeStep<config(32, 8, 128, 4), true>(weights, 4, 512, ceiling);
  timeStep<config(32, 8, 128, 1), true>(weights, 16, 512, ceiling);
  timeStep<config(32, 8, 128, 1), true>(weights, 64, 512, ceiling);
  timeStep<config(9, 3, 64, 8), true>(weights, 1, 512, ceiling);
  return 0;
}

/// Batches and contexts whose blocks, at `splits`, are about those of the GPU.
template <int splits, int warps, int stages> void sweep(const Weights &weights, double ceiling) {
  constexpr AttentionConfig c = config(32, 8, 128, splits, warps, stages);
  for (int batch : {1, 2, 4, 8, 16, 32, 64})
    for (int context : {127, 512, 2048, 8192})
      if (batch * splits >= 4 && batch * splits <= 64 && batch * context <= 32768)
        timeStep<c>(weights, batch, context, ceiling);
}

static int sweep() {
  double ceiling = readCeiling();
  std::printf("read ceiling %.0f GB/s\n", ceiling / 1e9);
  Weights weights;
  sweep<8, 3, 2>(weights, ceiling);
  sweep<8, 6, 1>(weights, ceiling);
  sweep<8, 4, 2>(weights, ceiling);
  sweep<4, 3, 2>(weights, ceiling);
  sweep<2, 3, 2>(weights, ceiling);
  sweep<1, 3, 2>(weights, ceiling);
  sweep<1, 4, 2>(weights, ceiling);
  sweep<1, 2, 3>(weights, ceiling);
  return 0;
}

int main(int count, char **arguments) {
  if (count == 2 && std::string(arguments[1]) == "check")
    return check();
  if (count == 2 && std::string(arguments[1]) == "time")
    return time();
  if (count == 2 && std::string(arguments[1]) == "sweep")
    return sweep();
  std::printf("usage: RopeAttentionTest check|time|sweep\n");
  return 2;
}
