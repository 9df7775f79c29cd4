// Who gets which chunk, and when.
#include <algorithm>

#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {
std::vector<std::uint64_t> numbers_of(const std::vector<p::Assignment>& all) {
  std::vector<std::uint64_t> numbers;
  for (const auto& a : all) numbers.push_back(a.job.number);
  return numbers;
}
std::vector<p::ItemIndex> firsts_of(const std::vector<p::Assignment>& all) {
  std::vector<p::ItemIndex> firsts;
  for (const auto& a : all) firsts.push_back(a.chunk.first);
  return firsts;
}
}  // namespace

TEST_CASE("two chunks on two workers go one each") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 8);
  broker.worker(3, 1);
  broker.open(1, 1);
  broker.submit(1, 1, 0, 2);
  broker.settle();
  CHECK(broker.assigned(2).size() == 1);
  CHECK(broker.assigned(3).size() == 1);
}

TEST_CASE("idle slots everywhere are filled before anything is sent ahead") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 4);
  broker.worker(3, 2);
  broker.open(1, 1);
  broker.submit(1, 1, 0, 6);
  broker.settle();
  CHECK(broker.assigned(2).size() == 4);
  CHECK(broker.assigned(3).size() == 2);
  broker.submit(1, 1, 6, 30);
  broker.settle();
  CHECK(broker.assigned(2).size() == 4);  // Unknown duration: two a slot in all.
  CHECK(broker.assigned(3).size() == 2);
}

TEST_CASE("a chunk larger than a worker's window leaves room for small ones, two do not") {
  Broker broker;
  broker.client(1);
  broker.client(3);
  broker.worker(2, 4);  // A window of 64 MiB.
  const std::uint64_t large = 100 << 20;
  for (std::uint64_t number = 1; number <= 2; ++number) {
    broker.open(1, number);
    broker.send(1, p::Submit{{{1}, number}, {{0, items_of(1, large)}}});
  }
  broker.open(3, 1);
  broker.submit(3, 1, 0);
  broker.settle();
  const auto first = broker.assigned(2);  // Each job in its turn.
  CHECK(numbers_of(first) == std::vector<std::uint64_t>{1, 1, 2});
  CHECK(first[1].job.client.value == 3);
  broker.submit(3, 1, 1);
  broker.settle();
  CHECK(broker.assigned(2).empty());
  broker.finish(2, first[0]);
  broker.settle();
  CHECK(broker.assigned(2).size() == 1);
}

TEST_CASE("a job is opened at a worker once, before its first chunk there; one ASSIGN a settle") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 4);
  broker.open(1, 1);
  broker.submit(1, 1, 0, 3);
  broker.settle();
  const auto open = broker.expect<p::OpenJob>(2);
  CHECK(open.context.text() == "context");
  CHECK(broker.expect<p::Assign>(2).chunks.size() == 3);
  broker.submit(1, 1, 3, 1);
  broker.settle();
  CHECK(broker.expect<p::Assign>(2).chunks.size() == 1);
  CHECK(broker.quiet());
}

TEST_CASE("short tasks get many chunks ahead, long ones two a slot") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 1, 100'000);
  broker.open(1, 1, 100 << 20);
  broker.submit(1, 1, 0, 1024);
  broker.settle();
  auto work = broker.assigned(2);
  REQUIRE(work.size() == 2);
  broker.finish(2, work[0], 1, 1'000);  // One microsecond: 4 ms are more than enough for all.
  broker.finish(2, work[1], 1, 1'000);
  broker.settle();
  CHECK(broker.assigned(2).size() == 1022);

  broker.discard_all();
  broker.open(1, 2, 100 << 20);
  broker.worker(3, 1, 100'000);
  broker.submit(1, 2, 0, 100);
  broker.settle();
  work = broker.assigned(3);
  REQUIRE(work.size() == 2);
  broker.finish(3, work[0], 1, 1'000'000'000);
  broker.settle();
  CHECK(broker.assigned(3).size() == 1);
}

TEST_CASE("one long chunk does not starve the other slots of short ones") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 4, 100'000);
  broker.open(1, 1, 100 << 20);
  broker.open(1, 2, 100 << 20);
  broker.submit(1, 1, 0, 1);  // Stays unknown, and so long.
  broker.submit(1, 2, 0, 500);
  broker.settle();
  for (const auto& a : broker.assigned(2)) {
    if (a.job.number == 2) broker.finish(2, a, 1, 1'000);
  }
  broker.settle();
  CHECK(broker.assigned(2).size() == 493);
}

TEST_CASE("a worker's windows are kept, but one chunk always fits") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 8, 3);
  broker.worker(3, 8, 100, 1);
  broker.open(1, 1);
  broker.submit(1, 1, 0, 20, 10);
  broker.settle();
  CHECK(broker.assigned(2).size() == 3);
  CHECK(broker.assigned(3).size() == 1);
}

TEST_CASE("jobs of one client take turns, one chunk each") {
  Broker broker;
  broker.client(1);
  broker.open(1, 1);
  broker.open(1, 2);
  broker.submit(1, 1, 0, 50);
  broker.submit(1, 2, 0, 50);
  broker.worker(2, 3);
  CHECK(numbers_of(broker.assigned(2)) == std::vector<std::uint64_t>{1, 2, 1, 2, 1, 2});
}

TEST_CASE("a client with many jobs gets no more turns than one with a single job") {
  Broker broker;
  broker.client(1);
  broker.client(3);
  for (std::uint64_t job = 1; job <= 4; ++job) {
    broker.open(1, job);
    broker.submit(1, job, 0, 10);
  }
  broker.open(3, 1);
  broker.submit(3, 1, 0, 10);
  broker.worker(2, 4);
  const auto work = broker.assigned(2);
  REQUIRE(work.size() == 8);
  CHECK(std::ranges::count(work, p::ClientId{3}, [](auto& a) { return a.job.client; }) == 4);
}

TEST_CASE("within a job the lowest index goes first, and what is wanted before it") {
  Broker broker;
  broker.client(1);
  broker.open(1, 1);
  broker.submit(1, 1, 40, 2, 10);
  broker.submit(1, 1, 0, 4, 10);
  broker.send(1, p::ResultCredit{{{1}, 1}, 1 << 20, 25});
  broker.worker(2, 2);
  CHECK(firsts_of(broker.assigned(2)) == std::vector<p::ItemIndex>{20, 0, 10, 30});
  broker.expect<p::Grant>(2);
}

TEST_CASE("draining workers get nothing, finish what they have, and leave") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 1);
  broker.open(1, 1);
  broker.submit(1, 1, 0, 4);
  broker.settle();
  const auto work = broker.assigned(2);
  REQUIRE(work.size() == 2);
  broker.send(2, p::WorkerState{1, 100, 1000, true});
  broker.send(2, p::Returned{{work[1].attempt}});
  broker.finish(2, work[0]);
  broker.settle();
  CHECK(broker.assigned(2).empty());
  CHECK(broker.delivered(1) == std::vector<p::ItemIndex>{0});
  broker.send(2, p::Bye{"drained"});
  CHECK(broker.forgotten(2));
  broker.worker(3, 2);
  CHECK(firsts_of(broker.assigned(3)) == std::vector<p::ItemIndex>{1, 2, 3});
}

TEST_CASE("the window follows the cluster's slots") {
  Broker broker;
  broker.client(1);
  const auto window = broker.open(1, 1);
  CHECK(window.chunks == 64);
  CHECK(window.slots == 0);
  broker.worker(2, 4);
  const auto wider = broker.expect<p::JobWindow>(1);
  CHECK(wider.chunks == 4096);
  CHECK(wider.slots == 4);
  broker.worker(3, 400);
  CHECK(broker.expect<p::JobWindow>(1).chunks == 65536);
  broker.send(3, p::Bye{});
  broker.settle();
  CHECK(broker.expect<p::JobWindow>(1).slots == 4);
  broker.settle();
  CHECK(broker.quiet());
}

TEST_CASE("a client that ignores its window is refused, and only that job ends") {
  SchedulerOptions options;
  options.job_window_bytes = 1000;
  Broker broker(options);
  broker.client(1);
  broker.open(1, 1);
  broker.open(1, 2);
  broker.submit(1, 1, 0, 1, 100'000);  // One chunk is always allowed.
  CHECK(broker.quiet());
  broker.submit(1, 1, 100'000, 3, 2000);
  CHECK(broker.expect<p::Rejected>(1).reason == p::RejectReason::kOverLimit);
  CHECK(broker.expect<p::JobFailed>(1).error.kind == p::ErrorKind::kJobRefused);
  broker.submit(1, 1, 200'000);  // Sent before it learnt of it.
  broker.send(1, p::ResultCredit{{{1}, 1}, 9, std::nullopt});
  broker.send(1, p::CloseJob{{{1}, 1}});
  CHECK(broker.quiet());
  broker.submit(1, 2, 0, 100);
  CHECK(broker.quiet());
  broker.submit(1, 2, 100, 200);
  CHECK(broker.expect<p::Rejected>(1).reason == p::RejectReason::kOverLimit);
}

TEST_CASE("items that are submitted twice, or none at all, end the job") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  for (std::uint64_t job = 1; job <= 4; ++job) broker.open(1, job);
  broker.submit(1, 1, 10, 1, 10);
  broker.submit(1, 1, 15, 1, 1);
  broker.expect<p::Rejected>(1);
  broker.expect<p::JobFailed>(1);
  broker.submit(1, 2, 10, 1, 10);
  broker.submit(1, 2, 5, 1, 10);
  broker.expect<p::Rejected>(1);
  broker.expect<p::JobFailed>(1);
  broker.submit(1, 3, 10, 1, 10);
  broker.settle();
  CHECK(broker.assigned(2).size() == 1);
  broker.submit(1, 3, 0, 1, 100);
  broker.expect<p::Rejected>(1);
  broker.expect<p::JobFailed>(1);
  broker.expect<p::CloseJob>(2);
  broker.submit(1, 4, 10, 1, 0);
  broker.expect<p::Rejected>(1);
  broker.expect<p::JobFailed>(1);
  CHECK(broker.scheduler().idle());
}
