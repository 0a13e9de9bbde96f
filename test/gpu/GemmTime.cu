//===- GemmTime.cu - Time of linear layers ------------------------*- CUDA -*-===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   scripts/build-gpu-tests, then on a machine with an H100 or H200:
//   GemmTime time [FORMAT]   us, GB/s and TFLOP/s of the layers of Llama-3.1-8B, from
//                            graphs of dependent launches over rotating weights, beside
//                            the rate at which the card reads
//
//===----------------------------------------------------------------------===//

#include "GemmTimer.cuh"

template <Codes codes> static void add_timed(std::vector<Case> &c) {
  constexpr bool kFragment = codes == Codes::s4;
  auto layer = []<int n, int k, bool pair, Kind kind>(std::vector<Case> &c) {
    constexpr GemmConfig base = kFragment ? grouped(codes, n, k, 128, false, Number::bf16, pair)
                                          : swizzled(codes, n, k, Number::f32, pair);
    constexpr int kDeep = codes == Codes::bf16 ? 256 : 512; // columns of 512 bytes or fewer
    constexpr int kRow = codes == Codes::bf16 ? 64 : 128;
    constexpr bool kWgmma = codes == Codes::e4m3;
    if constexpr (codes == Codes::s4) {
      add<by_rows(shared_columns(tiled(base, false, 16, 1, 2048, 4), 4)), kind>(c);
      add<by_rows(shared_columns(tiled(base, false, 32, 1, 1024, 4), 2)), kind>(c);
      add<by_rows(tiled(base, false, 32, 1, 1024, 3)), kind>(c);
      add<by_rows(tiled(base, false, 64, 1, 512, 3)), kind>(c);
      add<by_rows(tiled(base, false, 64, 1, 1024, 3)), kind>(c);
      add<by_rows(shared_columns(tiled(base, false, 16, 8, 2048, 3), 4)), kind>(c);
      add<by_rows(tiled(base, false, 64, 8, 512, 3)), kind>(c);
      add<tiled(base, false, 64, 16, 512, 3), kind>(c);
      add<tiled(base, false, 64, 32, 256, 4), kind>(c);
    } else if constexpr (codes == Codes::s8) {
      add<by_rows(shared_columns(tiled(base, false, 32, 1, 512, 6), 2)), kind>(c);
      add<by_rows(tiled(base, false, 64, 1, 512, 3)), kind>(c);
      add<by_rows(tiled(base, false, 64, 8, 512, 3)), kind>(c);
      add<tiled(base, false, 64, 16, 512, 3), kind>(c);
    } else if constexpr (codes == Codes::bf16) {
      add<by_rows(tiled(base, false, 16, 1, 512, 6)), kind>(c);
      add<by_rows(tiled(base, false, 32, 1, 256, 6)), kind>(c);
      add<by_rows(tiled(base, false, 32, 8, 256, 5)), kind>(c);
      add<tiled(base, false, 32, 16, 256, 4), kind>(c);
    } else {
      add<tiled(base, true, 16, 8, kDeep, 8), kind>(c);
      add<tiled(base, true, 32, 8, kDeep, 5), kind>(c);
      add<tiled(base, true, 64, 8, kDeep, 3), kind>(c);
    }
    add<tiled(base, true, 64, 64, kRow * 2, 4), kind>(c);
    if constexpr (kFragment)
      add<tiled(base, true, 128, 128, kRow, 5), kind>(c);
    else
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
  const std::string part = argc > 1 ? argv[1] : "", format = argc > 2 ? argv[2] : "";
  if (part == "check") {
    std::printf("nothing to check: GemmTest does\n");
    return 0;
  }
  if (part != "time") {
    std::printf("usage: GemmTime time [bf16|e4m3|s8|s4]\n");
    return 2;
  }
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
    if (c.tile_t == 8)
      rows = {1, 8};
    else if (c.tile_n < 128 || c.tile_t < 64)
      rows = {c.tile_t};
    else
      rows = {c.tile_t, 4096};
    if (c.tile_n == 64 && c.tile_t >= 64)
      rows.push_back(2 * c.tile_t);
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
        Operands o{output,
                   layer.residual,
                   layer.bias,
                   layer.x_scales,
                   images + i % copies * image,
                   layer.x,
                   (long long)c.k * bytes(token_number(c)),
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
