// Worlds of several brokers that know nothing of each other, and that some cannot reach.
#include "tests/sim/drawn_world.hpp"
#include "tests/sim/world.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::sim;

namespace {

FaultWeights weights(std::string_view text) {
  std::string problem;
  const auto weights = weights_from(text, problem);
  REQUIRE(problem.empty());
  return weights.value();
}

/// What happens in it is that brokers go away and come back, and that parties cannot reach them.
Plan parted_world(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.brokers = 2 + seed % 2;
  plan.faults = 10;
  plan.faults_within = 15s;
  plan.fault_weights = weights(
      "part=8,restart-broker=3,stop-broker=2,stall-broker=2,cut=2,crash-worker=2,"
      "stall-worker=2,stall-client=2,crash-client,drain-worker");
  return plan;
}

}  // namespace

TEST_CASE("brokers come and go, and networks part: each result once, and all come to their end") {
  Tally total;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    World world(parted_world(seed));
    world.run();
    total += world.tally();
  }
  CHECK(total.faults[static_cast<std::size_t>(FaultKind::kPart)] > 100);
}

TEST_CASE("the first of two brokers goes away for good in the middle: the second takes over") {
  JobPlan job;
  job.items = 2000;
  job.chunksize = 3;
  job.item_time = 400ms;
  job.slow_time = 5s;
  job.second_attempts = false;
  Plan plan;
  plan.brokers = 2;
  plan.clients.push_back({8ULL << 20, {{job}}});
  for (int worker = 0; worker < 4; ++worker) plan.workers.push_back({2});
  World world(plan);
  world.restart_broker_after(20s, 10'000s);
  world.run(600s);
  CHECK(world.delivered() == 2000);
  CHECK(world.tally().item_runs == 2000);  // Workers took along what they had.
}

TEST_CASE("and when it comes back, all move there: nothing is run twice") {
  JobPlan job;
  job.items = 2000;
  job.chunksize = 3;
  job.item_time = 400ms;
  job.slow_time = 5s;
  job.second_attempts = false;
  Plan plan;
  plan.brokers = 2;
  plan.clients.push_back({8ULL << 20, {{job}}});
  for (int worker = 0; worker < 4; ++worker) plan.workers.push_back({2});
  World world(plan);
  world.restart_broker_after(5s, 15s);
  world.restart_broker_after(40s, 12s);
  world.run(600s);
  CHECK(world.delivered() == 2000);
  CHECK(world.tally().item_runs == 2000);
}
