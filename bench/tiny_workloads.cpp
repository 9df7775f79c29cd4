// W1, W2, W3 and W8: functions that do next to nothing, so that what is measured is the way there
// and back.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <numeric>
#include <ranges>
#include <thread>
#include <vector>

#include "bench/stopwatch.hpp"
#include "bench/workload.hpp"

namespace achilles::bench {
namespace {

std::uint64_t square(std::uint64_t x) {
  return x * x;
}

std::uint64_t sum_of_squares(std::uint64_t count) {
  std::uint64_t sum = 0;
  for (std::uint64_t x = 0; x < count; ++x) sum += square(x);
  return sum;
}

auto numbers(std::uint64_t count) {
  return std::views::iota(std::uint64_t{0}, count);
}

/// The first calls of a Pool start its task processes and learn how long items take.
Pool warm_pool(const Place& place) {
  Pool pool = place.pool();
  for (const auto y : pool.imap_unordered(fn<&square>, numbers(1000), {.chunksize = 1})) {
    static_cast<void>(y);
  }
  return pool;
}

Sample run_tiny_tasks(const Place& place, const Settings& settings) {
  const std::uint64_t count = settings.size(1'000'000, 20'000);
  const Pool pool = warm_pool(place);
  std::uint64_t sum = 0;
  std::uint64_t seen = 0;
  const Stopwatch watch;
  for (const auto y : pool.imap_unordered(fn<&square>, numbers(count), {.chunksize = 1})) {
    sum += y;
    ++seen;
  }
  const double seconds = watch.seconds();
  expect(seen == count && sum == sum_of_squares(count), "the sum of squares");
  return {static_cast<double>(count) / seconds / 1e3};
}

Sample run_tiny_items(const Place& place, const Settings& settings) {
  const std::uint64_t count = settings.size(10'000'000, 200'000);
  const Pool pool = warm_pool(place);
  std::vector<std::uint64_t> inputs(count);
  std::iota(inputs.begin(), inputs.end(), std::uint64_t{0});
  const Stopwatch watch;
  const auto results = pool.map(fn<&square>, inputs);
  const double seconds = watch.seconds();
  expect(results.size() == count, "how many results map gives");
  for (std::uint64_t x = 0; x < count; ++x) expect(results[x] == x * x, "a square");
  return {static_cast<double>(count) / seconds / 1e6};
}

Sample run_one_call(const Place& place, const Settings& settings) {
  const std::uint64_t count = settings.size(5'000, 200);
  const Pool pool = warm_pool(place);
  std::vector<double> micros;
  micros.reserve(count);
  for (std::uint64_t x = 0; x < count; ++x) {
    const Stopwatch watch;
    const auto y = pool.apply(fn<&square>, x);
    micros.push_back(watch.seconds() * 1e6);
    expect(y == x * x, "a square");
  }
  std::ranges::sort(micros);
  return {micros[count / 2], {{"p99", micros[count * 99 / 100]}, {"max", micros.back()}}};
}

constexpr std::uint64_t kItemsOfSmallJob = 10;

/// Answers how many jobs there were.
std::uint64_t run_small_jobs_for(const Pool& pool, std::uint64_t jobs) {
  const std::uint64_t sum = sum_of_squares(kItemsOfSmallJob);
  for (std::uint64_t job = 0; job < jobs; ++job) {
    std::uint64_t found = 0;
    for (const auto y : pool.map(fn<&square>, numbers(kItemsOfSmallJob))) found += y;
    expect(found == sum, "a small job's sum");
  }
  return jobs;
}

Sample run_small_jobs(const Place& place, const Settings& settings) {
  constexpr int kThreads = 8;
  const std::uint64_t count = settings.size(4'000, 80);
  const Pool pool = warm_pool(place);

  const Stopwatch one_after_another;
  const auto jobs = static_cast<double>(run_small_jobs_for(pool, count));
  const double rate = jobs / one_after_another.seconds();

  std::atomic<int> failed = 0;
  const Stopwatch at_once;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        try {
          run_small_jobs_for(pool, count / kThreads);
        } catch (const std::exception&) {
          ++failed;
        }
      });
    }
  }
  expect(failed == 0, "a small job of several threads");
  const auto together = static_cast<double>(count / kThreads * kThreads);
  return {rate, {{"8 threads", together / at_once.seconds()}}};
}

}  // namespace

Workload tiny_tasks() {
  return {.name = "W1",
          .title = "tiny tasks, chunksize 1, imap_unordered",
          .unit = "k/s",
          .run = run_tiny_tasks};
}

Workload tiny_items() {
  return {.name = "W2",
          .title = "tiny items, automatic chunks, map",
          .unit = "M/s",
          .run = run_tiny_items};
}

Workload one_call() {
  return {.name = "W3",
          .title = "one call at a time, p50",
          .unit = "us",
          .higher_is_better = false,
          .run = run_one_call};
}

Workload small_jobs() {
  return {.name = "W8",
          .title = "jobs of 10 items, one after another",
          .unit = "jobs/s",
          .run = run_small_jobs};
}

}  // namespace achilles::bench
