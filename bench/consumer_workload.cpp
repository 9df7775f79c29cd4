// W6: a consumer that stops reading, and then reads slowly, while millions of inputs are there.
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>

#include "bench/stopwatch.hpp"
#include "bench/usage.hpp"
#include "bench/workload.hpp"

namespace achilles::bench {
namespace {

std::uint64_t next(std::uint64_t x) {
  return x + 1;
}

Sample run_slow_consumer(const Place& place, const Settings& settings) {
  constexpr std::uint64_t kInputs = 5'000'000;
  const std::chrono::milliseconds stop(settings.size(2'000, 100));
  const Pool pool = place.pool();
  pool.apply(fn<&next>, std::uint64_t{1});

  std::uint64_t taken = 0;
  auto results = pool.imap(fn<&next>, generate([&taken]() -> std::optional<std::uint64_t> {
                             if (taken == kInputs) return std::nullopt;
                             return taken++;
                           }));
  const std::uint64_t before = resident_bytes(::getpid());
  std::uint64_t index = 0;
  std::uint64_t most_ahead = 0;
  const Stopwatch watch;
  double slow_until = 0;
  for (const auto y : results) {
    expect(y == index + 1, "a successor");
    ++index;
    most_ahead = std::max(most_ahead, taken - index);
    if (index == 1'000) {
      std::this_thread::sleep_for(stop);
      slow_until = watch.seconds() + static_cast<double>(stop.count()) / 1e3;
    }
    if (index > 1'000) {
      if (watch.seconds() > slow_until) break;
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  }
  const std::uint64_t after = resident_bytes(::getpid());
  const double growth = after > before ? static_cast<double>(after - before) / (1 << 20) : 0;
  return {growth, {{"inputs ahead", static_cast<double>(most_ahead)}}};
}

}  // namespace

Workload slow_consumer() {
  return {.name = "W6",
          .title = "growth while the consumer stops and is slow",
          .unit = "MiB",
          .higher_is_better = false,
          .run = run_slow_consumer};
}

}  // namespace achilles::bench
