//===- TuneMeasure.cpp - Timing kernels that do the same ------------------===//
//
// Part of qopt, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TuneMeasure.h"
#include <algorithm>
#include <cstring>

using namespace qopt;

namespace {

constexpr unsigned replays = 7;
constexpr double hopeless = 2; // times the best
/// Replays before the first that counts, so that clocks have gone up.
constexpr double warmUpSeconds = 0.02;
constexpr unsigned mostWarmUps = 100;

class Contest {
public:
  Contest(Device &device, const DeviceCode &code, const TuneWork &work)
      : device(device), code(code), work(work) {}

  Result<Measurement> measure(const Contender &contender) {
    Measurement result;
    Result<bool> agrees = compare(contender);
    if (!agrees)
      return agrees.status();
    result.agrees = *agrees;
    if (!result.agrees)
      return result;
    std::vector<LaunchCommand> line;
    for (uint64_t weight : work.weights)
      line.push_back(launch(contender, weight));
    Result<std::unique_ptr<Recording>> recording = device.record(code, std::move(line));
    if (!recording)
      return recording.status();
    if (best == 0)
      if (Status status = warmUp(**recording); !status)
        return status;
    if (Status status = time(**recording, result); !status)
      return status;
    if (best == 0 || result.seconds < best)
      best = result.seconds;
    return result;
  }

private:
  LaunchCommand launch(const Contender &contender, uint64_t weight) const {
    LaunchCommand command;
    command.entry = contender.entry;
    command.args = work.args;
    command.args[work.weightArg] = weight;
    command.grid = contender.grid;
    command.maps = contender.maps;
    command.name = contender.name;
    return command;
  }

  /// Whether one launch writes what the first contender's did.
  Result<bool> compare(const Contender &contender) {
    if (expected.bytes().empty()) {
      for (HostMemory *memory : {&expected, &found}) {
        Result<HostMemory> allocated = device.allocateHost(work.outputBytes);
        if (!allocated)
          return allocated.status();
        *memory = std::move(*allocated);
      }
      if (Status status = run(contender, expected); !status)
        return status;
      return true;
    }
    if (Status status = run(contender, found); !status)
      return status;
    return std::memcmp(expected.bytes().data(), found.bytes().data(), work.outputBytes) == 0;
  }

  Status run(const Contender &contender, const HostMemory &result) {
    std::vector<LaunchCommand> line{launch(contender, work.weights.front())};
    Status status = device.zero(work.output, work.outputBytes);
    if (status)
      status = device.launch(code, line);
    if (status)
      status = device.copyToHost(result.bytes(), work.output);
    if (status)
      return status;
    return Status(status.code(), contender.name + ": " + status.message());
  }

  Status warmUp(const Recording &recording) {
    double seconds = 0;
    for (unsigned i = 0; i < mostWarmUps && seconds < warmUpSeconds; ++i) {
      Result<double> time = device.time(recording);
      if (!time)
        return time.status();
      seconds += *time;
    }
    return Status::ok();
  }

  Status time(const Recording &recording, Measurement &result) {
    std::vector<double> times;
    for (unsigned i = 0; i < replays; ++i) {
      Result<double> seconds = device.time(recording);
      if (!seconds)
        return seconds.status();
      times.push_back(*seconds / static_cast<double>(work.weights.size()));
      result.finished = i > 0 || best == 0 || times.front() < hopeless * best;
      if (!result.finished)
        break;
    }
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    result.seconds = times[times.size() / 2];
    return Status::ok();
  }

  Device &device;
  const DeviceCode &code;
  const TuneWork &work;
  HostMemory expected, found;
  double best = 0;
};

} // namespace

Result<std::vector<Measurement>> qopt::measureContenders(Device &device, const DeviceCode &code,
                                                         const TuneWork &work,
                                                         std::span<const Contender> contenders,
                                                         const std::function<bool()> &goOn) {
  Contest contest(device, code, work);
  std::vector<Measurement> results;
  for (const Contender &contender : contenders) {
    if (!results.empty() && !goOn())
      break;
    Result<Measurement> result = contest.measure(contender);
    if (!result)
      return result.status();
    results.push_back(*result);
  }
  return results;
}
