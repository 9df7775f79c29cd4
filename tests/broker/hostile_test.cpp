// Peers that mean harm: what they say costs them their job at worst, and the broker nothing.
#include <algorithm>

#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {

constexpr p::JobId kJob{{1}, 1};

std::string long_text() {
  return std::string(2000, 'x');
}

}  // namespace

TEST_CASE("a worker claims the attempt that the broker would begin next") {
  Broker broker;
  broker.worker(2, 2);
  broker.client(1);
  broker.open(1, 1);
  broker.submit(1, 1, 0, 2);
  broker.settle();
  auto work = broker.assigned(2);
  REQUIRE(work.size() == 2);
  const p::AttemptId next{work.back().attempt.value + 1};
  broker.send(2, p::Holding{{{{{9}, 1}, next, 0, 1, 0}}, true});
  broker.finish(2, work[0]);
  broker.submit(1, 1, 2, 2);
  broker.settle();
  work = broker.assigned(2);
  REQUIRE(work.size() == 2);
  CHECK(work[0].attempt.value == next.value + 1);
}

TEST_CASE("KEEP_JOBS is said once in a session, and of no more jobs than are allowed") {
  SchedulerOptions options;
  options.client_jobs_max = 2;
  Broker broker(options);
  broker.hello(1, p::Role::kClient, 1);
  broker.send(1, p::KeepJobs{{kJob, {{1}, 2}, {{1}, 3}}});
  broker.send(1, p::KeepJobs{{{{1}, 4}}});
  CHECK(broker.expect<p::Rejected>(1).reason == p::RejectReason::kOutOfOrder);
  broker.worker(2);
  broker.send(2, p::Holding{{{{{1}, 2}, {50}, 0, 1, 0}, {{{1}, 3}, {51}, 0, 1, 0}}, true});
  CHECK(broker.expect<p::CloseJob>(2).job == p::JobId{{1}, 3});
  CHECK(broker.quiet());
}

TEST_CASE("a client submits anew what it was sent, and goes away") {
  Broker broker;
  broker.worker(2);
  broker.client(1);
  broker.open(1, 1);
  broker.submit(1, 1, 0);
  broker.settle();
  const auto work = broker.assigned(2);
  REQUIRE(work.size() == 1);
  broker.finish(2, work[0]);
  broker.submit(1, 1, 0);
  broker.settle();
  const auto again = broker.assigned(2);
  REQUIRE(again.size() == 1);
  broker.event(PeerUnreachable{{1}});
  broker.settle();
  CHECK(broker.expect<p::Revoke>(2).attempts == std::vector{work[0].attempt});
  broker.finish(2, again[0]);
  broker.settle();
  CHECK(broker.inbox(2).empty());
}

TEST_CASE("more attempts are revoked than one message should name") {
  Broker broker;
  broker.worker(2);
  p::Results results;
  for (std::uint64_t id = 1; id <= 2 * p::kBatchChunks + 1; ++id) {
    results.chunks.push_back({.job = kJob,
                              .attempt = {id},
                              .first = 0,
                              .busy_ns = 0,
                              .items = items_of(1),
                              .errors = {}});
  }
  broker.send(2, results);
  broker.settle();
  CHECK(broker.expect<p::Revoke>(2).attempts.size() == p::kBatchChunks);
  CHECK(broker.expect<p::Revoke>(2).attempts.size() == p::kBatchChunks);
  CHECK(broker.expect<p::Revoke>(2).attempts == std::vector{results.chunks.back().attempt});
  CHECK(broker.quiet());
}

TEST_CASE("refusals of programs that no job uses any more make room for others") {
  Broker broker;
  broker.worker(2);
  broker.client(1);
  for (std::uint64_t i = 0; i < 3000; ++i) {
    p::ProgramId program;
    program.hash[0] = static_cast<std::uint8_t>(i);
    program.hash[1] = static_cast<std::uint8_t>(i >> 8);
    broker.open(1, i, 1 << 20, program);
    broker.send(2, p::ProgramRefused{program, long_text()});
    CHECK(broker.expect<p::JobFailed>(1).job.number == i);
  }
  broker.open(1, 3000);
  broker.submit(1, 3000, 0);
  broker.settle();
  CHECK(broker.assigned(2).size() == 1);
}

TEST_CASE("what a job waits for is told in few words, however many workers there are") {
  Broker broker;
  broker.client(1);
  broker.open(1, 1);
  broker.submit(1, 1, 0);
  for (std::uint64_t peer = 100; peer < 1100; ++peer) {
    broker.send(peer, p::Hello{p::Role::kWorker, peer, 1, long_text(), "pc", 7, "0.1.0"});
    broker.discard(peer);
  }
  broker.send(99, p::WhyRequest{to_string(kJob)});
  const auto reply = broker.expect<p::WhyReply>(99);
  REQUIRE(!reply.reasons.empty());
  CHECK(reply.reasons.back().find("So do not 984 other workers.") != std::string::npos);
}
