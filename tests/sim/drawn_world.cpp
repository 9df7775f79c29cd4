#include "tests/sim/drawn_world.hpp"

#include <algorithm>

namespace achilles::sim {
namespace {

/// Worlds with no more chunks and workers together are looked through at every step.
constexpr std::uint64_t kSmall = 300;
constexpr p::Duration kUnderCreditMax = 60s;

class Drawing {
 public:
  Drawing(std::uint64_t seed, const WorldOptions& options) : random_(seed), options_(options) {
    plan_.seed = seed;
  }

  Plan draw() {
    draw_workers();
    draw_clients();
    draw_times();
    draw_surroundings();
    return std::move(plan_);
  }

 private:
  void draw_workers() {
    for (std::uint64_t i = 0; i < options_.workers; ++i) {
      WorkerPlan worker;
      worker.slots =
          static_cast<std::uint32_t>(random_.between(options_.slots.least, options_.slots.most));
      if (random_.chance(5)) worker.window_bytes = random_.between(100, 20'000);
      if (random_.chance(5)) worker.held_result_bytes_max = random_.below(30'000);
      worker.warm_tasks_max = static_cast<std::uint32_t>(random_.below(4));
      if (random_.chance(5)) worker.slowness = static_cast<unsigned>(random_.between(2, 5));
      if (random_.chance(5)) worker.far_away = random_.between(1ms, 100ms);
      if (random_.chance(10)) worker.starts_after = random_.between(1ms, 2s);
      plan_.workers.push_back(worker);
    }
    // Somebody must be there for the first job.
    plan_.workers.front().starts_after = 0s;
  }

  JobPlan draw_job(std::uint64_t chunks) {
    JobPlan job;
    job.salt = random_.below(1 << 30);
    job.program = static_cast<std::uint8_t>(random_.between(1, 2));
    job.chunksize = random_.chance(70) ? 1 : random_.between(2, 8);
    job.items = std::max<std::uint64_t>(chunks, 1) * job.chunksize;
    job.ordered = random_.chance(60);
    job.eager = random_.chance(30);
    job.known_size = random_.chance(60);
    job.crash_limit = static_cast<std::uint32_t>(random_.chance(50) ? 0 : random_.between(1, 4));
    job.second_attempts = job.salt % 4 != 0;
    job.result_bytes = random_.between(8, 200);
    if (random_.chance(20)) {
      job.large_result_bytes = random_.between(2000, 60'000);
      job.large_percent = static_cast<unsigned>(random_.between(1, 5));
    }
    job.fate_permille = static_cast<unsigned>(random_.chance(40) ? random_.between(1, 5) : 0);
    if (random_.chance(10)) job.leave_after = random_.below(job.items + 1);
    job.slow_item = random_.below(job.items);
    return job;
  }

  void draw_clients() {
    const std::uint64_t count = options_.clients.value_or(random_.between(1, 6));
    std::uint64_t left = options_.chunks;
    for (std::uint64_t i = 0; i < count; ++i) {
      ClientPlan client;
      client.result_bytes_max = random_.chance(30) ? random_.between(20'000, 500'000) : 8ULL << 20;
      client.says_bye = random_.chance(50);
      // The last client gets what is left: the world has as many chunks as it was told.
      std::uint64_t chunks = i + 1 == count ? left : left / (count - i) * random_.between(1, 9) / 5;
      chunks = std::min(chunks, left);
      left -= chunks;
      for (std::uint64_t threads = random_.between(1, 2); threads > 0; --threads) {
        ThreadPlan thread;
        std::uint64_t of_thread = threads == 1 ? chunks : random_.below(chunks + 1);
        chunks -= of_thread;
        while (of_thread > 0) {
          const std::uint64_t of_job =
              random_.chance(50) ? of_thread : random_.between(1, of_thread);
          thread.push_back(draw_job(of_job));
          of_thread -= of_job;
        }
        client.threads.push_back(std::move(thread));
      }
      plan_.clients.push_back(std::move(client));
    }
  }

  /// Long enough that leases are lost in the middle of the work; or short, and chunks travel by the
  /// hundred.
  void draw_times() {
    std::uint64_t slots = 0;
    for (const auto& worker : plan_.workers) slots += worker.slots;
    const p::Duration lasts = options_.lasts.value_or(
        random_.chance(60) ? random_.between(5s, 20s) : random_.between(100ms, 3s));
    const p::Duration chunk_time = std::clamp<p::Duration>(
        lasts * static_cast<p::Duration::rep>(slots) /
            static_cast<p::Duration::rep>(std::max<std::uint64_t>(options_.chunks, 1)),
        10us, 10s);
    for (auto& client : plan_.clients) {
      for (auto& thread : client.threads) {
        for (auto& job : thread) {
          // A job's items take twice as long at most as they do on average.
          job.item_time = 2us + 2 * chunk_time / static_cast<p::Duration::rep>(job.chunksize);
          job.slow_time = random_.chance(30) ? random_.between(1s, 7s) : job.item_time;
          if (random_.chance(90)) continue;
          job.pause = random_.between(1s, 60s);  // The user does something else now and then.
          job.pause_percent = job.items < 200 ? 1 : 0;
        }
      }
    }
    // Little room for results makes a large world a slow one.
    for (auto& client : plan_.clients) {
      if (client.under_credit() > kUnderCreditMax) client.result_bytes_max = 8ULL << 20;
    }
    plan_.faults_within = std::max<p::Duration>(lasts, 500ms);
  }

  void draw_surroundings() {
    plan_.latency_min = 1us * static_cast<p::Duration::rep>(options_.latency_us.least);
    plan_.latency_max = 1us * static_cast<p::Duration::rep>(options_.latency_us.most);
    const auto usual = static_cast<unsigned>(10 + options_.workers / 10);
    plan_.brokers = options_.brokers;
    plan_.faults = options_.faults.value_or(
        random_.chance(90) ? static_cast<unsigned>(random_.between(1, usual)) : 0);
    plan_.fault_weights = options_.fault_weights;
    if (random_.chance(20)) plan_.job_window_bytes = random_.between(1000, 200'000);
    const bool small = options_.workers + options_.chunks <= kSmall;
    plan_.codec_every = options_.codec_every.value_or(small ? 1 : 64);
    // A look through all tables costs what they hold.
    plan_.check_every =
        options_.check_every.value_or(small ? 1 : 2 * options_.workers + options_.chunks / 5);
  }

  Random random_;
  const WorldOptions& options_;
  Plan plan_;
};

}  // namespace

Plan drawn_world(std::uint64_t seed, const WorldOptions& options) {
  return Drawing(seed, options).draw();
}

}  // namespace achilles::sim
