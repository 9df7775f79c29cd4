// Worlds of middling size: enough workers that faults strike some while others go on. achilles-sim
// runs larger ones, and more of them.
#include "tests/sim/drawn_world.hpp"
#include "tests/sim/world.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::sim;

namespace {

WorldOptions middling() {
  WorldOptions options;
  options.workers = 30;
  options.chunks = 600;
  return options;
}

Tally run(std::uint64_t first_seed, std::uint64_t count, const WorldOptions& options) {
  Tally total;
  for (std::uint64_t seed = first_seed; seed < first_seed + count; ++seed) {
    World world(drawn_world(seed, options));
    world.run();
    total += world.tally();
  }
  return total;
}

/// Faults of one kind, many of them.
Tally run_kind(FaultKind kind) {
  WorldOptions options = middling();
  options.fault_weights = {};
  options.fault_weights[static_cast<std::size_t>(kind)] = 1;
  options.faults = 20;
  options.workers = 8;
  options.chunks = 200;
  return run(100, 2, options);
}

}  // namespace

TEST_CASE("thirty machines, whatever happens to them") {
  const Tally tally = run(1, 24, middling());
  CHECK(tally.delivered_chunks > 24 * 400);
}

TEST_CASE("each kind of fault strikes, and is survived") {
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    const auto kind = static_cast<FaultKind>(i);
    INFO(name_of(kind));
    CHECK(run_kind(kind).faults[i] > 0);
  }
}

TEST_CASE("where nothing goes wrong, nothing is done twice") {
  WorldOptions options = middling();
  options.faults = 0;
  const Tally tally = run(1, 8, options);
  CHECK(tally.condemned_items == 0);
  CHECK(tally.failed_jobs == 0);
  CHECK(tally.impatient_drains == 0);
}
