// The two famous deadlocks of bounded pipelines, made certain to happen if they can.
#include "tests/sim/world.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::sim;

namespace {

/// All memory on the way is smaller than one result. With the smaller credit chunks go one at a
/// time; with the larger one later chunks go ahead, and their results take all the credit.
struct Tight {
  std::uint64_t credit;
  std::uint64_t window_bytes;
  std::uint32_t slots;

  Plan plan() const {
    Plan plan;
    plan.clients.push_back({credit, {}});
    plan.workers.push_back({slots, window_bytes, 100, 1});
    return plan;
  }
};

std::vector<Tight> tight_worlds() {
  std::vector<Tight> all;
  for (const std::uint64_t credit : {100, 40'000}) {
    for (const std::uint64_t window_bytes : {1, 20, 64 << 20}) {
      for (const std::uint32_t slots : {1, 2, 4}) all.push_back({credit, window_bytes, slots});
    }
  }
  return all;
}

}  // namespace

TEST_CASE("ordered iteration passes a slow first chunk although each result exceeds the credit") {
  for (const auto& tight : tight_worlds()) {
    for (const bool eager : {true, false}) {
      INFO(tight.credit << " " << tight.window_bytes << " " << tight.slots << " " << eager);
      JobPlan job;
      job.items = 60;
      job.eager = eager;
      job.slow_time = 1s;
      job.result_bytes = 60'000;
      Plan plan = tight.plan();
      plan.clients[0].threads.push_back({job});
      World world(plan);
      world.run(10s);
      CHECK(world.delivered() == 60);
    }
  }
}

TEST_CASE("ordered iteration passes a large slow result after smaller later ones took the credit") {
  for (const std::size_t workers : {2, 4}) {
    INFO(workers);
    JobPlan job;
    job.items = 60;
    job.result_bytes = 200;
    job.large_result_bytes = 60'000;
    job.large_percent = 25;
    // Sent while small results are expected, and not yet waited for.
    job.slow_item = 5;
    while (job.result_size(job.slow_item) != job.large_result_bytes) ++job.slow_item;
    job.slow_time = 1s;
    Plan plan = Tight{20'000, 64 << 20, 1}.plan();
    // Its worker holds nothing else back: only the user's wish can fetch it.
    plan.workers.resize(workers, plan.workers[0]);
    plan.clients[0].threads.push_back({job});
    World world(plan);
    world.run(10s);
    CHECK(world.delivered() == 60);
  }
}

TEST_CASE("an inner loop over imap gets through while the outer one's results lie unread") {
  for (const auto& tight : tight_worlds()) {
    for (const bool ordered : {true, false}) {
      INFO(tight.credit << " " << tight.window_bytes << " " << tight.slots << " " << ordered);
      JobPlan inner;
      inner.salt = 2;
      inner.items = 5;
      inner.ordered = ordered;
      inner.result_bytes = 50'000;
      inner.slow_time = 20ms;
      JobPlan outer;
      outer.items = 30;
      outer.eager = true;
      outer.ordered = ordered;
      outer.result_bytes = 40'000;
      outer.slow_time = 100ms;
      outer.inner = std::make_shared<const JobPlan>(inner);
      Plan plan = tight.plan();
      plan.clients[0].threads.push_back({outer});
      World world(plan);
      world.run(20s);
      CHECK(world.delivered() == 30 + 30 * 5);
    }
  }
}
