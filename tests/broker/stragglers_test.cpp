// Slots are idle while others have too much: chunks are asked back, and run a second time.
#include <algorithm>

#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {

using Indices = std::vector<p::ItemIndex>;

Indices firsts(const std::vector<p::Assignment>& assignments) {
  Indices firsts;
  for (const auto& a : assignments) firsts.push_back(a.chunk.first);
  return firsts;
}

/// A client 1 with a job 1, workers 2 and 3 of one slot each. Chunks are known to take 100 ms.
struct Fixture {
  explicit Fixture(bool second_attempts = true) {
    broker.client(1);
    broker.worker(2);
    p::OpenJob open;
    open.job = kJob;
    open.second_attempts = second_attempts;
    broker.send(1, open);
    broker.expect<p::JobWindow>(1);
    broker.send(1, p::ResultCredit{kJob, 1 << 20, std::nullopt});
    broker.submit(1, 1, 0);
    broker.settle();
    broker.finish(2, only(2), 1, 100'000'000);
    broker.settle();
    broker.delivered(1);
    broker.worker(3);
    broker.discard_all();
  }
  p::Assignment only(std::uint64_t worker) {
    const auto work = broker.assigned(worker);
    REQUIRE(work.size() == 1);
    return work.front();
  }
  void submit(std::uint64_t from, std::uint64_t chunks = 1) {
    broker.submit(1, 1, from, chunks);
    broker.settle();
  }
  void finish(std::uint64_t worker, const p::Assignment& assignment) {
    broker.finish(worker, assignment, 1, 100'000'000);
    broker.settle();
  }
  void announce(std::uint64_t worker, const p::Assignment& assignment) {
    broker.send(worker, p::ResultReady{assignment.attempt, 200, 100'000'000});
    broker.settle();
  }
  void lose(std::uint64_t worker) {
    broker.event(PeerUnreachable{{worker}});
    broker.settle();
  }
  /// Chunk 1 runs at 2, and at 3 for the second time.
  void begin_second() {
    submit(1);
    first = only(2);
    broker.pass_alive(2s, {1, 2, 3});
    second = only(3);
  }
  static constexpr p::JobId kJob{{1}, 1};
  Broker broker;
  p::Assignment first;
  p::Assignment second;
};

}  // namespace

TEST_CASE("what waits behind a busy slot is asked back for an idle one, and only once") {
  Fixture f;
  f.submit(1, 4);
  const auto at_2 = f.broker.assigned(2);
  auto at_3 = f.broker.assigned(3);
  REQUIRE(firsts(at_2) == Indices{1, 3});
  REQUIRE(firsts(at_3) == Indices{2, 4});
  f.finish(3, at_3[0]);
  f.finish(3, at_3[1]);
  f.broker.discard(3);
  f.broker.pass(20ms);
  CHECK(f.broker.expect<p::Recall>(2).attempts == std::vector{at_2[1].attempt});
  f.broker.pass(900ms);
  CHECK(f.broker.inbox(2).empty());
  f.broker.send(2, p::Returned{{at_2[1].attempt}});
  f.broker.settle();
  const auto moved = f.only(3);
  CHECK(moved.chunk.first == 3);
  f.finish(3, moved);
  f.finish(2, at_2[0]);
  CHECK(f.broker.delivered(1) == Indices{2, 4, 3, 1});
}

TEST_CASE("nothing is asked back, nor run twice, while chunks are queued or no slot is idle") {
  Fixture f;
  f.submit(1, 8);
  f.broker.assigned(2);
  f.broker.assigned(3);
  f.broker.pass_alive(10s, {1, 2, 3});
  CHECK(f.broker.inbox(2).empty());
  CHECK(f.broker.inbox(3).empty());
}

TEST_CASE("a chunk that takes far too long gets one second attempt") {
  Fixture f;
  f.submit(1);
  f.first = f.only(2);
  f.broker.pass(900ms);
  CHECK(f.broker.inbox(3).empty());
  f.broker.pass_alive(200ms, {1, 2, 3});
  f.second = f.only(3);
  CHECK(f.second.chunk.first == 1);
  CHECK(f.second.attempt != f.first.attempt);
  CHECK(f.second.result_allowance == 0);
  f.broker.worker(4);
  f.broker.pass_alive(30s, {1, 2, 3, 4});
  CHECK(f.broker.assigned(4).empty());
  CHECK(f.broker.scheduler().idle() == false);
}

TEST_CASE("too long is three times what chunks take") {
  Fixture f;
  f.submit(1);
  f.broker.finish(2, f.only(2), 1, 40'000'000'000);  // The average is about five seconds now.
  f.broker.settle();
  f.submit(2);
  f.broker.discard_all();
  f.broker.pass_alive(12s, {1, 2, 3});
  CHECK(f.broker.assigned(3).empty());
  f.broker.pass_alive(10s, {1, 2, 3});
  CHECK(firsts(f.broker.assigned(3)) == Indices{2});
}

TEST_CASE("a job that says so gets no second attempts") {
  Fixture f(false);
  f.submit(1);
  f.broker.assigned(2);
  f.broker.pass_alive(60s, {1, 2, 3});
  CHECK(f.broker.assigned(3).empty());
}

TEST_CASE("the first attempt is done first: the second is revoked") {
  Fixture f;
  f.begin_second();
  f.finish(2, f.first);
  CHECK(f.broker.expect<p::Revoke>(3).attempts == std::vector{f.second.attempt});
  CHECK(f.broker.delivered(1) == Indices{1});
  f.announce(3, f.second);  // It crossed.
  f.broker.discard(3);
  f.finish(3, f.second);
  CHECK(f.broker.delivered(1).empty());
}

TEST_CASE("the second attempt is done first: it takes the first one's place") {
  Fixture f;
  f.begin_second();
  f.announce(3, f.second);
  CHECK(f.broker.expect<p::Revoke>(2).attempts == std::vector{f.first.attempt});
  CHECK(f.broker.expect<p::Grant>(3).attempt == f.second.attempt);
  f.finish(2, f.first);  // It crossed.
  CHECK(f.broker.delivered(1).empty());
  f.finish(3, f.second);
  CHECK(f.broker.delivered(1) == Indices{1});
  f.broker.send(1, p::Accepted{{f.second.attempt}});
  CHECK(f.broker.scheduler().idle() == false);
  f.broker.send(1, p::CloseJob{Fixture::kJob});
  CHECK(f.broker.scheduler().idle());
}

TEST_CASE("a second attempt's result that was not announced counts as well") {
  Fixture f;
  f.begin_second();
  f.finish(3, f.second);
  CHECK(f.broker.expect<p::Revoke>(2).attempts == std::vector{f.first.attempt});
  CHECK(f.broker.delivered(1) == Indices{1});
}

TEST_CASE("the worker of the first attempt is lost: the second goes on in its place") {
  Fixture f;
  f.begin_second();
  f.lose(2);
  CHECK(f.broker.assigned(3).empty());
  f.announce(3, f.second);
  f.broker.expect<p::Grant>(3);
  f.finish(3, f.second);
  CHECK(f.broker.delivered(1) == Indices{1});
}

TEST_CASE("the worker of the second attempt is lost: the first goes on, and gets another") {
  Fixture f;
  f.begin_second();
  f.lose(3);
  f.broker.worker(4);
  f.broker.pass_alive(1s, {1, 2, 4});
  CHECK(firsts(f.broker.assigned(4)) == Indices{1});
  f.finish(2, f.first);
  CHECK(f.broker.delivered(1) == Indices{1});
}

TEST_CASE("a death at the second attempt counts against the item, and the first goes on") {
  Fixture f;
  f.begin_second();
  p::ErrorRecord error;
  error.kind = p::ErrorKind::kTaskCrashed;
  error.detail = "signal 11 (Segmentation fault)";
  f.broker.send(3, p::Crashed{f.second.attempt, 1, error});
  f.broker.settle();
  f.finish(2, f.first);
  CHECK(f.broker.delivered(1) == Indices{1});
}

TEST_CASE("a death at the first attempt ends the second too: the item is tried again") {
  Fixture f;
  f.begin_second();
  p::ErrorRecord error;
  error.kind = p::ErrorKind::kTaskCrashed;
  error.detail = "signal 11 (Segmentation fault)";
  f.broker.send(2, p::Crashed{f.first.attempt, 1, error});
  f.broker.settle();
  const auto again = f.broker.assigned(3);
  REQUIRE(firsts(again) == Indices{1});
  CHECK(f.broker.expect<p::Revoke>(3).attempts == std::vector{f.second.attempt});
  f.finish(3, again.front());
  CHECK(f.broker.delivered(1) == Indices{1});
}

TEST_CASE("second attempts end with their job, and with their client") {
  Fixture f;
  f.begin_second();
  SECTION("closed") {
    f.broker.send(1, p::CloseJob{Fixture::kJob});
    CHECK(f.broker.expect<p::CloseJob>(3).job == Fixture::kJob);
    CHECK(f.broker.scheduler().idle());
  }
  SECTION("away") {
    f.lose(1);
    CHECK(f.broker.expect<p::Revoke>(3).attempts == std::vector{f.second.attempt});
    f.finish(2, f.first);
    CHECK(f.broker.inbox(2).empty());  // It keeps the result.
  }
}

TEST_CASE("a worker that comes back with a second attempt's result wins") {
  Fixture f;
  f.begin_second();
  f.broker.hello(33, p::Role::kWorker, 3, 2);
  f.broker.send(33, p::WorkerState{1, 4096, 64 << 20, false});
  f.broker.send(33, p::Holding{{{Fixture::kJob, f.second.attempt, 1, 1, 200}}, true});
  f.broker.settle();
  CHECK(f.broker.expect<p::Revoke>(2).attempts == std::vector{f.first.attempt});
  CHECK(f.broker.expect<p::Grant>(33).attempt == f.second.attempt);
}

TEST_CASE("nothing is revoked that the worker's HOLDING, under way, may yet name") {
  Fixture f;
  f.begin_second();
  f.broker.hello(33, p::Role::kWorker, 3, 2);
  f.broker.send(33, p::WorkerState{1, 4096, 64 << 20, false});
  const auto holding = [&] {
    f.broker.send(33, p::Holding{{{Fixture::kJob, f.second.attempt, 1, 1, 0}}, true});
    f.broker.settle();
  };
  SECTION("the first attempt is done") {
    f.finish(2, f.first);
    CHECK(f.broker.inbox(33).empty());
    holding();
    CHECK(f.broker.expect<p::Revoke>(33).attempts == std::vector{f.second.attempt});
  }
  SECTION("the client is away, and the first attempt's worker too") {
    f.lose(2);
    f.lose(1);
    CHECK(f.broker.inbox(33).empty());
    holding();
    // It was not told to drop what is now taken for its own.
    CHECK(f.broker.inbox(33).empty());
  }
}

TEST_CASE("second attempts take one slot in eight, those that are latest first") {
  Fixture f;
  f.broker.discard_all();
  for (std::uint64_t worker = 4; worker < 20; ++worker) f.broker.worker(worker);
  f.submit(1, 8);
  std::vector<std::uint64_t> alive{1, 2, 3};
  for (std::uint64_t worker = 4; worker < 20; ++worker) alive.push_back(worker);
  Indices first_attempts;
  for (std::uint64_t worker = 2; worker < 20; ++worker) {
    for (const auto& a : f.broker.assigned(worker)) first_attempts.push_back(a.chunk.first);
  }
  std::ranges::sort(first_attempts);
  REQUIRE(first_attempts == Indices{1, 2, 3, 4, 5, 6, 7, 8});
  f.broker.pass_alive(10s, alive);
  Indices second_attempts;
  for (std::uint64_t worker = 2; worker < 20; ++worker) {
    for (const auto& a : f.broker.assigned(worker)) second_attempts.push_back(a.chunk.first);
  }
  CHECK(second_attempts.size() == 2);  // Of 18 slots.
}

TEST_CASE("a chunk on which a second attempt's task process died gets no other one") {
  Fixture f;
  f.begin_second();
  f.broker.send(3, p::Crashed{f.second.attempt, 1, {}});
  f.broker.settle();
  f.broker.pass_alive(10s, {1, 2, 3});
  CHECK(f.broker.assigned(3).empty());
  f.finish(2, f.first);
  CHECK(f.broker.delivered(1) == Indices{1});
}

TEST_CASE("a deadly chunk is not asked back for the very worker where it was deadly") {
  Fixture f;
  f.submit(1, 2);
  REQUIRE(f.only(2).chunk.first == 1);
  f.broker.send(3, p::Crashed{f.only(3).attempt, 2, {}});
  f.broker.settle();
  // Item 2 is to be tried at the other worker, where it waits; that 3 is idle does not help it.
  const auto waiting = f.only(2);
  CHECK(waiting.chunk.first == 2);
  f.broker.pass_alive(500ms, {1, 2, 3});
  CHECK(f.broker.inbox(2).empty());
  // Another worker does.
  f.broker.worker(4);
  f.broker.pass_alive(2s, {1, 2, 3, 4});
  CHECK(f.broker.expect<p::Recall>(2).attempts == std::vector{waiting.attempt});
}
