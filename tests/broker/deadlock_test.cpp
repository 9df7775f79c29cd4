// The deadlocks that credits invite, played by clients that consume in order and workers that hold
// results back until they are granted.
#include <algorithm>
#include <functional>
#include <memory>
#include <random>

#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {

/// Begins chunks in order, a slot at a time; results above their allowance wait for a GRANT; when
/// too much waits, begins only what is granted.
class FakeWorker {
 public:
  FakeWorker(Broker& broker, std::uint64_t peer, std::uint32_t slots, std::uint64_t held_bytes_max)
      : broker_(broker), peer_(peer), slots_(slots), held_bytes_max_(held_bytes_max) {
    broker.worker(peer, slots);
  }
  /// Whether a chunk may end now; for slow ones.
  std::function<bool(const p::Assignment&)> may_finish = [](const auto&) { return true; };
  std::function<std::uint64_t(const p::Assignment&)> result_bytes = [](const auto&) { return 100; };

  std::uint64_t busy_ns = 1000;

  /// One round; says whether anything happened.
  bool act() {
    bool acted = false;
    auto inbox = std::exchange(broker_.inbox(peer_), {});
    for (auto& message : inbox) {
      if (auto* assign = std::get_if<p::Assign>(&message)) {
        for (auto& a : assign->chunks) chunks_.push_back({std::move(a)});
      } else if (auto* grant = std::get_if<p::Grant>(&message)) {
        for (auto& c : chunks_) c.granted = c.granted || c.what.attempt == grant->attempt;
      } else if (auto* close = std::get_if<p::CloseJob>(&message)) {
        std::erase_if(chunks_, [&](auto& c) { return c.what.job == close->job; });
      }
      acted = true;
    }
    for (auto& c : chunks_) {
      const auto running =
          std::ranges::count_if(chunks_, [](auto& x) { return x.begun && !x.done; });
      const bool hold_back = held_bytes() > held_bytes_max_;
      if (!c.begun && running < slots_ && (!hold_back || c.granted)) c.begun = acted = true;
      if (c.begun && !c.done && may_finish(c.what)) c.done = acted = true;
    }
    for (auto at = chunks_.begin(); at != chunks_.end();) {
      if (!at->done) {
        ++at;
        continue;
      }
      const auto result = result_of(at->what, result_bytes(at->what), busy_ns);
      if (at->granted || credit_cost(result) <= at->what.result_allowance) {
        broker_.send(peer_, p::Results{{result}});
        at = chunks_.erase(at);
        acted = true;
        continue;
      }
      if (!std::exchange(at->announced, true)) {
        broker_.send(peer_, p::ResultReady{at->what.attempt, credit_cost(result), busy_ns});
        acted = true;
      }
      ++at;
    }
    return acted;
  }

 private:
  struct Held {
    p::Assignment what;
    bool begun = false;
    bool done = false;
    bool announced = false;
    bool granted = false;
  };
  std::uint64_t held_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& c : chunks_) {
      if (c.announced && !c.granted) bytes += result_bytes(c.what);
    }
    return bytes;
  }
  Broker& broker_;
  std::uint64_t peer_;
  std::uint32_t slots_;
  std::uint64_t held_bytes_max_;
  std::vector<Held> chunks_;
};

/// One client's jobs; results are unread until `take`.
class FakeClient {
 public:
  FakeClient(Broker& broker, std::uint64_t peer) : broker_(broker), peer_(peer) {
    broker.client(peer);
  }
  void open(std::uint64_t number, std::uint64_t window, std::uint64_t items) {
    jobs_[number].window = window;
    broker_.open(peer_, number, window);
    broker_.submit(peer_, number, 0, items);
  }
  void receive() {
    for (auto& message : std::exchange(broker_.inbox(peer_), {})) {
      REQUIRE_FALSE(std::holds_alternative<p::JobFailed>(message));
      REQUIRE_FALSE(std::holds_alternative<p::Rejected>(message));
      if (auto* results = std::get_if<p::Results>(&message)) {
        for (auto& r : results->chunks) {
          Job& job = jobs_[r.job.number];
          REQUIRE(job.unread.emplace(r.first, credit_cost(r)).second);
          job.unread_bytes += credit_cost(r);
          job.unread_bytes_max = std::max(job.unread_bytes_max, job.unread_bytes);
        }
      }
    }
  }
  /// The user asks for the next result: that item, or any.
  bool take(std::uint64_t number, std::optional<p::ItemIndex> item) {
    receive();
    Job& job = jobs_[number];
    const auto at = item ? job.unread.find(*item) : job.unread.begin();
    if (at == job.unread.end()) {
      if (item && job.wanted != item) {
        job.wanted = item;
        credit(number);
      }
      return false;
    }
    job.consumed += at->second;
    job.unread_bytes -= at->second;
    job.unread.erase(at);
    credit(number);
    return true;
  }
  void close(std::uint64_t number) { broker_.send(peer_, p::CloseJob{{{peer_}, number}}); }
  std::uint64_t unread_bytes_max(std::uint64_t number) { return jobs_[number].unread_bytes_max; }

 private:
  struct Job {
    std::uint64_t window = 0;
    std::uint64_t consumed = 0;
    std::uint64_t unread_bytes = 0;
    std::uint64_t unread_bytes_max = 0;
    std::optional<p::ItemIndex> wanted;
    std::map<p::ItemIndex, std::uint64_t> unread;
  };
  void credit(std::uint64_t number) {
    const Job& job = jobs_[number];
    broker_.send(peer_, p::ResultCredit{{{peer_}, number}, job.consumed + job.window, job.wanted});
  }
  Broker& broker_;
  std::uint64_t peer_;
  std::map<std::uint64_t, Job> jobs_;
};

/// Lets broker and workers act until `goal` or until nothing happens any more.
void run_until(Broker& broker, std::vector<FakeWorker*> workers,
               const std::function<bool()>& goal) {
  for (int round = 0; round < 2000; ++round) {
    broker.settle();
    if (goal()) return;
    bool acted = false;
    for (auto* worker : workers) acted = worker->act() || acted;
    if (!acted) {
      broker.settle();
      if (goal()) return;
      broker.settle();
      bool still = true;
      for (auto* worker : workers) still = !worker->act() && still;
      if (still) FAIL("deadlock: nothing moves, and the user still waits");
    }
  }
  FAIL("no end in sight");
}

}  // namespace

TEST_CASE("ordered iteration behind a slow first chunk under a tiny byte credit ends") {
  const auto window = GENERATE(1u, 200u, 5000u, 100'000u);
  const auto bytes = GENERATE(10u, 3000u, 50'000u, 3'000'000u);
  const auto held_max = GENERATE(0u, 100'000u);
  CAPTURE(window, bytes, held_max);
  Broker broker;
  FakeWorker a(broker, 2, 2, held_max);
  FakeWorker b(broker, 3, 1, held_max);
  bool slow = true;
  for (auto* worker : {&a, &b}) {
    worker->may_finish = [&](const auto& what) { return what.chunk.first != 0 || !slow; };
    worker->result_bytes = [&](const auto&) { return bytes; };
  }
  FakeClient client(broker, 1);
  client.open(1, window, 40);
  CHECK_FALSE(client.take(1, 0));
  for (int i = 0; i < 50; ++i) {  // All that can finish does, before the first chunk does.
    broker.settle();
    a.act();
    b.act();
  }
  slow = false;
  for (p::ItemIndex item = 0; item < 40; ++item) {
    run_until(broker, {&a, &b}, [&] { return client.take(1, item); });
  }
  // Bounded: the credit, one result of any size, the one that the user waits for, and before sizes
  // are known one that came unasked.
  CHECK(client.unread_bytes_max(1) <= window + 3 * (bytes + 128) + 16384);
}

TEST_CASE("an inner imap goes on while its outer one is unread") {
  const auto window = GENERATE(1u, 5000u, 100'000u);
  const auto bytes = GENERATE(10u, 50'000u, 3'000'000u);
  const auto held_max = GENERATE(0u, 100'000u);
  const bool outer_ordered = GENERATE(true, false);
  const bool inner_ordered = GENERATE(true, false);
  CAPTURE(window, bytes, held_max, outer_ordered, inner_ordered);
  Broker broker;
  FakeWorker worker(broker, 2, 1, held_max);
  worker.result_bytes = [&](const auto&) { return bytes; };
  FakeClient client(broker, 1);
  client.open(1, window, 10);
  const auto which = [](bool ordered, p::ItemIndex item) {
    return ordered ? std::optional<p::ItemIndex>(item) : std::nullopt;
  };
  for (p::ItemIndex outer = 0; outer < 10; ++outer) {
    run_until(broker, {&worker}, [&] { return client.take(1, which(outer_ordered, outer)); });
    const std::uint64_t number = 2 + outer;
    client.open(number, window, 5);
    for (p::ItemIndex inner = 0; inner < 5; ++inner) {
      run_until(broker, {&worker},
                [&] { return client.take(number, which(inner_ordered, inner)); });
    }
    client.close(number);
  }
}

TEST_CASE("a wanted chunk whose worker is lost is the first to run again, without credit") {
  Broker broker;
  FakeWorker a(broker, 2, 1, 0);
  a.may_finish = [](const auto& what) { return what.chunk.first != 0; };
  FakeClient client(broker, 1);
  client.open(1, 1, 10);
  CHECK_FALSE(client.take(1, 0));
  broker.settle();
  a.act();
  broker.event(PeerUnreachable{{2}});
  FakeWorker b(broker, 3, 1, 0);
  for (p::ItemIndex item = 0; item < 10; ++item) {
    run_until(broker, {&b}, [&] { return client.take(1, item); });
  }
}

TEST_CASE("a job whose chunks are at a worker that begins to hold back has one granted") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 2);
  broker.open(1, 1, 1);
  broker.open(1, 2);
  broker.submit(1, 1, 0, 1);
  broker.submit(1, 2, 0, 3);
  broker.settle();
  const auto work = broker.assigned(2);
  REQUIRE(work.size() == 4);
  REQUIRE(work[0].job.number == 1);
  broker.finish(2, work[1]);  // Job 2 goes on by itself while nothing is held back.
  broker.settle();
  broker.send(1, p::ResultCredit{{{1}, 1}, 0, std::nullopt});
  SECTION("first announcement at the worker") {
    broker.send(2, p::ResultReady{work[0].attempt, 1'000'000, 5});
    broker.settle();
    CHECK(broker.expect<p::Grant>(2).attempt == work[0].attempt);
    CHECK(broker.expect<p::Grant>(2).attempt == work[2].attempt);
  }
  CHECK(broker.inbox(2).empty());
}

TEST_CASE("a worker full of chunks that it will not begin still gets a new job's first one") {
  Broker broker;
  broker.client(1);
  broker.worker(2, 1);
  broker.open(1, 1, 40'000);
  broker.submit(1, 1, 0, 2);
  broker.settle();
  auto work = broker.assigned(2);
  REQUIRE(work.size() == 2);
  broker.send(2, p::ResultReady{work[0].attempt, 50'000, 1'000'000'000});
  broker.settle();
  CHECK(broker.expect<p::Grant>(2).attempt == work[0].attempt);
  broker.finish(2, work[0], 50'000);
  broker.open(1, 2, 100'000);
  broker.submit(1, 2, 0, 3);
  broker.settle();
  REQUIRE(broker.assigned(2).size() == 1);
  broker.send(2, p::ResultReady{work[1].attempt, 50'000, 1'000'000'000});
  broker.settle();  // Job 1 has no credit left: the result waits, and the worker holds back.
  work = broker.assigned(2);
  REQUIRE(work.size() == 1);
  CHECK(broker.inbox(2).size() == 1);
  broker.expect<p::Grant>(2);
  broker.discard(1);
  broker.open(1, 3, 1);
  broker.submit(1, 3, 0, 3);
  broker.settle();
  work = broker.assigned(2);
  REQUIRE(work.size() == 1);  // Two of job 2 are there already.
  CHECK(work[0].job.number == 3);
  CHECK(broker.expect<p::Grant>(2).attempt == work[0].attempt);
  broker.settle();
  CHECK(broker.inbox(2).empty());
}

TEST_CASE("whatever job the user reads goes on, whatever others lie unread") {
  const auto seed = GENERATE(range(0u, 300u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto draw = [&](std::uint64_t from, std::uint64_t to) {
    return std::uniform_int_distribution<std::uint64_t>(from, to)(random);
  };
  const auto draw_bytes = [&] { return std::uint64_t{1} << draw(0, 21); };

  Broker broker;
  std::vector<std::unique_ptr<FakeWorker>> owned;
  std::vector<FakeWorker*> workers;
  std::map<p::JobId, std::uint64_t> bytes_of_job;
  const std::uint64_t worker_count = draw(1, 2);
  for (std::uint64_t i = 0; i < worker_count; ++i) {
    const auto slots = static_cast<std::uint32_t>(draw(1, 4));
    owned.push_back(std::make_unique<FakeWorker>(broker, 100 + i, slots, draw(0, 1) * 100'000));
    workers.push_back(owned.back().get());
    workers.back()->busy_ns = draw(0, 1) == 0 ? 1000 : 1'000'000'000;
    workers.back()->result_bytes = [&](const p::Assignment& a) {
      // Sizes differ within a job, so that what was learnt of it is wrong.
      const std::uint64_t scale = bytes_of_job[a.job];
      return (a.chunk.first * 7919 + seed) % 3 == 0 ? scale : scale / 50 + 1;
    };
  }
  struct Reading {
    bool ordered = false;
    p::ItemIndex next = 0;
    std::uint64_t items = 0;
  };
  FakeClient client(broker, 1);
  std::map<std::uint64_t, Reading> open;
  std::uint64_t jobs = 0;
  const auto open_job = [&] {
    const std::uint64_t number = ++jobs;
    bytes_of_job[{{1}, number}] = draw_bytes();
    open[number] = {draw(0, 1) == 0, 0, draw(1, 30)};
    client.open(number, draw_bytes(), open[number].items);
  };
  open_job();
  while (!open.empty()) {
    if (jobs < 6 && draw(0, 2) == 0) open_job();
    auto at = std::next(open.begin(), static_cast<std::ptrdiff_t>(draw(0, open.size() - 1)));
    auto& [number, reading] = *at;
    for (std::uint64_t burst = draw(1, 10); burst > 0 && reading.next < reading.items; --burst) {
      const auto item = reading.ordered ? std::optional(reading.next) : std::nullopt;
      run_until(broker, workers, [&] { return client.take(number, item); });
      ++reading.next;
    }
    if (reading.next == reading.items || draw(0, 9) == 0) {
      client.close(number);
      open.erase(at);
    }
  }
}
