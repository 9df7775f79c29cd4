// The same seed gives the same run, message by message.
#include "tests/sim/drawn_world.hpp"
#include "tests/sim/world.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::sim;

namespace {

struct Run {
  std::uint64_t digest = 0;
  Tally tally;
};

Run run(const Plan& plan) {
  World world(plan);
  world.run();
  return {world.digest(), world.tally()};
}

void check_same(const Plan& plan) {
  INFO("seed " << plan.seed);
  const Run first = run(plan);
  // What happens to lie elsewhere in memory must not matter.
  const std::vector<std::vector<char>> elsewhere(100, std::vector<char>(plan.seed * 7 % 1000 + 1));
  const Run second = run(plan);
  CHECK(first.digest == second.digest);
  CHECK(first.tally.describe() == second.tally.describe());
}

}  // namespace

TEST_CASE("the same seed gives the same run") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) check_same(drawn_plan(seed));
  WorldOptions options;
  options.workers = 60;
  options.chunks = 1500;
  options.faults = 40;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) check_same(drawn_world(seed, options));
}

TEST_CASE("another seed gives another run") {
  CHECK(run(drawn_plan(1)).digest != run(drawn_plan(2)).digest);
}

TEST_CASE("looking more closely changes nothing") {
  WorldOptions options;
  options.workers = 20;
  options.chunks = 300;
  options.codec_every = 1000;
  options.check_every = 1000;
  const Plan seldom = drawn_world(7, options);
  options.codec_every = 1;
  options.check_every = 1;
  const Plan always = drawn_world(7, options);
  CHECK(run(seldom).digest == run(always).digest);
}
