#include "tests/sim/plan.hpp"

#include <algorithm>
#include <cstring>

namespace achilles::sim {

std::uint64_t JobPlan::draw(p::ItemIndex item, std::uint64_t what) const {
  // splitmix64: a good hash of a few numbers in three lines.
  std::uint64_t z = (salt * 1000003 + what) * 0x9E3779B97F4A7C15ULL + item * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

Fate JobPlan::fate(p::ItemIndex item) const {
  if (draw(item, 1) % 100 >= fate_percent) return Fate::kFine;
  return static_cast<Fate>(1 + draw(item, 2) % 3);
}

p::Duration JobPlan::run_time(p::ItemIndex item) const {
  if (item == slow_item) return slow_time;
  return 1us + p::Duration(draw(item, 3) % static_cast<std::uint64_t>(item_time.count()));
}

p::Items JobPlan::inputs(p::ItemIndex first, std::uint64_t count) const {
  p::ItemBuilder builder;
  for (p::ItemIndex item = first; item < first + count; ++item) {
    std::vector<std::byte> bytes(std::max<std::uint64_t>(input_bytes, 8));
    std::memcpy(bytes.data(), &item, sizeof item);
    builder.append(bytes);
  }
  auto [layout, bytes] = builder.take();
  return {std::move(layout), p::Bytes::own(std::move(bytes))};
}

std::uint64_t JobPlan::result_size(p::ItemIndex item) const {
  const bool large = draw(item, 4) % 100 < large_percent;
  return std::max<std::uint64_t>(large ? large_result_bytes : result_bytes, 8);
}

std::uint64_t JobPlan::result_word(p::ItemIndex item) const {
  return draw(item, 5);
}

void JobPlan::answer(p::ItemIndex item, p::ItemBuilder& values, p::ChunkResult& result) const {
  if (fate(item) == Fate::kThrows) {
    p::ErrorRecord error;
    error.causes.push_back({"std::runtime_error", "item " + std::to_string(item)});
    result.errors.push_back({item, std::move(error)});
    values.append({});
    return;
  }
  std::vector<std::byte> bytes(result_size(item));
  const std::uint64_t word = result_word(item);
  std::memcpy(bytes.data(), &word, sizeof word);
  values.append(bytes);
}

namespace {

JobPlan drawn_job(Random& random) {
  JobPlan job;
  job.salt = random.below(1 << 30);
  job.program = static_cast<std::uint8_t>(random.between(1, 2));
  job.items = random.chance(10) ? random.below(3) : random.between(5, 60);
  job.ordered = random.chance(70);
  job.eager = random.chance(30);
  job.known_size = random.chance(60);
  job.chunksize = random.chance(40) ? 0 : random.between(1, 9);
  job.crash_limit = static_cast<std::uint32_t>(random.chance(50) ? 0 : random.between(2, 4));
  job.input_bytes = random.chance(20) ? random.between(1000, 6000) : 8;
  job.result_bytes = random.between(8, 400);
  // An allowance is 16 KiB at first, a few hundred bytes once results are known to be small.
  job.large_result_bytes = random.between(2000, 60'000);
  job.large_percent = static_cast<unsigned>(random.chance(50) ? random.between(1, 100) : 0);
  job.item_time = random.between(10us, 20ms);
  job.slow_item = random.chance(50) ? 0 : random.below(job.items + 1);
  job.slow_time = random.chance(40) ? random.between(100ms, 2s) : 1ms;
  job.fate_percent = static_cast<unsigned>(random.chance(40) ? random.between(1, 15) : 0);
  if (random.chance(20)) job.leave_after = random.below(job.items + 1);
  if (random.chance(30)) {
    job.pause_percent = static_cast<unsigned>(random.between(1, 10));
    job.pause = random.between(1ms, 3s);
  }
  return job;
}

}  // namespace

Plan drawn_plan(std::uint64_t seed) {
  Random random(seed);
  Plan plan;
  plan.seed = seed;
  for (std::uint64_t i = random.between(1, 3); i > 0; --i) {
    ClientPlan client;
    client.result_bytes_max = random.chance(50) ? random.between(200, 20'000) : 8ULL << 20;
    for (std::uint64_t t = random.between(1, 2); t > 0; --t) {
      ThreadPlan thread;
      for (std::uint64_t j = random.between(1, 2); j > 0; --j) {
        thread.push_back(drawn_job(random));
        if (!random.chance(40)) continue;
        JobPlan inner = drawn_job(random);
        inner.items = random.between(1, 6);
        inner.leave_after.reset();
        thread.back().inner = std::make_shared<const JobPlan>(inner);
        thread.back().inner_every = random.between(5, 20);
      }
      client.threads.push_back(std::move(thread));
    }
    plan.clients.push_back(std::move(client));
  }
  for (std::uint64_t i = random.between(1, 3); i > 0; --i) {
    WorkerPlan worker;
    worker.slots = static_cast<std::uint32_t>(random.between(1, 4));
    worker.window_bytes = random.chance(30) ? random.between(1, 20'000) : 64ULL << 20;
    worker.held_result_bytes_max = random.chance(50) ? random.below(30'000) : 64ULL << 20;
    worker.warm_tasks_max = static_cast<std::uint32_t>(random.below(4));
    plan.workers.push_back(worker);
  }
  if (random.chance(40)) plan.job_window_bytes = random.between(100, 20'000);
  if (random.chance(80)) plan.faults = static_cast<unsigned>(random.between(1, 8));
  if (random.chance(30)) plan.duplicate_percent = static_cast<unsigned>(random.between(1, 30));
  return plan;
}

}  // namespace achilles::sim
