// What goes on across sessions: the broker is started again, workers and clients come back.
#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {

using Indices = std::vector<p::ItemIndex>;

p::JobId job_of(std::uint64_t client, std::uint64_t number) {
  return {{client}, number};
}

SchedulerOptions options_with(p::BootId boot) {
  SchedulerOptions options;
  options.boot = boot;
  return options;
}

/// The new life of a broker whose former one is gone, with all who knew it.
struct Restarted {
  Broker broker{options_with({7})};

  /// Client 1 goes on with job 1, of which it had submitted so many chunks.
  void client_back(std::uint64_t resubmits, std::uint64_t peer = 1, std::uint64_t incarnation = 2) {
    broker.hello(peer, p::Role::kClient, 1, incarnation);
    broker.send(peer, p::KeepJobs{{job_of(1, 1)}});
    p::OpenJob open;
    open.job = job_of(1, 1);
    open.resubmits = resubmits;
    broker.send(peer, open);
    broker.expect<p::JobWindow>(peer);
    broker.send(peer, p::ResultCredit{open.job, 1 << 20, std::nullopt});
  }
  void submit(std::uint64_t first, std::uint64_t count = 1, std::uint64_t peer = 1) {
    broker.send(peer, p::Submit{job_of(1, 1), {{first, items_of(count)}}});
  }
  void worker_back(std::uint64_t worker, std::vector<p::HeldAttempt> held,
                   std::uint32_t slots = 4) {
    broker.hello(worker, p::Role::kWorker, worker, 2);
    broker.send(worker, p::WorkerState{slots, 4096, 64 << 20, false});
    broker.send(worker, p::Holding{std::move(held), true});
    broker.settle();
  }
  static p::HeldAttempt held(std::uint64_t attempt, p::ItemIndex first, std::uint64_t count = 1,
                             std::uint64_t cost = 0) {
    return {job_of(1, 1), {attempt}, first, count, cost};
  }
  void result(std::uint64_t worker, std::uint64_t attempt, p::ItemIndex first,
              std::uint64_t count = 1) {
    p::Assignment assignment{job_of(1, 1), {attempt}, 0, {first, items_of(count)}};
    broker.send(worker, p::Results{{result_of(assignment, 1, 1'000'000)}});
    broker.settle();
  }
  /// Nothing is left to be claimed but windows, which change with the slots.
  bool quiet() {
    for (const std::uint64_t client : {1, 11}) {
      std::erase_if(broker.inbox(client), [](const p::Message& message) {
        return std::holds_alternative<p::JobWindow>(message);
      });
    }
    return broker.quiet();
  }
  std::vector<std::uint64_t> revoked(std::uint64_t worker) {
    std::vector<std::uint64_t> numbers;
    for (const auto id : broker.expect<p::Revoke>(worker).attempts) numbers.push_back(id.value);
    return numbers;
  }
  Indices assigned_items(std::uint64_t worker) {
    Indices firsts;
    for (const auto& a : broker.assigned(worker)) firsts.push_back(a.chunk.first);
    return firsts;
  }
};

}  // namespace

TEST_CASE("after a restart of the broker, chunks that workers hold go on and are not run twice") {
  Restarted r;
  const bool worker_first = GENERATE(true, false);
  INFO("the worker is back first: " << worker_first);
  const auto worker = [&] {
    r.worker_back(2, {r.held(50, 0), r.held(51, 1, 1, 129), r.held(52, 3)}, 2);
  };
  const auto client = [&] {
    r.client_back(4);
    for (p::ItemIndex item = 0; item < 4; ++item) r.submit(item);
    r.broker.settle();
  };
  if (worker_first) worker();
  client();
  if (!worker_first) worker();
  r.broker.settle();
  // The result that is there is asked for at once. Item 2 nobody holds.
  CHECK(r.broker.expect<p::Grant>(2).attempt == p::AttemptId{51});
  r.result(2, 51, 1);
  r.result(2, 50, 0);
  r.result(2, 52, 3);
  CHECK(r.broker.delivered(1) == Indices{1, 0, 3});
  r.broker.pass_alive(3 * kInterval, {1, 2});
  CHECK(r.assigned_items(2) == Indices{2});
  r.broker.send(1, p::Accepted{{{50}, {51}, {52}}});
  r.broker.settle();
  CHECK(r.broker.expect<p::Accepted>(2).attempts.size() == 3);
  CHECK(r.quiet());
}

TEST_CASE("a worker refuses a program before the client of its chunks is back") {
  Restarted r;
  r.worker_back(2, {r.held(50, 0)});
  r.broker.send(2, p::ProgramRefused{{}, "no such library"});
  r.worker_back(3, {});
  r.client_back(1);
  r.submit(0);
  r.broker.settle();
  r.broker.pass_alive(3 * kInterval, {1, 2, 3});
  // The first worker has dropped it without another word.
  CHECK(r.assigned_items(3) == Indices{0});
}

TEST_CASE("chunks that were submitted before wait for their workers; new jobs do not") {
  Restarted r;
  r.worker_back(3, {});
  r.client_back(1);
  r.submit(0);
  r.submit(1);
  r.broker.settle();
  CHECK(r.assigned_items(3).empty());
  r.broker.client(9);
  r.broker.open(9, 1);
  r.broker.submit(9, 1, 0);
  r.broker.settle();
  CHECK(r.assigned_items(3) == Indices{0});
  r.broker.pass_alive(3 * kInterval, {1, 3, 9});
  CHECK(r.assigned_items(3) == Indices{0, 1});
}

TEST_CASE("attempts of different boots have different numbers") {
  Broker one{options_with({1})};
  Broker two{options_with({2})};
  std::vector<p::AttemptId> ids;
  for (Broker* broker : {&one, &two}) {
    broker->client(1);
    broker->worker(2);
    broker->open(1, 1);
    broker->submit(1, 1, 0);
    broker->settle();
    ids.push_back(broker->assigned(2).at(0).attempt);
  }
  CHECK(ids[0] != ids[1]);
}

TEST_CASE("what a worker holds of a finished item is revoked once the client has said all") {
  Restarted r;
  r.worker_back(2, {r.held(50, 0), r.held(51, 1, 1, 129)});
  r.client_back(1);
  CHECK(r.quiet());
  r.submit(1);
  r.broker.settle();
  CHECK(r.broker.expect<p::Grant>(2).attempt == p::AttemptId{51});
  CHECK(r.revoked(2) == std::vector<std::uint64_t>{50});
  CHECK(r.quiet());
}

TEST_CASE("parts of a chunk that workers hold are adopted, the gaps are queued") {
  Restarted r;
  r.worker_back(2, {r.held(50, 12, 3), r.held(51, 16, 2)}, 1);
  r.client_back(1);
  r.submit(10, 10);
  r.broker.pass_alive(3 * kInterval, {1, 2});
  r.result(2, 50, 12, 3);
  r.result(2, 51, 16, 2);
  const auto work = r.broker.assigned(2);
  REQUIRE(work.size() == 3);
  const std::vector<std::pair<p::ItemIndex, std::uint64_t>> gaps = {{10, 2}, {15, 1}, {18, 2}};
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    CHECK(work[i].chunk.first == gaps[i].first);
    CHECK(work[i].chunk.items.count() == gaps[i].second);
  }
}

TEST_CASE("a claim that reaches beyond the chunk that was submitted again is revoked") {
  Restarted r;
  r.worker_back(2, {r.held(50, 0, 10)});
  r.client_back(1);
  r.submit(5, 5);  // The first half was accepted.
  r.broker.settle();
  CHECK(r.revoked(2) == std::vector<std::uint64_t>{50});
}

TEST_CASE("of two workers that claim one chunk, the one that has the result is believed") {
  Restarted r;
  SECTION("the finished one comes first") {
    r.worker_back(2, {r.held(50, 0, 1, 129)});
    r.worker_back(3, {r.held(60, 0)});
    CHECK(r.revoked(3) == std::vector<std::uint64_t>{60});
  }
  SECTION("the finished one comes last") {
    r.worker_back(3, {r.held(60, 0)});
    r.worker_back(2, {r.held(50, 0, 1, 129)});
    CHECK(r.revoked(3) == std::vector<std::uint64_t>{60});
  }
  SECTION("the chunk was submitted and runs again when the finished one comes") {
    r.client_back(1);
    r.worker_back(3, {});
    r.submit(0);
    r.broker.pass_alive(3 * kInterval, {1, 3});
    REQUIRE(r.assigned_items(3) == Indices{0});
    r.worker_back(2, {r.held(50, 0, 1, 129)});
    CHECK(r.revoked(3).size() == 1);
    CHECK(r.broker.expect<p::Grant>(2).attempt == p::AttemptId{50});
    r.result(2, 50, 0);
    CHECK(r.broker.delivered(1) == Indices{0});
    return;
  }
  r.client_back(1);
  r.submit(0);
  r.broker.settle();
  CHECK(r.broker.expect<p::Grant>(2).attempt == p::AttemptId{50});
  r.result(2, 50, 0);
  CHECK(r.broker.delivered(1) == Indices{0});
}

TEST_CASE("a worker that claims a chunk which another runs meanwhile is told to forget it") {
  Restarted r;
  r.client_back(1);
  r.worker_back(3, {});
  r.submit(0);
  r.broker.pass_alive(3 * kInterval, {1, 3});
  REQUIRE(r.assigned_items(3) == Indices{0});
  r.worker_back(2, {r.held(50, 0)});
  CHECK(r.revoked(2) == std::vector<std::uint64_t>{50});
  CHECK(r.quiet());
}

TEST_CASE("claims of a client that never comes back are dropped after minutes") {
  Restarted r;
  r.worker_back(2, {r.held(50, 0), r.held(51, 1, 1, 129)});
  r.broker.pass_alive(SchedulerOptions{}.client_grace - kInterval, {2});
  CHECK(r.quiet());
  r.broker.pass_alive(kInterval, {2});
  CHECK(r.broker.expect<p::CloseJob>(2).job == job_of(1, 1));
  CHECK(r.broker.scheduler().idle());
}

TEST_CASE("claims of a job that its client does not keep are dropped at once") {
  Restarted r;
  SECTION("the worker is back first") {
    r.worker_back(2, {r.held(50, 0)});
    r.broker.client(1);
  }
  SECTION("the client is back first") {
    r.broker.client(1);
    r.worker_back(2, {r.held(50, 0)});
  }
  CHECK(r.broker.expect<p::CloseJob>(2).job == job_of(1, 1));
  CHECK(r.broker.scheduler().idle());
}

TEST_CASE("a client that was silent for too long goes on where it was") {
  Restarted r;
  r.client_back(0);
  r.worker_back(2, {}, 2);
  for (p::ItemIndex item = 0; item < 6; ++item) r.submit(item);
  r.broker.settle();
  const auto work = r.broker.assigned(2);
  REQUIRE(work.size() == 4);
  r.broker.finish(2, work[0]);
  r.broker.settle();
  CHECK(r.broker.delivered(1) == Indices{0});
  r.assigned_items(2);
  r.broker.pass_alive(5 * kInterval, {2});
  CHECK(r.broker.forgotten(1));
  // Meanwhile nothing new is begun, and what ends stays at the worker.
  r.broker.finish(2, work[1]);
  r.broker.settle();
  CHECK(r.quiet());

  r.client_back(6, 11);
  for (p::ItemIndex item = 0; item < 6; ++item) r.submit(item, 1, 11);
  r.broker.settle();
  CHECK(r.assigned_items(2) == Indices{5});
  // The first result never arrived, the second was not sent: both are asked for again.
  CHECK(r.broker.expect<p::Grant>(2).attempt == work[0].attempt);
  CHECK(r.broker.expect<p::Grant>(2).attempt == work[1].attempt);
  r.broker.finish(2, work[0]);
  r.broker.finish(2, work[1]);
  r.broker.finish(2, work[2]);
  r.broker.settle();
  CHECK(r.broker.delivered(11) == Indices{0, 1, 2});
}

TEST_CASE("a client that has all results but not their fate lets the rest be forgotten") {
  Restarted r;
  r.client_back(0);
  r.worker_back(2, {}, 2);
  r.submit(0);
  r.submit(1);
  r.broker.settle();
  const auto work = r.broker.assigned(2);
  REQUIRE(work.size() == 2);
  r.broker.finish(2, work[0]);
  r.broker.settle();
  CHECK(r.broker.delivered(1) == Indices{0});
  r.broker.event(PeerUnreachable{{1}});  // Its ACCEPTED was lost with the connection.
  r.client_back(1, 11);
  r.submit(1, 1, 11);
  r.broker.settle();
  CHECK(r.revoked(2) == std::vector<std::uint64_t>{work[0].attempt.value});
  CHECK(r.quiet());
}

TEST_CASE("a result stays at the worker until the client has accepted it, and no longer") {
  Restarted r;
  r.client_back(0);
  r.worker_back(2, {}, 2);
  r.submit(0);
  r.broker.settle();
  const auto work = r.broker.assigned(2);
  r.broker.finish(2, work.at(0));
  r.broker.settle();
  CHECK(r.broker.delivered(1) == Indices{0});
  CHECK(r.quiet());
  r.broker.send(1, p::Accepted{{work[0].attempt}});
  r.broker.settle();
  CHECK(r.broker.expect<p::Accepted>(2).attempts == std::vector{work[0].attempt});
  // Had it come twice, it would be told so.
  r.broker.send(1, p::Accepted{{work[0].attempt}});
  r.broker.settle();
  CHECK(r.quiet());
}

TEST_CASE("a death while the client is away counts, but the one that decides is told to it") {
  Restarted r;
  r.worker_back(2, {r.held(50, 0, 1), r.held(51, 1, 1)}, 1);
  r.client_back(2);
  r.broker.event(PeerUnreachable{{1}});
  p::ErrorRecord error;
  error.kind = p::ErrorKind::kTaskCrashed;
  r.broker.send(2, p::Crashed{{50}, 0, error});
  r.client_back(2, 11, 3);
  r.submit(0, 1, 11);
  r.submit(1, 1, 11);
  r.broker.pass_alive(3 * kInterval, {11, 2});
  for (int death = 2; death <= 3; ++death) {
    const auto work = r.broker.assigned(2);
    REQUIRE(work.size() == 1);
    CHECK(r.quiet());
    r.broker.send(2, p::Crashed{work[0].attempt, 0, error});
    r.broker.settle();
  }
  const auto results = r.broker.expect<p::Results>(11);
  CHECK(results.chunks.at(0).errors.at(0).error.attempts == 3);
}

TEST_CASE("deaths before a restarted broker knows the job's crash limit are never above it") {
  Restarted r;
  r.worker_back(2, {r.held(50, 0)});
  p::ErrorRecord death;
  death.detail = "signal 11 (Segmentation fault)";
  r.broker.send(2, p::Crashed{{50}, 0, death});
  r.broker.settle();
  r.broker.hello(1, p::Role::kClient, 1, 2);
  r.broker.send(1, p::KeepJobs{{job_of(1, 1)}});
  p::OpenJob open;
  open.job = job_of(1, 1);
  open.resubmits = 1;
  open.crash_limit = 1;
  r.broker.send(1, open);
  r.broker.send(1, p::ResultCredit{open.job, 1 << 20, std::nullopt});
  r.submit(0);
  r.broker.settle();
  r.broker.pass_alive(3 * kInterval, {1, 2});
  const auto again = r.broker.assigned(2);
  REQUIRE(again.size() == 1);
  r.broker.send(2, p::Crashed{again[0].attempt, 0, death});
  r.broker.settle();
  r.broker.expect<p::JobWindow>(1);
  const auto results = r.broker.expect<p::Results>(1);
  REQUIRE(results.chunks[0].errors.size() == 1);
  CHECK(results.chunks[0].errors[0].error.attempts == 1);
  CHECK(results.chunks[0].errors[0].error.deaths.size() == 2);
}

TEST_CASE("nobody accepts another client's results") {
  Restarted r;
  r.client_back(0);
  r.worker_back(2, {}, 2);
  r.submit(0);
  r.broker.settle();
  const auto work = r.broker.assigned(2);
  r.broker.finish(2, work.at(0));
  r.broker.client(9);
  r.broker.send(9, p::Accepted{{work[0].attempt}});
  r.broker.send(9, p::KeepJobs{{job_of(1, 1)}});
  CHECK(r.broker.expect<p::Rejected>(9).reason == p::RejectReason::kOutOfOrder);
  CHECK_FALSE(r.broker.scheduler().idle());
}

TEST_CASE("a worker over a new connection keeps what it holds; the rest is requeued") {
  Restarted r;
  r.client_back(0);
  r.worker_back(2, {}, 2);
  for (p::ItemIndex item = 0; item < 4; ++item) r.submit(item);
  r.broker.settle();
  const auto work = r.broker.assigned(2);
  REQUIRE(work.size() == 4);
  r.worker_back(3, {}, 2);
  r.broker.hello(12, p::Role::kWorker, 2, 3);
  CHECK(r.broker.forgotten(2));
  r.broker.settle();
  CHECK(r.assigned_items(3).empty());  // It is alive: nothing of it is given away unheard.
  r.broker.send(12, p::WorkerState{2, 4096, 64 << 20, false});
  std::vector<p::HeldAttempt> held;
  for (const auto i : {1, 3}) held.push_back(r.held(work[i].attempt.value, work[i].chunk.first));
  r.broker.send(12, p::Holding{held, false});
  r.broker.settle();
  CHECK(r.quiet());
  r.broker.send(12, p::Holding{{}, true});
  r.broker.settle();
  CHECK(r.assigned_items(3) == Indices{0, 2});
  r.broker.finish(12, work[1]);
  r.broker.settle();
  CHECK(r.broker.delivered(1) == Indices{1});
}

TEST_CASE("a worker that was believed lost and comes back has its late results used at most once") {
  Restarted r;
  r.client_back(0);
  r.worker_back(2, {}, 2);
  r.submit(0);
  r.submit(1);
  r.broker.settle();
  const auto work = r.broker.assigned(2);
  REQUIRE(work.size() == 2);
  r.worker_back(3, {}, 2);
  r.broker.pass_alive(5 * kInterval, {1, 3});
  CHECK(r.broker.forgotten(2));
  const auto again = r.broker.assigned(3);
  REQUIRE(again.size() == 2);
  r.broker.discard(1);
  r.broker.finish(3, again[0]);
  r.broker.settle();
  CHECK(r.broker.delivered(1) == Indices{0});
  // It has finished both.
  r.broker.hello(12, p::Role::kWorker, 2, 3);
  r.broker.send(12, p::WorkerState{2, 4096, 64 << 20, false});
  r.broker.send(12, p::Holding{{r.held(work[0].attempt.value, 0, 1, 129),
                                r.held(work[1].attempt.value, 1, 1, 129)},
                               true});
  r.broker.settle();
  CHECK(r.broker.expect<p::Grant>(12).attempt == work[1].attempt);
  CHECK(r.revoked(12) == std::vector<std::uint64_t>{work[0].attempt.value});
  CHECK(r.revoked(3) == std::vector<std::uint64_t>{again[1].attempt.value});
  r.broker.finish(12, work[1]);
  r.broker.finish(3, again[1]);
  r.broker.settle();
  CHECK(r.broker.delivered(1) == Indices{1});
}

TEST_CASE("bad claims are rejected, and harm nobody") {
  Restarted r;
  r.client_back(0);
  r.worker_back(3, {}, 2);
  r.submit(0);
  r.broker.settle();
  const auto work = r.broker.assigned(3);
  REQUIRE(work.size() == 1);
  r.worker_back(2, {r.held(50, 0, 0), r.held(51, UINT64_MAX, 2), r.held(work[0].attempt.value, 0)});
  r.broker.discard(2);
  r.broker.finish(3, work[0]);
  r.broker.settle();
  CHECK(r.broker.delivered(1) == Indices{0});
}
