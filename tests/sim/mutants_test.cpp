// Would the simulator notice? Each deliberate fault of protocol/mutant.hpp is switched on, and some
// drawn world must break. A mutant that is never caught is a promise that nobody checks.
//
// ACHILLES_MUTANT=NAME tries one alone and says what gave it away.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "protocol/mutant.hpp"
#include "tests/sim/world.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::sim;
using achilles::protocol::active_mutant;
using achilles::protocol::Mutant;

namespace {

/// Most are caught within ten.
constexpr std::uint64_t kSeedsMax = 400;

template <class Change>
void change_jobs(Plan& plan, Change change) {
  for (auto& client : plan.clients) {
    for (auto& thread : client.threads) std::ranges::for_each(thread, change);
  }
}

/// Clients are lost while they are asked for their program.
Plan early_client_losses(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.faults = 4;
  plan.faults_within = 3ms;
  std::string problem;
  plan.fault_weights = weights_from("stall-client,crash-client", problem).value();
  return plan;
}

/// Users leave their loops while slow items run.
Plan early_leavers(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.faults = 0;
  change_jobs(plan, [&](JobPlan& job) {
    job.slow_time = 4s;
    job.leave_after = seed % 3;
  });
  return plan;
}

/// Sessions are lost again and again, while most machines stay as they are.
Plan many_sessions(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.faults = 15;
  plan.faults_within = 5s;
  std::string problem;
  plan.fault_weights =
      weights_from("cut=3,cut-to-peer=3,reconnect=2,stall-client=3,stall-worker=2,restart-broker",
                   problem)
          .value();
  return plan;
}

/// Among many short items one is slow for a moment, and the others wait behind it.
Plan short_hitches(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.faults = 0;
  change_jobs(plan, [](JobPlan& job) {
    job.items = 100;
    job.inner.reset();
    job.chunksize = 1;
    job.item_time = 50us;
    job.slow_item = 50;
    job.slow_time = 15ms;
  });
  return plan;
}

/// Workers are away for so long that others get their chunks, and come back with them.
Plan late_workers(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.faults = 12;
  plan.faults_within = 5s;
  std::string problem;
  plan.fault_weights =
      weights_from("stall-worker=3,hold-to-broker=3,hold=2,cut=2,restart-broker", problem).value();
  return plan;
}

/// Items take so long that their chunks run twice, and workers are lost meanwhile.
Plan lost_stragglers(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.faults = 6;
  plan.faults_within = 6s;
  std::string problem;
  plan.fault_weights = weights_from("crash-worker,drain-worker", problem).value();
  change_jobs(plan, [](JobPlan& job) {
    job.second_attempts = true;
    job.slow_time = 8s;
    job.slow_item = job.items / 2;
  });
  return plan;
}

/// Workers drain while users look away from results that have little room.
Plan unread_results(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.faults = 10;
  plan.faults_within = 5s;
  plan.patience_said = 4h;
  std::string problem;
  plan.fault_weights = weights_from("drain-worker", problem).value();
  for (auto& client : plan.clients) {
    client.result_bytes_max = 10'000;
    for (auto& thread : client.threads) {
      for (auto& job : thread) {
        job.items = std::min<std::uint64_t>(job.items, 50);
        job.large_result_bytes = 5'000;
        job.large_percent = 50;
        job.pause = 1min;
        job.pause_percent = 10;
      }
    }
  }
  return plan;
}

/// The broker is started again, and nothing else happens by which an item would run twice.
Plan broker_restarts(std::uint64_t seed) {
  Plan plan = drawn_plan(seed);
  plan.faults = static_cast<unsigned>(1 + seed % 4);
  std::string problem;
  plan.fault_weights = weights_from("restart-broker=3,stop-broker", problem).value();
  change_jobs(plan, [](JobPlan& job) {
    job.fate_permille = 0;
    job.inner.reset();
    job.second_attempts = false;
  });
  plan.runs_once = true;
  return plan;
}

struct Trial {
  Mutant mutant;
  std::string_view name;
  Plan (*plan)(std::uint64_t seed) = drawn_plan;
};

constexpr std::array kMutants{
    Trial{Mutant::kLostWorkersChunksForgotten, "kLostWorkersChunksForgotten"},
    Trial{Mutant::kReturnedChunksForgotten, "kReturnedChunksForgotten"},
    Trial{Mutant::kQueueFromWrongEnd, "kQueueFromWrongEnd"},
    Trial{Mutant::kAllowanceNotReleased, "kAllowanceNotReleased"},
    Trial{Mutant::kCreditIgnored, "kCreditIgnored"},
    Trial{Mutant::kWantedNotGranted, "kWantedNotGranted"},
    Trial{Mutant::kGrantNotSent, "kGrantNotSent"},
    Trial{Mutant::kWorkerWindowIgnored, "kWorkerWindowIgnored"},
    Trial{Mutant::kCrashCountsAgainstFirst, "kCrashCountsAgainstFirst"},
    Trial{Mutant::kRestOfCrashedForgotten, "kRestOfCrashedForgotten"},
    Trial{Mutant::kClosedJobNotTold, "kClosedJobNotTold"},
    Trial{Mutant::kPartNotAskedAgain, "kPartNotAskedAgain", early_client_losses},
    Trial{Mutant::kBrokerJudgesAfterItsNap, "kBrokerJudgesAfterItsNap"},
    Trial{Mutant::kUnwantedClaimsKept, "kUnwantedClaimsKept", late_workers},
    Trial{Mutant::kMissingNotQueuedAgain, "kMissingNotQueuedAgain", many_sessions},
    Trial{Mutant::kUnsubmittedKept, "kUnsubmittedKept", many_sessions},
    Trial{Mutant::kKeepJobsIgnored, "kKeepJobsIgnored", many_sessions},
    Trial{Mutant::kAcceptedNotPassedOn, "kAcceptedNotPassedOn"},
    Trial{Mutant::kSecondForgotten, "kSecondForgotten", lost_stragglers},
    Trial{Mutant::kChunksNotWithheld, "kChunksNotWithheld", broker_restarts},
    Trial{Mutant::kReturnedNotTold, "kReturnedNotTold"},
    Trial{Mutant::kDrainWaitsForGrants, "kDrainWaitsForGrants", unread_results},
    Trial{Mutant::kDeadTasksChunksLost, "kDeadTasksChunksLost"},
    Trial{Mutant::kFirstItemIsGuilty, "kFirstItemIsGuilty"},
    Trial{Mutant::kGrantsOutliveSession, "kGrantsOutliveSession"},
    Trial{Mutant::kHoldingNotTold, "kHoldingNotTold"},
    Trial{Mutant::kResultsFreedWhenSent, "kResultsFreedWhenSent", many_sessions},
    Trial{Mutant::kSkippedTasksLive, "kSkippedTasksLive", early_leavers},
    Trial{Mutant::kHeartbeatsForgotten, "kHeartbeatsForgotten"},
    Trial{Mutant::kBrokersSilenceIgnored, "kBrokersSilenceIgnored"},
    Trial{Mutant::kWorkerJudgesAfterItsNap, "kWorkerJudgesAfterItsNap"},
    Trial{Mutant::kAskedBackGetMore, "kAskedBackGetMore", short_hitches},
    Trial{Mutant::kItemsAcceptedTwice, "kItemsAcceptedTwice"},
    Trial{Mutant::kResultsOutOfOrder, "kResultsOutOfOrder"},
    Trial{Mutant::kClientWindowIgnored, "kClientWindowIgnored"},
    Trial{Mutant::kUnfinishedForgotten, "kUnfinishedForgotten"},
    Trial{Mutant::kUnreadNotCounted, "kUnreadNotCounted"},
    Trial{Mutant::kWantedNotTold, "kWantedNotTold"},
    Trial{Mutant::kClientJudgesAfterItsNap, "kClientJudgesAfterItsNap"},
    Trial{Mutant::kAcceptedNotSent, "kAcceptedNotSent"},
};

/// What gave it away, and in which world; empty when nothing did.
std::string caught(Mutant mutant, Plan (*plan)(std::uint64_t),
                   std::uint64_t seeds_max = kSeedsMax) {
  struct Switch {
    explicit Switch(Mutant on) { active_mutant = on; }
    ~Switch() { active_mutant = Mutant::kNone; }
  };
  const Switch on(mutant);
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
    World world(plan(seed));
    try {
      world.run();
    } catch (const Broken& broken) {
      return broken.what();
    }
  }
  return {};
}

}  // namespace

TEST_CASE("every mutant is tried") {
  const auto last = static_cast<std::size_t>(Mutant::kEnd);
  REQUIRE(kMutants.size() == last - 1);
  for (std::size_t i = 0; i < kMutants.size(); ++i) {
    CHECK(static_cast<std::size_t>(kMutants[i].mutant) == i + 1);
  }
}

TEST_CASE("every mutant is caught") {
  const char* chosen = std::getenv("ACHILLES_MUTANT");
  for (const auto& [mutant, name, plan] : kMutants) {
    if (chosen != nullptr && name != chosen) continue;
    const std::string how = caught(mutant, plan);
    INFO(name);
    CHECK(!how.empty());
    if (chosen != nullptr) std::cout << name << ": " << how << "\n";
  }
}

TEST_CASE("the worlds that catch mutants are whole without them") {
  CHECK(caught(Mutant::kNone, drawn_plan, 50).empty());
  CHECK(caught(Mutant::kNone, early_client_losses, 50).empty());
  CHECK(caught(Mutant::kNone, early_leavers, 50).empty());
  CHECK(caught(Mutant::kNone, many_sessions, 50).empty());
  CHECK(caught(Mutant::kNone, late_workers, 50).empty());
  CHECK(caught(Mutant::kNone, short_hitches, 50).empty());
  CHECK(caught(Mutant::kNone, lost_stragglers, 50).empty());
  CHECK(caught(Mutant::kNone, unread_results, 50).empty());
  CHECK(caught(Mutant::kNone, broker_restarts, 400).empty());
}
