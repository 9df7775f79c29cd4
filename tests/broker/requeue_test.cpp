// Chunks that come back: lost workers, crashes, refusals, and news that is too late.
#include <algorithm>

#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {

/// One client with one job of `chunks` chunks of `count` items, all on worker 2.
struct Fixture {
  explicit Fixture(std::uint64_t chunks, std::uint64_t count = 1, std::uint32_t slots = 4) {
    broker.client(1);
    broker.worker(2, slots);
    broker.open(1, 1);
    broker.submit(1, 1, 0, chunks, count);
    broker.settle();
    work = broker.assigned(2);
  }
  void crash(const p::Assignment& a, p::ItemIndex item, std::uint64_t worker = 2) {
    p::ErrorRecord error;
    error.kind = p::ErrorKind::kTaskCrashed;
    error.detail = "signal 9 (Killed)";
    error.stderr_tail = "last words";
    error.pid = 70;
    broker.send(worker, p::Crashed{a.attempt, item, error});
    broker.settle();
  }
  Broker broker;
  std::vector<p::Assignment> work;
};

}  // namespace

TEST_CASE("chunks of a lost worker go to the front, in order, and are delivered once") {
  Fixture f(6, 1, 2);
  REQUIRE(f.work.size() == 4);
  f.broker.finish(2, f.work[1]);
  f.broker.settle();
  CHECK(f.broker.delivered(1) == std::vector<p::ItemIndex>{1});
  f.broker.discard(2);
  f.broker.event(PeerUnreachable{{2}});
  f.broker.worker(3, 8);
  const auto again = f.broker.assigned(3);
  REQUIRE(again.size() == 5);
  CHECK(again[0].chunk.first == 0);
  CHECK(again[1].chunk.first == 2);
  CHECK(again[4].chunk.first == 5);
  for (const auto& a : again) f.broker.finish(3, a);
  f.broker.settle();
  CHECK(f.broker.delivered(1) == std::vector<p::ItemIndex>{0, 2, 3, 4, 5});
  for (const auto& a : again) f.broker.finish(3, a);  // Twice: stale.
  f.broker.settle();
  CHECK(f.broker.delivered(1).empty());
}

TEST_CASE("a silent worker is given up for lost, and its late results are not delivered") {
  Fixture f(1);
  f.broker.worker(3);
  for (int i = 0; i < 6; ++i) {
    f.broker.send(1, p::Heartbeat{});
    f.broker.send(3, p::Heartbeat{});
    f.broker.pass(kInterval);
  }
  CHECK(f.broker.forgotten(2));
  const auto again = f.broker.assigned(3);
  REQUIRE(again.size() == 1);
  f.broker.finish(22, f.work[0]);  // It comes back with its result over a new connection.
  CHECK(f.broker.expect<p::Rejected>(22).reason == p::RejectReason::kUnknownSession);
  f.broker.hello(22, p::Role::kWorker, 2, 2);
  f.broker.finish(22, f.work[0]);
  f.broker.settle();
  CHECK(f.broker.delivered(1).empty());
  f.broker.finish(3, again[0]);
  f.broker.settle();
  CHECK(f.broker.delivered(1) == std::vector<p::ItemIndex>{0});
}

TEST_CASE("a worker cannot finish another worker's attempt") {
  Fixture f(1);
  f.broker.worker(3);
  f.broker.finish(3, f.work[0]);
  f.broker.send(3, p::Returned{{f.work[0].attempt}});
  f.broker.send(3, p::ResultReady{f.work[0].attempt, 5, 5});
  f.broker.send(3, p::Crashed{f.work[0].attempt, 0, {}});
  f.broker.settle();
  CHECK(f.broker.delivered(1).empty());
  CHECK(f.broker.assigned(3).empty());
}

TEST_CASE("a result of other items than assigned is rejected and the chunk runs again") {
  Fixture f(1, 10);
  SECTION("too few") {
    auto result = result_of(f.work[0], 1, 1);
    result.items = items_of(9);
    f.broker.send(2, p::Results{{result}});
  }
  SECTION("elsewhere") {
    auto result = result_of(f.work[0], 1, 1);
    result.first = 1;
    f.broker.send(2, p::Results{{result}});
  }
  SECTION("of another job") {
    auto result = result_of(f.work[0], 1, 1);
    result.job.number = 2;
    f.broker.send(2, p::Results{{result}});
  }
  CHECK(f.broker.expect<p::Rejected>(2).reason == p::RejectReason::kOutOfOrder);
  f.broker.settle();
  const auto again = f.broker.assigned(2);
  REQUIRE(again.size() == 1);
  CHECK(again[0].attempt > f.work[0].attempt);
  CHECK(f.broker.delivered(1).empty());
}

TEST_CASE("a crash cuts the chunk in three: only the guilty item is counted") {
  Fixture f(1, 10);
  f.crash(f.work[0], 4);
  const auto parts = f.broker.assigned(2);
  REQUIRE(parts.size() == 3);
  CHECK(parts[0].chunk.first == 0);
  CHECK(parts[0].chunk.items.count() == 4);
  CHECK(parts[1].chunk.first == 4);
  CHECK(parts[1].chunk.items.count() == 1);
  CHECK(parts[2].chunk.first == 5);
  CHECK(parts[2].chunk.items.count() == 5);
  for (const auto& a : parts) f.broker.finish(2, a);
  f.broker.settle();
  CHECK(f.broker.delivered(1).size() == 10);
}

TEST_CASE("an item at either end leaves no empty chunk") {
  Fixture f(2, 3);
  f.crash(f.work[0], 0);
  CHECK(f.broker.assigned(2).size() == 2);
  f.crash(f.work[1], 5);
  CHECK(f.broker.assigned(2).size() == 2);
}

TEST_CASE("after three deaths the item alone fails, with how often and how it ended") {
  Fixture f(1, 3);
  f.crash(f.work[0], 1);
  for (int death = 2; death <= 3; ++death) {
    const auto parts = f.broker.assigned(2);
    const auto guilty =
        std::ranges::find_if(parts, [](const auto& a) { return a.chunk.first == 1; });
    REQUIRE(guilty != parts.end());
    for (const auto& a : parts) {
      if (a.chunk.first != 1) f.broker.finish(2, a);
    }
    f.crash(*guilty, 1);
  }
  CHECK(f.broker.assigned(2).empty());
  std::vector<p::ItemError> errors;
  std::uint64_t items = 0;
  while (!f.broker.inbox(1).empty()) {
    for (auto& result : f.broker.expect<p::Results>(1).chunks) {
      items += result.items.count();
      for (auto& error : result.errors) errors.push_back(error);
    }
  }
  CHECK(items == 3);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].index == 1);
  CHECK(errors[0].error.kind == p::ErrorKind::kTaskCrashed);
  CHECK(errors[0].error.attempts == 3);
  CHECK(errors[0].error.worker == "n2");
  CHECK(errors[0].error.stderr_tail == "last words");
}

TEST_CASE("lost workers and returned chunks count against no item") {
  Fixture f(1, 1);
  auto work = f.work;
  for (int i = 0; i < 10; ++i) {
    f.broker.send(2, p::Returned{{work.at(0).attempt}});
    f.broker.settle();
    work = f.broker.assigned(2);
  }
  f.broker.finish(2, work.at(0));
  f.broker.settle();
  CHECK(f.broker.delivered(1).size() == 1);
}

TEST_CASE("a crash at an item that is not of the attempt is rejected") {
  Fixture f(1, 3);
  f.crash(f.work[0], 3);
  f.broker.expect<p::Rejected>(2);
  CHECK(f.broker.assigned(2).size() == 1);
}

TEST_CASE("closing a job tells its workers, and late results of it go nowhere") {
  Fixture f(20);
  f.broker.send(1, p::CloseJob{{{1}, 1}});
  f.broker.expect<p::CloseJob>(2);
  CHECK(f.broker.scheduler().idle());
  for (const auto& a : f.work) f.broker.finish(2, a);
  f.broker.settle();
  CHECK(f.broker.expect<p::Revoke>(2).attempts.size() == 8);  // The worker keeps none of them.
  CHECK(f.broker.quiet());
  f.broker.open(1, 2);
  f.broker.submit(1, 2, 0, 20);
  f.broker.settle();
  CHECK(f.broker.assigned(2).size() == 8);  // Its slots are free again.
}

TEST_CASE("a client that is gone has its jobs closed everywhere") {
  Fixture f(20);
  p::Duration grace = 0s;
  SECTION("it says BYE") {
    f.broker.send(1, p::Bye{});
  }
  SECTION("its connection is gone, and it makes no other") {
    f.broker.event(PeerUnreachable{{1}});
    grace = SchedulerOptions{}.client_reconnect;
  }
  SECTION("it is silent for minutes") {
    f.broker.pass_alive(5 * kInterval, {2});
    grace = SchedulerOptions{}.client_grace;
  }
  CHECK(f.broker.forgotten(1));
  if (grace > 0s) {
    f.broker.pass_alive(grace - 1ms, {2});
    CHECK_FALSE(f.broker.scheduler().idle());
    CHECK(f.broker.quiet());
    f.broker.pass_alive(1ms, {2});
  }
  f.broker.expect<p::CloseJob>(2);
  CHECK(f.broker.scheduler().idle());
}

TEST_CASE("a program that one worker refuses runs on the others") {
  Fixture f(4, 1, 2);
  REQUIRE(f.work.size() == 4);
  f.broker.worker(3, 1);
  f.broker.expect<p::JobWindow>(1);
  f.broker.send(2, p::ProgramRefused{{}, "needs GLIBCXX_3.4.31, has 3.4.30"});
  f.broker.settle();
  CHECK(f.broker.assigned(2).empty());
  CHECK(f.broker.assigned(3).size() == 2);
  CHECK(f.broker.quiet());
}

TEST_CASE("a program that every worker refuses fails its jobs with all reasons") {
  Fixture f(4, 1, 2);
  f.broker.worker(3, 1);
  f.broker.discard_all();
  f.broker.send(2, p::ProgramRefused{{}, "needs GLIBCXX_3.4.31, has 3.4.30"});
  f.broker.send(3, p::ProgramRefused{{}, "is no x86-64 machine"});
  f.broker.settle();
  const auto failed = f.broker.expect<p::JobFailed>(1);
  CHECK(failed.error.kind == p::ErrorKind::kProgramRefused);
  CHECK(failed.error.detail.find("worker n2: needs GLIBCXX_3.4.31") != std::string::npos);
  CHECK(failed.error.detail.find("worker n3: is no x86-64") != std::string::npos);
  f.broker.expect<p::CloseJob>(2);
  CHECK(f.broker.scheduler().idle());
  // The next job of the program need not try.
  f.broker.open(1, 2);
  f.broker.expect<p::JobFailed>(1);
}

TEST_CASE("when the only able worker leaves, the job waits a while for it to come back") {
  Fixture f(4, 1, 1);
  f.broker.worker(3, 1);
  f.broker.send(3, p::ProgramRefused{{}, "is too old"});
  f.broker.send(2, p::Bye{"restarted"});
  f.broker.discard_all();
  const auto live = [&](p::Duration time) {
    for (; time > 0s; time -= kInterval) {
      f.broker.send(1, p::Heartbeat{});
      f.broker.send(3, p::Heartbeat{});
      f.broker.pass(kInterval);
    }
  };
  live(20s);
  CHECK_FALSE(f.broker.scheduler().idle());
  SECTION("it does") {
    f.broker.worker(4, 1);
    CHECK(f.broker.assigned(4).size() == 2);
    for (int i = 0; i < 20; ++i) {
      f.broker.send(4, p::Heartbeat{});
      live(kInterval);
    }
    CHECK_FALSE(f.broker.scheduler().idle());
  }
  SECTION("it does not") {
    live(11s);
    CHECK(f.broker.scheduler().idle());
  }
}

TEST_CASE(
    "an item on which a task process died is tried elsewhere first, and its deaths are told") {
  Fixture f(1);
  REQUIRE(f.work.size() == 1);
  f.broker.worker(3);
  f.crash(f.work[0], 0, 2);
  auto again = f.broker.assigned(3);
  REQUIRE(again.size() == 1);
  f.crash(again[0], 0, 3);
  // It died everywhere: anywhere, then.
  again = f.broker.assigned(2);
  const bool at_two = !again.empty();
  if (!at_two) again = f.broker.assigned(3);
  REQUIRE(again.size() == 1);
  f.crash(again[0], 0, at_two ? 2 : 3);
  f.broker.expect<p::JobWindow>(1);
  const auto results = f.broker.expect<p::Results>(1);
  const auto& error = results.chunks.at(0).errors.at(0).error;
  CHECK(error.attempts == 3);
  REQUIRE(error.deaths.size() == 3);
  CHECK(error.deaths[0] == "signal 9 (Killed) at worker n2 on pc, pid 70");
  CHECK(error.deaths[1] == "signal 9 (Killed) at worker n3 on pc, pid 70");
}

namespace {

std::string state_of(Broker& broker, std::uint64_t worker, std::uint64_t observer = 99) {
  broker.send(observer, p::StatusRequest{});
  for (const auto& status : broker.expect<p::StatusReply>(observer).workers) {
    if (status.id.value == worker) return status.state;
  }
  return "absent";
}

}  // namespace

TEST_CASE("a worker on which everything dies is quarantined while others fare better") {
  Fixture f(200, 1, 1);
  const bool others_work = GENERATE(true, false);
  INFO("others work: " << others_work);
  f.broker.worker(3, 1);
  auto elsewhere = f.broker.assigned(3);
  REQUIRE_FALSE(elsewhere.empty());
  if (others_work) {
    f.broker.finish(3, elsewhere[0]);
    f.broker.settle();
  } else {
    f.crash(elsewhere[0], elsewhere[0].chunk.first, 3);
  }
  auto here = f.work;
  for (int death = 0; death < 5; ++death) {
    REQUIRE_FALSE(here.empty());
    const auto died = here.front();
    here.erase(here.begin());
    CHECK(state_of(f.broker, 2) == "ready");
    f.crash(died, died.chunk.first, 2);
    for (const auto& a : f.broker.assigned(2)) here.push_back(a);
  }
  if (!others_work) {
    CHECK(state_of(f.broker, 2) == "ready");
    CHECK_FALSE(here.empty());
    return;
  }
  CHECK(state_of(f.broker, 2) == "quarantined");
  for (const auto& a : here) f.crash(a, a.chunk.first, 2);
  CHECK(f.broker.assigned(2).empty());
  // Half a minute later it gets another chance; one more death, and it waits twice as long.
  f.broker.pass_alive(29s, {1, 2, 3});
  CHECK(f.broker.assigned(2).empty());
  f.broker.pass_alive(31s, {1, 2, 3});
  here = f.broker.assigned(2);
  REQUIRE_FALSE(here.empty());
  f.crash(here[0], here[0].chunk.first, 2);
  CHECK(state_of(f.broker, 2, 98) == "quarantined");
}

TEST_CASE("a worker is not quarantined while all others refuse the program") {
  Fixture f(200, 1, 1);
  f.broker.worker(3, 1);
  const auto elsewhere = f.broker.assigned(3);
  REQUIRE_FALSE(elsewhere.empty());
  f.broker.finish(3, elsewhere[0]);
  f.broker.send(3, p::ProgramRefused{{}, "no such library"});
  f.broker.settle();
  auto here = f.work;
  for (const auto& a : f.broker.assigned(2)) here.push_back(a);
  for (int death = 0; death < 6; ++death) {
    REQUIRE_FALSE(here.empty());
    const auto died = here.front();
    here.erase(here.begin());
    f.crash(died, died.chunk.first, 2);
    for (const auto& a : f.broker.assigned(2)) here.push_back(a);
  }
  CHECK(state_of(f.broker, 2) == "ready");
}

TEST_CASE("a success in between is no series of deaths") {
  Fixture f(200, 1, 1);
  f.broker.worker(3, 1);
  const auto elsewhere = f.broker.assigned(3);
  f.broker.finish(3, elsewhere.at(0));
  f.broker.settle();
  auto here = f.work;
  for (int turn = 0; turn < 20; ++turn) {
    REQUIRE_FALSE(here.empty());
    const auto done = here.front();
    here.erase(here.begin());
    if (turn % 4 == 3) {
      f.broker.finish(2, done);
      f.broker.settle();
    } else {
      f.crash(done, done.chunk.first, 2);
    }
    for (const auto& a : f.broker.assigned(2)) here.push_back(a);
  }
  CHECK(state_of(f.broker, 2) == "ready");
}
