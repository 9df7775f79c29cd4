// The driver itself: what it plans, what it finds, and that nothing of it stays.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <set>

#include "protocol/transport/signals.hpp"
#include "tests/chaos/job_plan.hpp"
#include "tests/chaos/ledger.hpp"
#include "tests/chaos/party.hpp"
#include "tests/chaos/plan.hpp"
#include "tests/chaos/run_folder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace achilles::tests;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kSeed = 5;
constexpr std::uint32_t kJob = 3;

std::string planned(const PlanOptions& options) {
  std::string text;
  for (const auto& fault : draw_faults(options)) {
    text += std::to_string(fault.at.count()) + " " + to_string(fault) + " " +
            std::to_string(fault.target) + "\n";
  }
  return text;
}

PlanOptions long_attack(std::uint64_t seed) {
  return {.seed = seed,
          .duration = std::chrono::hours(1),
          .weapons = {.proxies = true, .drop = true, .slow = true, .unplug = true}};
}

/// The serial outcome of an item without load.
Outcome right(std::uint64_t index) {
  return {index, value_of(kSeed, kJob, index), {}};
}

std::uint64_t first_of(Mixture mixture, Fate fate) {
  std::uint64_t index = 0;
  while (nature_of(kSeed, kJob, mixture, index).fate != fate) ++index;
  return index;
}

achilles::RemoteError failure_of(std::uint64_t index, const std::string& what) {
  achilles::RemoteError::Details details;
  details.index = index;
  details.causes = {{"std::domain_error", what}};
  return achilles::RemoteError(details);
}

}  // namespace

TEST_CASE("a seed plans the same faults each time, and another seed others") {
  CHECK(planned(long_attack(1)) == planned(long_attack(1)));
  CHECK(planned(long_attack(1)) != planned(long_attack(2)));
}

TEST_CASE("a long attack has every kind of fault, and none that the machine cannot do") {
  std::set<FaultKind> kinds;
  for (const auto& fault : draw_faults(long_attack(1))) kinds.insert(fault.kind);
  CHECK(kinds.size() == kFaultKinds);
  auto options = long_attack(1);
  options.weapons = {};
  for (const auto& fault : draw_faults(options)) CHECK(fault.kind < FaultKind::kReset);
  options.only = {FaultKind::kKillBroker, FaultKind::kUnplug};
  for (const auto& fault : draw_faults(options)) CHECK(fault.kind == FaultKind::kKillBroker);
}

TEST_CASE("a drawn job's reader rests, but never for most of a run") {
  std::chrono::milliseconds longest{0};
  for (std::uint32_t number = 1; number < 5000; ++number) {
    const JobPlan plan = draw_job(kSeed, number);
    if (plan.rest_every == 0) continue;
    longest = std::max(longest, plan.rest * static_cast<int>(plan.count / plan.rest_every));
  }
  CHECK(longest > std::chrono::seconds(10));
  CHECK(longest < std::chrono::seconds(30));
}

TEST_CASE("an item computes the same wherever it runs, and notes each execution") {
  const TemporaryFolder folder;
  const auto file = (folder / "executions").string();
  for (std::uint64_t index = 0; index < 300; ++index) {
    const auto mixture = Mixture::kFailing;
    const Item item = make_item(kSeed, kJob, mixture, index);
    const auto nature = nature_of(kSeed, kJob, mixture, index);
    if (nature.takes > std::chrono::milliseconds(0)) continue;
    if (nature.fate == Fate::kThrows) {
      CHECK_THROWS_WITH(run_item(file, item), complaint_of(index));
    } else {
      CHECK(flaw_in(run_item(file, item), item) == std::nullopt);
    }
  }
  CHECK(fs::file_size(file) > 250 * sizeof(Execution));
}

TEST_CASE("a ledger finds what is lost, doubled, out of order or wrong") {
  Ledger ordered(kSeed, kJob, Mixture::kQuick, true);
  ordered.note_value(0, right(0));
  CHECK_THROWS_AS(ordered.note_value(2, right(2)), Violation);
  CHECK_THROWS_AS(ordered.finish(2), Violation);
  CHECK_NOTHROW(ordered.finish(1));

  Ledger unordered(kSeed, kJob, Mixture::kQuick, false);
  unordered.note_value(1, right(1));
  CHECK_THROWS_AS(unordered.finish(1), Violation);  // Item 0 never came.
  unordered.note_value(0, right(0));
  CHECK_NOTHROW(unordered.finish(2));
  CHECK_THROWS_AS(unordered.note_value(1, right(1)), Violation);

  Ledger wrong(kSeed, kJob, Mixture::kQuick, false);
  CHECK_THROWS_AS(wrong.note_value(0, right(1)), Violation);
  CHECK_THROWS_AS(wrong.note_value(1, Outcome{1, 7, {}}), Violation);
  CHECK_THROWS_AS(wrong.note_value(2, Outcome{2, right(2).value, "more"}), Violation);
  CHECK_THROWS_AS(wrong.note_error(3, failure_of(3, complaint_of(3))), Violation);
}

TEST_CASE("a ledger knows which items must fail, and how") {
  const auto throwing = first_of(Mixture::kFailing, Fate::kThrows);
  Ledger ledger(kSeed, kJob, Mixture::kFailing, false);
  CHECK_THROWS_AS(ledger.note_value(throwing, right(throwing)), Violation);
  Ledger second(kSeed, kJob, Mixture::kFailing, false);
  CHECK_THROWS_AS(second.note_error(throwing, failure_of(throwing, "something else")), Violation);
  Ledger third(kSeed, kJob, Mixture::kFailing, false);
  CHECK_THROWS_AS(third.note_error(throwing, failure_of(throwing + 1, complaint_of(throwing))),
                  Violation);
  Ledger good(kSeed, kJob, Mixture::kFailing, false);
  CHECK_NOTHROW(good.note_error(throwing, failure_of(throwing, complaint_of(throwing))));

  const auto deadly = first_of(Mixture::kDeadly, Fate::kDies);
  achilles::RemoteError::Details details;
  details.kind = achilles::RemoteError::Kind::kTaskCrashed;
  details.index = deadly;
  details.attempts = 2;
  const achilles::TaskCrashed crash(details);
  Ledger dying(kSeed, kJob, Mixture::kDeadly, false);
  dying.note_error(deadly, crash);
  REQUIRE(dying.crashes().size() == 1);
  CHECK(dying.crashes()[0].attempts == 2);
  Ledger living(kSeed, kJob, Mixture::kVaried, false);
  CHECK_THROWS_AS(living.note_error(deadly, crash), Violation);
}

TEST_CASE("a file that can be opened and not read is empty") {
  // Like those in /proc of a process that ends in between: address 0 belongs to nobody.
  CHECK(read_file("/proc/self/mem").empty());
  CHECK(memory_of(::getpid(), "VmRSS") > 0);
  CHECK(memory_of(::getpid(), "Pss") > 0);
}

TEST_CASE("only a daemon that takes SIGTERM by itself is asked to leave") {
  CHECK_FALSE(takes_sigterm(::getpid()));
  achilles::protocol::SignalWatcher as_daemons_do;
  CHECK(takes_sigterm(::getpid()));
  sigset_t before;
  sigemptyset(&before);
  sigaddset(&before, SIGTERM);
  sigaddset(&before, SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &before, nullptr);
}

TEST_CASE("a run folder ends all processes of the run, whoever started them") {
  fs::path path;
  {
    const RunFolder folder;
    path = folder.path();
    // The shell ends, what it has started does not.
    Process shell("/bin/sh", {.arguments = {"-c", "sleep 1000 & sleep 1000 & exit 0"},
                              .environment = {{"TMPDIR", folder.temporary()}}});
    CHECK(shell.wait() == kSucceeded);
    CHECK(folder.processes().size() == 2);
  }
  CHECK_FALSE(fs::exists(path));
  CHECK(processes_with("TMPDIR=" + (path / "temporary").string()).empty());
}

TEST_CASE("a driver that is killed leaves no process and no folder behind") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t driver = ::fork();
  if (driver == 0) {
    const RunFolder folder;
    const Process process("/bin/sleep",
                          {.arguments = {"1000"}, .environment = {{"TMPDIR", folder.temporary()}}});
    const std::string name = folder.path().string() + "\n";
    [[maybe_unused]] const auto told = ::write(ends[1], name.data(), name.size());
    for (;;) ::pause();
  }
  ::close(ends[1]);
  std::string name;
  for (char byte = 0; ::read(ends[0], &byte, 1) == 1 && byte != '\n';) name += byte;
  ::close(ends[0]);
  const std::string entry = "TMPDIR=" + name + "/temporary";
  CHECK(eventually([&] { return processes_with(entry).size() == 1; }));
  ::kill(driver, SIGKILL);
  ::waitpid(driver, nullptr, 0);
  CHECK(eventually([&] { return processes_with(entry).empty(); }));
  CHECK(eventually([&] { return !fs::exists(name); }));
}

TEST_CASE("Ctrl-C of achilles-chaos leaves nothing behind") {
  const TemporaryFolder folder;
  Process chaos(ACHILLES_CHAOS_PROGRAM, {.arguments = {"--seconds", "100", "--seed", "3"},
                                         .environment = {{"TMPDIR", folder.path()}}});
  CHECK(eventually([&] { return chaos.out().find("round 1") != std::string::npos; }));
  CHECK(eventually([&] { return processes_in(folder.path()).size() >= 2; }));
  chaos.signal(SIGINT);
  CHECK(chaos.wait() == Ending{130, 0});
  CHECK(processes_in(folder.path()).empty());
  CHECK(fs::is_empty(folder.path()));
}
