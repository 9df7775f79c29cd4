// W9: nothing to do: what the client, the daemons and the task processes use all the same.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "bench/stopwatch.hpp"
#include "bench/usage.hpp"
#include "bench/workload.hpp"

namespace achilles::bench {
namespace {

Sample run_idle(const Place& place, const Settings& settings) {
  const Pool pool = place.pool();
  pool.apply([](int x) { return x; }, 1);
  std::map<pid_t, double> before;
  for (const auto& [pid, seconds] : process_times(::getpid())) before[pid] = seconds;
  const Stopwatch watch;
  // The kernel counts in hundredths of a second: half a per cent takes some seconds to be seen.
  std::this_thread::sleep_for(std::chrono::milliseconds(settings.size(10'000, 500)));
  const double wall = watch.seconds();
  double most = 0;
  double sum = 0;
  for (const auto& [pid, seconds] : process_times(::getpid())) {
    const double used = seconds - before[pid];
    most = std::max(most, used);
    sum += used;
  }
  return {100 * most / wall, {{"all", 100 * sum / wall}}};
}

}  // namespace

Workload idle_pool() {
  return {.name = "W9",
          .title = "idle: the busiest process, of a core",
          .unit = "%",
          .higher_is_better = false,
          .run = run_idle};
}

}  // namespace achilles::bench
