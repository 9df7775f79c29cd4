// W5: tasks of very different lengths, the longest last.
#include <numeric>
#include <vector>

#include "bench/skew.hpp"
#include "bench/stopwatch.hpp"
#include "bench/workload.hpp"

namespace achilles::bench {
namespace {

Sample run_skewed_tasks(const Place& place, const Settings& settings) {
  const auto lengths = skewed_lengths(settings.size(2'000, 500));
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
