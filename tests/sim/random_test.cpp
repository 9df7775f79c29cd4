// Worlds drawn from seeds. A failure names its seed: set ACHILLES_SEED to it to run that one alone,
// and ACHILLES_STORY to see every message; ACHILLES_SEEDS says how many are tried.
#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/sim/world.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::sim;

namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::stoull(text) : otherwise;
}

}  // namespace

TEST_CASE("whatever happens, each item comes back once, in order, and everybody comes to an end") {
  const std::uint64_t first = setting("ACHILLES_SEED", 1);
  const std::uint64_t count =
      setting("ACHILLES_SEEDS", std::getenv("ACHILLES_SEED") != nullptr ? 1 : 300);
  std::uint64_t delivered = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    World world(drawn_plan(seed));
    if (std::getenv("ACHILLES_STORY") != nullptr) {
      world.on_story = [&](p::TimePoint, std::string_view what) {
        std::cerr << world.timeline.elapsed() / 1us << " us " << what << "\n";
      };
    }
    world.run();
    delivered += world.delivered();
  }
  CHECK(delivered > count);
}
