// A round: a world of its own, attacked for a while, healed, brought to its end and looked over.
//
// Thread ownership: one thread. REQUIRES: no other thread in the process when a round begins.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/accounts.hpp"
#include "tests/chaos/attack.hpp"
#include "tests/chaos/plan.hpp"
#include "tests/chaos/world.hpp"

namespace achilles::tests {

struct RoundOptions {
  std::uint64_t seed = 0;
  Mode mode = Mode::kProxy;
  std::chrono::milliseconds duration{0};  ///< Of the attack.
  /// Nothing given: drawn from the seed.
  std::optional<std::size_t> brokers = {};
  std::optional<std::size_t> workers = {};
  std::optional<std::uint32_t> slots = {};
  std::optional<std::size_t> clients = {};
  std::optional<std::chrono::milliseconds> heartbeat = {};
  std::vector<FaultKind> only = {};
  bool endless_jobs = false;
  /// Where the logs of a failed round are kept; empty: nowhere.
  std::string logs = {};
  /// Called with each line of what is done to the world.
  std::function<void(const std::string&)> tell = {};
};

struct Peaks {
  std::uint64_t broker = 0;
  std::uint64_t worker = 0;
  std::uint64_t task = 0;
  std::uint64_t client = 0;
};

/// How long the first result took, after something was well again.
struct Waits {
  int count = 0;
  double sum_s = 0;
  double max_s = 0;
  void add(double seconds);
};

/// How long the parts of a round took, in seconds.
struct Phases {
  double attack_s = 0;  ///< With the demands for progress in between.
  double last_jobs_s = 0;
  double idle_s = 0;  ///< Until nothing was held any more.
  double farewell_s = 0;
};

struct RoundReport {
  WorldOptions world;
  Accounts accounts;
  std::array<Attack::Count, kFaultKinds> faults{};
  Peaks rss;
  Phases phases;
  Waits after_broker_start;  ///< Other faults went on meanwhile.
  Waits after_healing;
  std::optional<std::string> failure;
};

/// What the seed draws for what is not given.
WorldOptions draw_world(const RoundOptions& options);

/// Throws Interrupted; all else that goes wrong is in the report.
RoundReport run_round(const RoundOptions& options, const Network::Means& means);

}  // namespace achilles::tests
