// The worker's core and its broker: HELLO, leases, losses.
#include "tests/worker/core_harness.hpp"

using namespace achilles::worker;
using namespace achilles::worker::testing;
namespace protocol = achilles::protocol;

TEST_CASE("hello is repeated each second until the newest one is answered") {
  Harness h;
  h.connect();
  const auto first = h.sent<protocol::Hello>();
  CHECK(first.role == protocol::Role::kWorker);
  CHECK(first.id == 42);
  CHECK(first.name == "n3");
  CHECK(first.host == "host3");
  CHECK(first.pid == 99);
  h.pass(999ms);
  h.none();
  h.pass(1ms);
  const auto second = h.sent<protocol::Hello>();
  CHECK(second.incarnation == first.incarnation + 1);

  protocol::Welcome welcome;
  welcome.incarnation = first.incarnation;
  welcome.heartbeat_interval_ms = 1000;
  h.broker(welcome);
  h.none();
  welcome.incarnation = second.incarnation;
  h.broker(welcome);
  const auto state = h.sent<protocol::WorkerState>();
  CHECK(state.slots == 1);
  CHECK(state.window_chunks == 1024);
  CHECK_FALSE(state.draining);
  CHECK(h.holding().empty());
}

TEST_CASE("heartbeats go out when nothing else did for an interval") {
  Harness h;
  h.in_session();
  h.pass(999ms);
  h.none();
  h.pass(1ms);
  CHECK(h.sent<protocol::Heartbeat>().session == protocol::SessionId{101});
}

namespace {

/// Attempt 1 sent and not accepted, 2 running in `b`, 3 done and held, 4 waits in the queue.
struct Busy {
  Harness h{2};
  TaskId a;
  TaskId b;
  Busy() {
    h.in_session();
    h.open(1, 1);
    h.assign({assignment(1, 1), assignment(1, 2), assignment(1, 3, 1, 10), assignment(1, 4)});
    a = h.started();
    b = h.started();
    h.ready(a);
    h.told<protocol::OpenJob>(a);
    CHECK(h.given(a) == Numbers{1});
    h.ready(b);
    h.told<protocol::OpenJob>(b);
    CHECK(h.given(b) == Numbers{2});
    h.answer(a, {result_of(assignment(1, 1), 5'000'000)});
    h.settle();
    CHECK(h.results_sent() == Numbers{1});
    CHECK(h.given(a) == Numbers{3});
    h.answer(a, {result_of(assignment(1, 3), 5'000'000)});
    CHECK(h.sent<protocol::ResultReady>().attempt == protocol::AttemptId{3});
  }
};

}  // namespace

TEST_CASE("without a broker the work goes on, and the next one is told all that is here") {
  Busy busy;
  Harness& h = busy.h;
  h.pass(5s);
  for (int i = 0; i < 4; ++i) h.sent<protocol::Heartbeat>();
  h.noted("said nothing for 5000 ms");
  h.take<Reconnect>();
  h.settle();
  CHECK(h.given(busy.a) == Numbers{4});
  h.answer(busy.b, {result_of(assignment(1, 2), 5'000'000)});
  h.settle();
  h.none();
  CHECK_FALSE(h.agent.next_deadline().has_value());

  h.connect();
  h.welcome();
  h.sent<protocol::WorkerState>();
  const auto holding = h.sent<protocol::Holding>();
  REQUIRE(holding.attempts.size() == 4);
  CHECK(holding.last);
  const std::vector<bool> done = {true, true, true, false};
  for (std::size_t i = 0; i < 4; ++i) {
    INFO(i);
    CHECK(holding.attempts[i].job == job_id(1));
    CHECK(holding.attempts[i].attempt == protocol::AttemptId{i + 1});
    CHECK(holding.attempts[i].count == 1);
    CHECK((holding.attempts[i].result_cost > 0) == done[i]);
  }
  // Allowances were the former session's: nothing leaves unasked.
  h.answer(busy.a, {result_of(assignment(1, 4), 5'000'000)});
  CHECK(h.sent<protocol::ResultReady>().attempt == protocol::AttemptId{4});
  h.broker(protocol::Grant{protocol::AttemptId{1}});
  h.settle();
  CHECK(h.results_sent() == Numbers{1});
  h.broker(protocol::Revoke{{protocol::AttemptId{2}, protocol::AttemptId{3}}});
  h.broker(protocol::Grant{protocol::AttemptId{4}});
  h.settle();
  CHECK(h.results_sent() == Numbers{4});
  h.accept({1, 4});
  CHECK(h.agent.idle());
}

TEST_CASE("a job whose last attempt dies between sessions is dropped") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  h.given(a);
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, ""});
  h.noted("no longer knows");
  const auto hello = h.sent<protocol::Hello>();
  h.feed(TaskExited{a, protocol::AttemptId{1}, 1000, "signal 9 (Killed)", "", 1});
  h.noted("ended on item 1000");
  protocol::Welcome welcome;
  welcome.boot = protocol::BootId{2};
  welcome.session = protocol::SessionId{7};
  welcome.incarnation = hello.incarnation;
  welcome.heartbeat_interval_ms = 1000;
  h.broker(welcome);
  h.sent<protocol::WorkerState>();
  CHECK(h.holding().empty());
  // HOLDING did not name it, so the broker will not close it; it may open it again.
  h.broker(open_job(1, 1));
  CHECK(h.take<LoadProgram>().program == program_id(1));
}

TEST_CASE("a grant ends with its session") {
  Busy busy;
  Harness& h = busy.h;
  h.broker(protocol::Grant{protocol::AttemptId{2}});
  h.broker(protocol::Grant{protocol::AttemptId{4}});
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, ""});
  h.noted("no longer knows");
  h.welcome();
  h.sent<protocol::WorkerState>();
  CHECK(h.holding() == Numbers{1, 2, 3, 4});
  h.settle();
  CHECK(h.given(busy.a) == Numbers{4});
  h.answer(busy.b, {result_of(assignment(1, 2), 1000)});
  h.sent<protocol::ResultReady>();
}

TEST_CASE("what died while there was no broker is not told to be here") {
  Busy busy;
  Harness& h = busy.h;
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, ""});
  h.noted("no longer knows");
  const auto hello = h.sent<protocol::Hello>();
  h.feed(TaskExited{busy.b, protocol::AttemptId{2}, 2000, "signal 9 (Killed)", "", 1});
  h.noted("ended on item 2000");
  h.none();
  protocol::Welcome welcome;
  welcome.session = {500};
  welcome.incarnation = hello.incarnation;
  h.broker(welcome);
  h.sent<protocol::WorkerState>();
  CHECK(h.holding() == Numbers{1, 3, 4});
}

TEST_CASE("jobs without work here are forgotten with their session, and may be opened again") {
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
  h.accept({1});
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, ""});
  CHECK(h.told<protocol::CloseJob>(a).job == job_id(1));
  h.noted("no longer knows");
  h.welcome();
  h.sent<protocol::WorkerState>();
  CHECK(h.holding().empty());
  h.open(1, 1);
  h.assign({assignment(1, 2)});
  h.told<protocol::OpenJob>(a);
  CHECK(h.given(a) == Numbers{2});
}

TEST_CASE(
    "a revoked chunk that runs is skipped when its task process is past it, or ended for it") {
  Busy busy;
  Harness& h = busy.h;
  h.broker(protocol::Revoke{{protocol::AttemptId{2}}});
  h.none();
  SECTION("it ends in time") {
    h.answer(busy.b, {result_of(assignment(1, 2), 1000)});
    h.settle();
    CHECK(h.given(busy.b) == Numbers{4});
    h.none();
  }
  SECTION("it takes too long") {
    h.settle();
    CHECK(h.given(busy.a) == Numbers{4});
    h.pass(100ms);
    CHECK(h.take<TerminateTask>().task == busy.b);
    SECTION("it ends when it is asked to") {
      h.feed(TaskExited{busy.b, protocol::AttemptId{2}, 2000, "signal 15 (Terminated)", "", 1});
      h.none();
      h.pass_alive(5s);
      h.none();
    }
    SECTION("it does not") {
      h.pass(999ms);
      h.sent<protocol::Heartbeat>();
      h.none();
      h.pass(1ms);
      const auto end = h.take<EndTask>();
      CHECK(end.task == busy.b);
      CHECK(end.kill);
      h.feed(TaskExited{busy.b, protocol::AttemptId{2}, 2000, "signal 9 (Killed)", "", 1});
      h.none();
    }
  }
}

TEST_CASE("a program that is missed between sessions is fetched in the next one") {
  Harness h;
  h.in_session();
  h.broker(open_job(1, 1));
  h.take<LoadProgram>();
  h.assign({assignment(1, 1)});
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, ""});
  h.noted("no longer knows");
  const Command hello = h.commands.front();
  h.commands.clear();
  h.feed(ProgramAbsent{program_id(1)});
  h.none();
  h.commands.push_back(hello);
  h.welcome();
  h.sent<protocol::WorkerState>();
  CHECK(h.holding() == Numbers{1});
  CHECK(h.take<LoadProgram>().program == program_id(1));
  h.feed(ProgramAbsent{program_id(1)});
  CHECK(h.sent<protocol::NeedProgram>().offset == 0);
}

TEST_CASE("a stall of our own extends the broker's lease by the gap") {
  Harness h;
  h.in_session();
  h.pass(1s);
  h.sent<protocol::Heartbeat>();
  h.now += 60s;  // The machine was suspended.
  h.expire();
  h.sent<protocol::Heartbeat>();
  h.none();
  h.pass(2s);
  h.sent<protocol::Heartbeat>();
  h.sent<protocol::Heartbeat>();
  h.pass(1s);
  h.noted("said nothing");
  h.take<Reconnect>();
}

TEST_CASE("an unknown session says hello at once, and keeps what is here") {
  Busy busy;
  Harness& h = busy.h;
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, "new here"});
  h.noted("no longer knows");
  h.sent<protocol::Hello>();
  // The answers to our other messages of the old session, and leftovers of it, change nothing.
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, "new here"});
  h.broker(protocol::Assign{{assignment(1, 5)}});
  h.none();
}

TEST_CASE("a welcome to another session starts the conversation anew") {
  Harness h;
  h.connect();
  const auto hello = h.sent<protocol::Hello>();
  protocol::Welcome welcome;
  welcome.boot = protocol::BootId{1};
  welcome.session = protocol::SessionId{5};
  welcome.incarnation = hello.incarnation;
  h.broker(welcome);
  h.sent<protocol::WorkerState>();
  CHECK(h.holding().empty());
  h.broker(welcome);
  h.none();
  welcome.session = protocol::SessionId{6};
  h.broker(welcome);
  h.noted("no longer knows");
  CHECK(h.sent<protocol::Hello>().incarnation == hello.incarnation + 1);
}

TEST_CASE("a connection that leads nowhere is made anew although there is no session yet") {
  Harness h;
  h.connect();
  h.sent<protocol::Hello>();
  for (int i = 0; i < 3; ++i) {
    h.pass(4999ms);
    for (int hello = 0; hello < 4; ++hello) h.sent<protocol::Hello>();
    h.none();
    h.pass(1ms);
    if (i == 0) h.noted("said nothing");
    h.take<Reconnect>();
    h.connect();
    h.sent<protocol::Hello>();
  }
}

TEST_CASE("a broker of another version is noted once and asked again") {
  Harness h;
  h.connect();
  h.sent<protocol::Hello>();
  for (int i = 0; i < 3; ++i) {
    h.broker(protocol::Rejected{protocol::RejectReason::kWrongVersion, "I speak 2"});
    if (i == 0) CHECK(h.noted("I speak 2").level == Note::Level::kWarning);
    h.none();
    h.pass(1s);
    h.sent<protocol::Hello>();
  }
}

TEST_CASE("a broker that says bye is left and connected to again") {
  Harness h;
  h.in_session();
  h.broker(protocol::Bye{"shutting down"});
  h.sent<protocol::Bye>();  // Which the broker waits for.
  h.noted("shutting down");
  h.take<Reconnect>();
  h.connect();
  h.sent<protocol::Hello>();
}

TEST_CASE("bytes that are no message are noted and count as a sign of life") {
  Harness h;
  h.in_session();
  h.pass(4s);
  for (int i = 0; i < 4; ++i) h.sent<protocol::Heartbeat>();
  h.feed(BrokerMalformed{protocol::RejectReason::kMalformed, "12 bytes missing"});
  h.noted("12 bytes missing");
  h.pass(2s);
  h.sent<protocol::Heartbeat>();
  h.sent<protocol::Heartbeat>();
}

TEST_CASE("a part of a message is a sign of life") {
  Harness h;
  h.in_session();
  for (int i = 0; i < 3; ++i) {
    h.pass(4s);
    for (int beat = 0; beat < 4; ++beat) h.sent<protocol::Heartbeat>();
    h.feed(BrokerHeard{});
  }
  h.pass(2s);
  h.sent<protocol::Heartbeat>();
  h.sent<protocol::Heartbeat>();
}

TEST_CASE("asked to give chunks back, a worker returns those that it has not begun") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1), assignment(1, 2), assignment(1, 3)});
  const TaskId a = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  REQUIRE(h.given(a) == Numbers{1});
  h.broker(protocol::Recall{{protocol::AttemptId{1}, protocol::AttemptId{3}}});
  CHECK(h.sent<protocol::Returned>().attempts == std::vector{protocol::AttemptId{3}});
  h.broker(protocol::Recall{{protocol::AttemptId{1}, protocol::AttemptId{3}}});
  h.settle();
  h.answer(a, {result_of(assignment(1, 1), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{1});
  CHECK(h.given(a) == Numbers{2});
}
