// Result credit: what may be on its way to the client.
#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {
const p::JobId kJob{{1}, 1};

struct Fixture {
  explicit Fixture(std::uint64_t credit, std::uint64_t chunks = 20, std::uint32_t slots = 8) {
    broker.client(1);
    broker.worker(2, slots);
    broker.open(1, 1, credit);
    broker.submit(1, 1, 0, chunks);
    broker.settle();
  }
  void credit(std::uint64_t total, std::optional<p::ItemIndex> wanted = {}) {
    broker.send(1, p::ResultCredit{kJob, total, wanted});
    broker.settle();
  }
  Broker broker;
};
}  // namespace

TEST_CASE("nothing runs before the first credit") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  p::OpenJob open;
  open.job = kJob;
  broker.send(1, open);
  broker.expect<p::JobWindow>(1);
  broker.submit(1, 1, 0, 3);
  broker.settle();
  CHECK(broker.quiet());
  broker.send(1, p::ResultCredit{kJob, 1 << 20, std::nullopt});
  broker.settle();
  CHECK(broker.assigned(2).size() == 2);
}

TEST_CASE("chunks are handed out as far as their allowances fit the credit") {
  Fixture f(3 * 16384);
  const auto work = f.broker.assigned(2);
  REQUIRE(work.size() == 3);
  CHECK(work[0].result_allowance == 16384);
  // Small results are known to be small from then on.
  f.broker.finish(2, work[0]);
  f.broker.settle();
  const auto more = f.broker.assigned(2);
  REQUIRE_FALSE(more.empty());
  CHECK(more[0].result_allowance == 512);
}

TEST_CASE("one chunk passes however small the credit, the next when it was consumed") {
  Fixture f(1);
  auto work = f.broker.assigned(2);
  REQUIRE(work.size() == 1);
  f.broker.finish(2, work[0]);
  f.broker.settle();
  CHECK(f.broker.assigned(2).empty());
  f.credit(1 + 129);
  CHECK(f.broker.assigned(2).size() == 1);
}

TEST_CASE("a large result is announced, and granted when it fits") {
  Fixture f(100'000);
  auto work = f.broker.assigned(2);
  REQUIRE(work.size() == 6);
  f.broker.send(2, p::ResultReady{work[3].attempt, 90'000, 5});
  f.broker.settle();
  // Nothing else is granted: it passes as the one that may have any size.
  CHECK(f.broker.expect<p::Grant>(2).attempt == work[3].attempt);
  f.broker.send(2, p::ResultReady{work[4].attempt, 90'000, 5});
  f.broker.settle();
  CHECK(f.broker.quiet());
  f.broker.finish(2, work[3], 90'000 - 128);
  f.broker.settle();
  CHECK(f.broker.delivered(1) == std::vector<p::ItemIndex>{3});
  CHECK(f.broker.expect<p::Grant>(2).attempt == work[4].attempt);
  f.broker.finish(2, work[4], 90'000 - 128);
  f.broker.send(2, p::ResultReady{work[5].attempt, 90'000, 5});
  f.broker.settle();
  f.broker.delivered(1);
  CHECK(f.broker.quiet());  // 180,000 delivered of 100,000.
  f.credit(190'000);
  CHECK(f.broker.expect<p::Grant>(2).attempt == work[5].attempt);
}

TEST_CASE("announced sizes that no result can have do not wrap the sums") {
  Fixture f(100'000);
  auto work = f.broker.assigned(2);
  REQUIRE(work.size() == 6);
  f.broker.send(2, p::ResultReady{work[3].attempt, 1ULL << 63, 5});
  f.broker.send(2, p::ResultReady{work[4].attempt, 1ULL << 63, 5});
  f.broker.settle();
  CHECK(f.broker.expect<p::Grant>(2).attempt == work[3].attempt);
  CHECK(f.broker.quiet());
}

TEST_CASE("a worker that drained and says BYE gives back what is not accepted") {
  Fixture f(100'000, 6);
  auto work = f.broker.assigned(2);
  REQUIRE(work.size() == 6);
  f.broker.send(2, p::WorkerState{8, 4096, 64 << 20, true});
  f.broker.finish(2, work[0]);
  // One is granted and on its way, the other waits for credit.
  f.broker.send(2, p::ResultReady{work[3].attempt, 90'000, 5});
  f.broker.send(2, p::ResultReady{work[4].attempt, 90'000, 5});
  f.broker.settle();
  CHECK(f.broker.delivered(1) == std::vector<p::ItemIndex>{0});
  CHECK(f.broker.expect<p::Grant>(2).attempt == work[3].attempt);
  f.broker.send(2, p::Returned{{work[1].attempt, work[2].attempt, work[5].attempt}});
  f.broker.send(2, p::Bye{"the worker drained"});
  f.broker.worker(3, 8);
  f.credit(10'000'000);
  std::vector<p::ItemIndex> again;
  for (const auto& assignment : f.broker.assigned(3)) again.push_back(assignment.chunk.first);
  CHECK(again == std::vector<p::ItemIndex>{1, 2, 3, 4, 5});
}

TEST_CASE("what the user waits for is granted whatever the balance, and once") {
  Fixture f(100'000);
  auto work = f.broker.assigned(2);
  f.broker.finish(2, work[1], 100'000);
  f.broker.send(2, p::ResultReady{work[0].attempt, 5'000'000, 5});
  f.broker.settle();
  f.broker.delivered(1);
  CHECK(f.broker.quiet());
  f.credit(100'000, 0);
  CHECK(f.broker.expect<p::Grant>(2).attempt == work[0].attempt);
  f.credit(100'000, 0);
  CHECK(f.broker.quiet());
}

TEST_CASE("a wanted chunk that runs is granted at once; its announcement needs no second grant") {
  Fixture f(100'000);
  auto work = f.broker.assigned(2);
  f.credit(100'000, 2);
  CHECK(f.broker.expect<p::Grant>(2).attempt == work[2].attempt);
  f.broker.send(2, p::ResultReady{work[2].attempt, 5'000'000, 5});
  f.broker.settle();
  CHECK(f.broker.quiet());
  f.broker.finish(2, work[2], 5'000'000 - 128);
  f.broker.settle();
  CHECK(f.broker.delivered(1) == std::vector<p::ItemIndex>{2});
}

TEST_CASE("a wanted chunk in the queue runs without credit, with its grant behind it") {
  Fixture f(1, 5);
  auto work = f.broker.assigned(2);
  REQUIRE(work.size() == 1);
  f.credit(1, 3);
  work = f.broker.assigned(2);
  REQUIRE(work.size() == 1);
  CHECK(work[0].chunk.first == 3);
  CHECK(f.broker.expect<p::Grant>(2).attempt == work[0].attempt);
}

TEST_CASE("credit that shrinks is ignored") {
  Fixture f(100'000, 1);
  f.credit(5);
  auto work = f.broker.assigned(2);
  f.broker.finish(2, work[0]);
  f.broker.submit(1, 1, 1);
  f.broker.settle();
  CHECK(f.broker.assigned(2).size() == 1);
}

TEST_CASE("reservations of a lost worker are given back") {
  Fixture f(2 * 16384);
  CHECK(f.broker.assigned(2).size() == 2);
  f.broker.event(PeerUnreachable{{2}});
  f.broker.worker(3, 8);
  CHECK(f.broker.assigned(3).size() == 2);
}

TEST_CASE("results of many chunks go to the client in one message, large ones apart") {
  Fixture f(100 << 20, 8, 4);
  auto work = f.broker.assigned(2);
  REQUIRE(work.size() == 8);
  for (int i = 0; i < 6; ++i) f.broker.finish(2, work[static_cast<std::size_t>(i)]);
  f.broker.settle();
  CHECK(f.broker.expect<p::Results>(1).chunks.size() == 6);
  f.broker.finish(2, work[6], 800'000);
  f.broker.finish(2, work[7], 800'000);
  f.broker.settle();
  CHECK(f.broker.expect<p::Results>(1).chunks.size() == 1);
  CHECK(f.broker.expect<p::Results>(1).chunks.size() == 1);
}

TEST_CASE(
    "a client's jobs, and the work that is kept, have limits that are told when they are met") {
  SchedulerOptions options;
  options.client_jobs_max = 2;
  options.kept_bytes_max = 100;
  Broker broker(options);
  broker.client(1);
  broker.client(2);
  p::OpenJob open;
  SECTION("too many jobs of one client") {
    broker.open(1, 1);
    broker.open(1, 2);
    open.job = {{1}, 3};
    broker.send(1, open);
    const auto failed = broker.expect<p::JobFailed>(1);
    CHECK(failed.error.kind == p::ErrorKind::kJobRefused);
    CHECK(failed.error.detail.find("2 jobs open already") != std::string::npos);
    broker.open(2, 1);  // Another one's are not affected,
    broker.send(1, p::CloseJob{{{1}, 1}});
    broker.open(1, 3);  // and there is room again once one is closed.
  }
  SECTION("too much unfinished work") {
    broker.open(1, 1);
    broker.submit(1, 1, 0, 1, 101);
    open.job = {{2}, 1};
    broker.send(2, open);
    const auto failed = broker.expect<p::JobFailed>(2);
    CHECK(failed.error.detail.find("--memory-mib") != std::string::npos);
    broker.submit(1, 1, 101, 1, 10);  // Who has begun goes on.
    CHECK(broker.quiet());
    broker.send(1, p::CloseJob{{{1}, 1}});
    broker.open(2, 1);
  }
}
