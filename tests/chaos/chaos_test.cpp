// One bounded pass of chaos. Everything is demanded but speed: of that, `script/chaos` tells.
#include <iostream>

#include "tests/chaos/report.hpp"
#include "tests/chaos/round.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::tests;

namespace {

void pass(const RoundOptions& options, const Network::Means& means) {
  std::cout << "chaos: " << title_of(draw_world(options)) << std::endl;
  const auto report = run_round(options, means);
  std::cout << to_string(report) << std::endl;
  if (report.failure) FAIL(*report.failure);
  CHECK(report.accounts.delivered > 0);
}

}  // namespace

TEST_CASE("everything is exact, goes on and ends while processes and connections are attacked") {
  pass({.seed = 11,
        .mode = Mode::kProxy,
        .duration = std::chrono::seconds(12),
        .brokers = 1,
        .workers = 2,
        .slots = 2,
        .clients = 2,
        .heartbeat = std::chrono::milliseconds(250)},
       {});
}

TEST_CASE("the same with two brokers, which peers reach or not, each for itself") {
  pass({.seed = 14,
        .mode = Mode::kProxy,
        .duration = std::chrono::seconds(12),
        .brokers = 2,
        .workers = 2,
        .slots = 2,
        .clients = 1,
        .heartbeat = std::chrono::milliseconds(250)},
       {});
}

TEST_CASE("the same in network namespaces, where links drop packets") {
  const auto means = Network::probe();
  if (!means.namespaces) {
    WARN("left out, for network namespaces do not work here: " + means.missing);
    return;
  }
  if (!means.missing.empty()) WARN("some faults are left out: " + means.missing);
  pass({.seed = 12,
        .mode = Mode::kNamespaces,
        .duration = std::chrono::seconds(12),
        .brokers = 1,
        .workers = 2,
        .slots = 2,
        .clients = 1,
        .heartbeat = std::chrono::milliseconds(250)},
       means);
}
