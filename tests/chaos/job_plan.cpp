#include "tests/chaos/job_plan.hpp"

#include <array>
#include <random>

#include "tests/chaos/mixed.hpp"

namespace achilles::tests {
namespace {

/// Task processes are killed all the time: no item may fail by that.
constexpr std::uint32_t kNever = 1'000'000;

constexpr std::array kMixtureNames = {"quick", "varied", "failing", "deadly", "steady"};
constexpr std::array kWayNames = {"imap", "imap_unordered", "two imaps", "map"};

}  // namespace

JobPlan draw_job(std::uint64_t seed, std::uint32_t number) {
  std::mt19937_64 random(mixed(seed, number, 0x6a6f62));
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  JobPlan plan;
  plan.number = number;
  // Mostly imaps, whose inputs are drawn lazily.
  constexpr std::array kWays = {JobPlan::Way::kImap,          JobPlan::Way::kImap,
                                JobPlan::Way::kImapUnordered, JobPlan::Way::kImapUnordered,
                                JobPlan::Way::kTwoImaps,      JobPlan::Way::kMap};
  plan.way = kWays[below(kWays.size())];
  constexpr std::array kMixtures = {Mixture::kQuick, Mixture::kVaried, Mixture::kVaried,
                                    Mixture::kFailing, Mixture::kDeadly};
  plan.mixture = kMixtures[below(kMixtures.size())];
  constexpr std::array<std::uint64_t, 6> kChunksizes = {0, 0, 1, 3, 20, 200};
  plan.chunksize = kChunksizes[below(kChunksizes.size())];
  const bool deadly = plan.mixture == Mixture::kDeadly;
  plan.crash_limit = deadly ? 1 + static_cast<std::uint32_t>(below(3)) : kNever;
  plan.count = 50 + below(plan.mixture == Mixture::kQuick ? 30'000 : 3'000);
  if (deadly) plan.count = 50 + below(800);
  if (plan.way == JobPlan::Way::kMap) plan.count = 1 + below(1'000);
  if (plan.way != JobPlan::Way::kMap && below(6) == 0) plan.leave_after = below(plan.count);
  if (below(3) == 0) {
    plan.rest_every = plan.count / 4 + 1 + below(plan.count);  // A few times at most.
    plan.rest = std::chrono::milliseconds(below(4) == 0 ? below(8'000) : below(1'000));
  }
  return plan;
}

JobPlan calm_job(std::uint32_t number) {
  JobPlan plan;
  plan.number = number;
  plan.mixture = Mixture::kQuick;
  plan.count = 2'000;
  plan.chunksize = 20;
  plan.crash_limit = kNever;
  return plan;
}

JobPlan endless_job(std::uint32_t number) {
  JobPlan plan;
  plan.number = number;
  plan.mixture = Mixture::kSteady;
  plan.count = UINT64_MAX;
  plan.leave_at_end = true;
  plan.chunksize = 1;
  plan.crash_limit = kNever;
  return plan;
}

std::string to_string(const JobPlan& plan) {
  return std::string(kWayNames[static_cast<std::size_t>(plan.way)]) + ", " +
         kMixtureNames[static_cast<std::size_t>(plan.mixture)] + " items, chunksize " +
         std::to_string(plan.chunksize);
}

}  // namespace achilles::tests
