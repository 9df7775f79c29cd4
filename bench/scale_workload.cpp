// W10: what a chunk costs the broker's core, from few workers to many, from short queues to long.
#include <algorithm>
#include <string>

#include "bench/scheduler_load.hpp"
#include "bench/workload.hpp"

namespace achilles::bench {
namespace {

Sample run_many_workers(const Place&, const Settings& settings) {
  const std::uint64_t chunks = settings.size(300'000, 3'000);
  const auto measure = [&](SchedulerLoad::Size size) {
    SchedulerLoad load(size);
    load.run(chunks / 3);
    return load.run(chunks) / 1e3;
  };
  Sample sample;
  for (const std::uint64_t workers : {10, 100, 1'000, 10'000}) {
    if (settings.quick && workers > 100) break;
    const double micros = measure({.workers = workers, .queued_items = 50'000});
    sample.more[std::to_string(workers) + " workers"] = micros;
    sample.value = std::max(sample.value, micros);
  }
  for (const std::uint64_t items : {1'000, 100'000, 10'000'000}) {
    if (settings.quick && items > 1'000) break;
    const double micros = measure({.workers = 10, .queued_items = items, .items_of_chunk = 100});
    sample.more[std::to_string(items) + " items"] = micros;
    sample.value = std::max(sample.value, micros);
  }
  return sample;
}

}  // namespace

Workload many_workers() {
  return {.name = "W10",
          .title = "the broker's core, a chunk, the worst of these",
          .unit = "us",
          .higher_is_better = false,
          .placed = false,
          .run = run_many_workers};
}

}  // namespace achilles::bench
