// W5: tasks of very different lengths, the longest last.
#include <cmath>
#include <cstdint>
#include <ctime>
#include <numeric>
#include <vector>

#include "bench/stopwatch.hpp"
#include "bench/workload.hpp"

namespace achilles::bench {
namespace {

constexpr std::uint64_t kLongTasks = 8;
constexpr double kLongSeconds = 0.1;
constexpr double kMeanSeconds = 0.002;

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Computes for so many seconds of processor time, whatever else the machine does meanwhile.
double burn(double seconds) {
  const double end = thread_seconds() + seconds;
  while (thread_seconds() < end) {
  }
  return seconds;
}

/// Exponentially distributed but for the long ones at the end; the same each time.
std::vector<double> make_lengths(std::uint64_t count) {
  std::vector<double> lengths;
  std::uint64_t state = 1;
  const double short_mean =
      (kMeanSeconds * static_cast<double>(count) - kLongTasks * kLongSeconds) /
      static_cast<double>(count - kLongTasks);
  for (std::uint64_t i = 0; i + kLongTasks < count; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const double uniform = (static_cast<double>(state >> 11) + 0.5) * 0x1p-53;
    lengths.push_back(-std::log(uniform) * short_mean);
  }
  lengths.insert(lengths.end(), kLongTasks, kLongSeconds);
  return lengths;
}

Sample run_skewed_tasks(const Place& place, const Settings& settings) {
  const auto lengths = make_lengths(settings.size(2'000, 500));
  const double sum = std::accumulate(lengths.begin(), lengths.end(), 0.0);
  const Pool pool = place.pool();
  pool.map(fn<&burn>, std::vector<double>(16, 1e-4));
  const Stopwatch watch;
  const auto results = pool.map(fn<&burn>, lengths);
  const double makespan = watch.seconds();
  expect(results == lengths, "the lengths of tasks");
  return {sum / (settings.slots * makespan)};
}

}  // namespace

Workload skewed_tasks() {
  return {.name = "W5",
          .title = "skewed tasks, work / (slots x makespan)",
          .unit = "",
          .run = run_skewed_tasks};
}

}  // namespace achilles::bench
