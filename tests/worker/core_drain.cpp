// The worker's core when it is told to end: what it returns, what it waits for, and how long.
#include "tests/worker/core_harness.hpp"

using namespace achilles::worker;
using namespace achilles::worker::testing;
namespace protocol = achilles::protocol;

TEST_CASE("drain returns unstarted, finishes running, waits for grants, then leaves") {
  Harness h(2);
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1), assignment(1, 2, 1, 10), assignment(1, 3), assignment(1, 4)});
  const TaskId a = h.started();
  const TaskId b = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  h.given(a);
  h.ready(b);
  h.told<protocol::OpenJob>(b);
  h.given(b);
  h.feed(DrainRequested{});
  CHECK(h.sent<protocol::WorkerState>().draining);
  CHECK(h.sent<protocol::Returned>().attempts ==
        std::vector{protocol::AttemptId{3}, protocol::AttemptId{4}});
  h.settle();
  h.none();
  // A chunk that crossed the news goes back at once.
  h.broker(protocol::Assign{{assignment(1, 5)}});
  CHECK(h.sent<protocol::Returned>().attempts == std::vector{protocol::AttemptId{5}});
  h.answer(a, {result_of(assignment(1, 1), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{1});
  h.answer(b, {result_of(assignment(1, 2, 1, 10), 1000)});
  h.sent<protocol::ResultReady>();
  h.settle();
  h.none();
  h.broker(protocol::Grant{protocol::AttemptId{2}});
  h.settle();
  CHECK(h.results_sent() == Numbers{2});
  h.none();
  h.accept({1, 2});
  h.settle();
  CHECK_FALSE(h.take<EndTask>().kill);
  CHECK_FALSE(h.take<EndTask>().kill);
  h.sent<protocol::Bye>();
  h.take<Leave>();
  h.pass(1min);
  h.settle();
  h.connect();
}

TEST_CASE("a second drain kills what runs and leaves at once") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  h.given(a);
  h.feed(DrainRequested{});
  h.sent<protocol::WorkerState>();
  h.feed(DrainRequested{});
  CHECK(h.take<EndTask>().kill);
  h.sent<protocol::Bye>();
  h.take<Leave>();
}

TEST_CASE("drain without a session leaves at once") {
  Harness h;
  h.connect();
  h.sent<protocol::Hello>();
  h.feed(DrainRequested{});
  h.take<Leave>();
}

TEST_CASE("a task that dies while draining gives its other chunks back to the broker") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  h.given(a);
  h.answer(a, {result_of(assignment(1, 1), 1000)});
  h.settle();
  h.results_sent();
  h.assign({assignment(1, 2), assignment(1, 3), assignment(1, 4)});
  CHECK(h.given(a) == Numbers{2, 3, 4});
  h.feed(DrainRequested{});
  h.sent<protocol::WorkerState>();
  h.feed(TaskExited{a, protocol::AttemptId{2}, 2000, "signal 9 (Killed)", "", 1});
  h.noted("ended on item 2000");
  h.sent<protocol::Crashed>();
  CHECK(h.sent<protocol::Returned>().attempts ==
        std::vector{protocol::AttemptId{3}, protocol::AttemptId{4}});
  h.settle();
  h.none();
  h.pass_alive(5s);  // Long enough for the client to say that it has the first result.
  h.sent<protocol::Bye>();
  h.take<Leave>();
}

namespace {

/// Two slots that are done, while the worker drains: result 1 waits for a GRANT, 2 was sent.
struct Drained {
  Harness h{2};
  Drained() {
    h.in_session();
    h.open(1, 1);
    h.assign({assignment(1, 1, 1, 10), assignment(1, 2)});
    const TaskId a = h.started();
    const TaskId b = h.started();
    h.ready(a);
    h.told<protocol::OpenJob>(a);
    h.given(a);
    h.ready(b);
    h.told<protocol::OpenJob>(b);
    h.given(b);
    h.feed(DrainRequested{});
    h.sent<protocol::WorkerState>();
    h.settle();
    // However long it runs, it is waited for.
    h.pass_alive(10min);
    h.none();
    h.answer(a, {result_of(assignment(1, 1), 1000)});
    h.sent<protocol::ResultReady>();
    h.settle();
    h.pass_alive(1min);
    h.none();
    h.answer(b, {result_of(assignment(1, 2), 1000)});
    h.settle();
    CHECK(h.results_sent() == Numbers{2});
  }
  void leaves() {
    CHECK_FALSE(h.take<EndTask>().kill);
    CHECK_FALSE(h.take<EndTask>().kill);
    h.sent<protocol::Bye>();
    h.take<Leave>();
  }
  /// Whatever settles meanwhile.
  void passes(protocol::Duration duration) {
    h.pass_alive(duration);
    h.settle();
  }
};

}  // namespace

TEST_CASE("a drained worker leaves although nobody grants its results") {
  Drained drained;
  drained.h.accept({2});
  drained.passes(4s);
  drained.h.none();
  drained.passes(1s);
  drained.leaves();
}

TEST_CASE("a drained worker waits for what is being taken, not for what nobody asks for") {
  Drained drained;
  Harness& h = drained.h;
  for (int i = 0; i < 20; ++i) {
    drained.passes(4s);
    h.none();
    h.feed(BrokerHeard{});  // It takes another part of result 2.
  }
  // Result 1 is given up by now: it begins to run elsewhere when the worker has left.
  h.broker(protocol::Grant{protocol::AttemptId{1}});
  h.settle();
  h.none();
  h.accept({2});
  h.settle();
  drained.leaves();
}

TEST_CASE("a drained worker that was stopped reads first what was accepted meanwhile") {
  Drained drained;
  Harness& h = drained.h;
  h.broker(protocol::Grant{protocol::AttemptId{1}});
  h.settle();
  CHECK(h.results_sent() == Numbers{1});
  h.now += 1min;
  h.accept({1});
  h.expire();
  CHECK(std::holds_alternative<protocol::Heartbeat>(h.take<SendToBroker>().message));
  h.accept({2});
  h.settle();
  drained.leaves();
}
