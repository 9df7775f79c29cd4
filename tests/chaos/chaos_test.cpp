// One bounded pass of chaos. Everything is demanded but speed: of that, `script/chaos` tells.
#include <iostream>

#include "tests/chaos/report.hpp"
#include "tests/chaos/round.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::tests;

namespace {

struct Parties {
  std::size_t brokers = 1;
  std::size_t clients = 1;
};

void pass(std::uint64_t seed, Mode mode, Parties parties, const Network::Means& means) {
  const RoundOptions options{.seed = seed,
                             .mode = mode,
                             .duration = std::chrono::seconds(12),
                             .brokers = parties.brokers,
                             .workers = 2,
                             .slots = 2,
                             .clients = parties.clients,
                             .heartbeat = std::chrono::milliseconds(250)};
  std::cout << "chaos: " << title_of(draw_world(options)) << std::endl;
  const auto report = run_round(options, means);
  std::cout << to_string(report) << std::endl;
  if (report.failure) FAIL(*report.failure);
  CHECK(report.accounts.delivered > 0);
}

}  // namespace

TEST_CASE("everything is exact, goes on and ends while processes and connections are attacked") {
  pass(11, Mode::kProxy, {.brokers = 1, .clients = 2}, {});
}

TEST_CASE("the same with two brokers, which peers reach or not, each for itself") {
  pass(14, Mode::kProxy, {.brokers = 2, .clients = 1}, {});
}

TEST_CASE("the same in network namespaces, where links drop packets") {
  const auto means = Network::probe();
  if (!means.namespaces) {
    WARN("left out, for network namespaces do not work here: " + means.missing);
    return;
  }
  if (!means.missing.empty()) WARN("some faults are left out: " + means.missing);
  pass(12, Mode::kNamespaces, {.brokers = 1, .clients = 1}, means);
}
