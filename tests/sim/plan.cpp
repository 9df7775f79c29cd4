#include "tests/sim/plan.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace achilles::sim {

namespace {

/// Inputs up to this size lie in one block for all items of their job.
constexpr std::uint64_t kBlockInputBytes = 64;

}  // namespace

std::uint64_t JobPlan::draw(p::ItemIndex item, std::uint64_t what) const {
  return mixed((salt * 1000003 + what) * 0x9E3779B97F4A7C15ULL + item * 0xBF58476D1CE4E5B9ULL);
}

Fate JobPlan::fate(p::ItemIndex item) const {
  if (fate_permille == 0 || draw(item, 1) % 1000 >= fate_permille) return Fate::kFine;
  return static_cast<Fate>(1 + draw(item, 2) % 3);
}

p::Duration JobPlan::run_time(p::ItemIndex item) const {
  if (item == slow_item) return slow_time;
  return 1us + p::Duration(draw(item, 3) % static_cast<std::uint64_t>(item_time.count()));
}

const p::Bytes& JobPlan::block() const {
  if (!block_.empty() || items == 0) return block_;
  std::vector<std::byte> bytes(items * std::max<std::uint64_t>(input_bytes, 8));
  for (p::ItemIndex item = 0; item < items; ++item) {
    std::memcpy(bytes.data() + item * (bytes.size() / items), &item, sizeof item);
  }
  return block_ = p::Bytes::own(std::move(bytes));
}

p::Items JobPlan::inputs(p::ItemIndex first, std::uint64_t count) const {
  const std::uint64_t size = std::max<std::uint64_t>(input_bytes, 8);
  p::Items inputs;
  inputs.layout.count = count;
  inputs.layout.stride = static_cast<std::uint32_t>(size);
  if (size <= kBlockInputBytes) {
    inputs.payload = block().slice(first * size, count * size);
    return inputs;
  }
  std::vector<std::byte> bytes(count * size);
  for (p::ItemIndex item = first; item < first + count; ++item) {
    std::memcpy(bytes.data() + (item - first) * size, &item, sizeof item);
  }
  inputs.payload = p::Bytes::own(std::move(bytes));
  return inputs;
}

std::uint64_t JobPlan::result_size(p::ItemIndex item) const {
  const bool large = large_percent != 0 && draw(item, 4) % 100 < large_percent;
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
    values.end_item();
    return;
  }
  auto& buffer = values.buffer();
  const std::size_t start = buffer.size();
  buffer.resize(start + result_size(item));
  const std::uint64_t word = result_word(item);
  std::memcpy(buffer.data() + start, &word, sizeof word);
  values.end_item();
}

namespace {

/// A job's work, what runs in its inner loops included, and its user's pauses.
struct Extent {
  p::Duration work{};
  p::Duration pauses{};
};

Extent extent_of(const JobPlan& job) {
  Extent extent;
  extent.work = job.slow_time + job.item_time / 2 * static_cast<p::Duration::rep>(job.items);
  extent.pauses = job.pause / 100 * static_cast<p::Duration::rep>(job.pause_percent * job.items);
  if (!job.inner) return extent;
  const Extent inner = extent_of(*job.inner);
  const auto times = static_cast<p::Duration::rep>(job.items / job.inner_every + 1);
  extent.work += times * inner.work;
  extent.pauses += times * inner.pauses;
  return extent;
}

}  // namespace

p::Duration Plan::even_share() const {
  p::Duration work{};
  for (const auto& client : clients) {
    for (const auto& thread : client.threads) {
      for (const auto& job : thread) work += extent_of(job).work;
    }
  }
  std::uint64_t slots = 0;
  for (const auto& worker : workers) slots += worker.slots;
  return work / static_cast<p::Duration::rep>(std::max<std::uint64_t>(slots, 1));
}

p::Duration ClientPlan::under_credit() const {
  p::Duration time{};
  for (const auto& thread : threads) {
    for (const auto& job : thread) {
      const std::uint64_t result = std::max(job.result_bytes, job.large_result_bytes);
      const std::uint64_t chunk_bytes =
          1024 + 2 * result * std::max<std::uint64_t>(job.chunksize, 1);
      const std::uint64_t at_once = std::max<std::uint64_t>(result_bytes_max / chunk_bytes, 1);
      time += extent_of(job).work / static_cast<p::Duration::rep>(at_once);
    }
  }
  return time;
}

p::Duration Plan::patience() const {
  if (patience_said) return *patience_said;
  p::Duration pauses{};
  p::Duration longest{};
  p::Duration under_credit{};
  for (const auto& client : clients) {
    under_credit += client.under_credit();
    for (const auto& thread : client.threads) {
      for (const auto& job : thread) {
        pauses += extent_of(job).pauses;
        longest = std::max({longest, job.slow_time, job.item_time});
      }
    }
  }
  unsigned slowness = 1;
  for (const auto& worker : workers) slowness = std::max(slowness, worker.slowness);
  return 120s + 4 * even_share() + pauses + slowness * (under_credit + 20 * longest);
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
  job.crash_limit = static_cast<std::uint32_t>(random.chance(50) ? 0 : random.between(1, 4));
  job.second_attempts = job.salt % 4 != 0;
  job.input_bytes = random.chance(20) ? random.between(1000, 6000) : 8;
  job.result_bytes = random.between(8, 400);
  // An allowance is 16 KiB at first, a few hundred bytes once results are known to be small.
  job.large_result_bytes = random.between(2000, 60'000);
  job.large_percent = static_cast<unsigned>(random.chance(50) ? random.between(1, 100) : 0);
  job.item_time = random.between(10us, 20ms);
  job.slow_item = random.chance(50) ? 0 : random.below(job.items + 1);
  job.slow_time = random.chance(40) ? random.between(100ms, 2s) : 1ms;
  job.fate_permille = static_cast<unsigned>(random.chance(40) ? random.between(10, 150) : 0);
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
  // Most of these worlds are over within seconds; some faults must come in the middle.
  constexpr std::array kWithin{10s, 2s, 1s};
  plan.faults_within =
      random.chance(20) ? random.between(1ms, 50ms) : p::Duration(kWithin[random.below(3)]);
  if (random.chance(30)) plan.duplicate_percent = static_cast<unsigned>(random.between(1, 30));
  return plan;
}

}  // namespace achilles::sim
