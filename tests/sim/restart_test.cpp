// The broker is killed and started again, many times in one job.
#include "tests/sim/world.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::sim;

TEST_CASE("ten restarts of the broker in one job: each item comes back once, and none runs twice") {
  for (const bool ordered : {true, false}) {
    INFO("ordered: " << ordered);
    JobPlan job;
    job.items = 2000;
    job.ordered = ordered;
    job.chunksize = 3;
    job.second_attempts = false;
    job.item_time = 400ms;
    job.slow_time = 5s;
    job.large_result_bytes = 30'000;
    job.large_percent = 20;
    Plan plan;
    plan.clients.push_back({8ULL << 20, {{job}}});
    for (int worker = 0; worker < 4; ++worker) plan.workers.push_back({2});
    World world(plan);
    for (int restart = 0; restart < 10; ++restart) {
      world.restart_broker_after(2s + restart * 5s, restart * 90ms);
    }
    world.run(600s);
    CHECK(world.delivered() == 2000);
    CHECK(world.tally().item_runs == 2000);
  }
}
