// The worker's core and its task processes: deaths, closed jobs, early deaths.
#include "tests/worker/core_harness.hpp"

using namespace achilles::worker;
using namespace achilles::worker::testing;
namespace protocol = achilles::protocol;

namespace {

/// One warm task process of program 1 that has run attempt 1 of job 1, quickly.
TaskId warm_task(Harness& h) {
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  CHECK(h.given(a) == Numbers{1});
  h.answer(a, {result_of(assignment(1, 1), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{1});
  return a;
}

TaskExited exited(TaskId task, std::uint64_t running = 0, protocol::ItemIndex item = 0) {
  TaskExited event;
  event.task = task;
  if (running != 0) event.running_attempt = protocol::AttemptId{running};
  event.running_item = item;
  event.how = "signal 9 (Killed)";
  event.stderr_tail = "last words";
  event.pid = 1000;
  return event;
}

}  // namespace

TEST_CASE("task dies mid-chunk: the guilty item is named and the rest is queued again in front") {
  Harness h;
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2, 3), assignment(1, 3, 3), assignment(1, 4, 3)});
  CHECK(h.given(a) == Numbers{2, 3, 4});
  h.answer(a, {result_of(assignment(1, 2, 3), 3000)});
  h.broker(protocol::Assign{{assignment(1, 5)}});
  h.feed(exited(a, 3, 3002));
  h.noted("item 3002");
  const auto crashed = h.sent<protocol::Crashed>();
  CHECK(crashed.attempt == protocol::AttemptId{3});
  CHECK(crashed.item == 3002);
  CHECK(crashed.error.kind == protocol::ErrorKind::kTaskCrashed);
  CHECK(crashed.error.worker == "n3");
  CHECK(crashed.error.host == "host3");
  CHECK(crashed.error.pid == 1000);
  CHECK(crashed.error.detail == "signal 9 (Killed)");
  CHECK(crashed.error.stderr_tail == "last words");
  h.settle();
  CHECK(h.results_sent() == Numbers{2});
  const TaskId b = h.started();
  CHECK(b != a);
  h.ready(b);
  h.told<protocol::OpenJob>(b);
  CHECK(h.given(b) == Numbers{4, 5});
}

TEST_CASE("a task that dies with results unwritten: each of their chunks gets a task for itself") {
  Harness h;
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2), assignment(1, 3), assignment(1, 4)});
  CHECK(h.given(a) == Numbers{2, 3, 4});
  auto ruined = exited(a);
  ruined.begun_attempt = protocol::AttemptId{3};  // 2 or 3 did it, 4 was not begun.
  ruined.running_item = 3000;
  h.feed(ruined);
  h.noted("before it had written its results: signal 9");
  h.settle();
  const TaskId b = h.started();
  h.ready(b);
  h.told<protocol::OpenJob>(b);
  CHECK(h.given(b) == Numbers{2});
  h.answer(b, {result_of(assignment(1, 2), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{2});
  CHECK(h.given(b) == Numbers{3});
  ruined = exited(b);
  ruined.begun_attempt = protocol::AttemptId{3};
  ruined.running_item = 3000;
  h.feed(ruined);
  h.noted("item 3000");
  CHECK(h.sent<protocol::Crashed>().item == 3000);
  h.settle();
  const TaskId c = h.started();
  h.ready(c);
  h.told<protocol::OpenJob>(c);
  CHECK(h.given(c) == Numbers{4});
  h.answer(c, {result_of(assignment(1, 4), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{4});
}

TEST_CASE("a death in an embedded Pool speaks of this program, which has no hash") {
  Harness h;
  h.in_session();
  h.open(1, 0);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started(0);
  h.ready(a, 0);
  h.told<protocol::OpenJob>(a);
  CHECK(h.given(a) == Numbers{1});
  h.feed(exited(a, 1, 1000));
  h.noted("A task process of this program (pid 1000) ended on item 1000");
  h.sent<protocol::Crashed>();
}

TEST_CASE("a wild item in the page is taken for the chunk's first") {
  Harness h;
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2, 3)});
  h.given(a);
  h.feed(exited(a, 2, 77));
  h.noted("item 2000");
  CHECK(h.sent<protocol::Crashed>().item == 2000);
}

TEST_CASE("chunks of two dead tasks go back in the order of their arrival") {
  Harness h(2);
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1), assignment(1, 2), assignment(1, 3)});
  const TaskId a = h.started();
  const TaskId b = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  h.given(a);
  h.ready(b);
  h.told<protocol::OpenJob>(b);
  h.given(b);
  h.feed(exited(a));
  h.noted("began a chunk");
  h.feed(exited(b));
  h.noted("began a chunk");
  h.settle();
  const TaskId c = h.started();
  const TaskId d = h.started();
  h.ready(d);
  h.told<protocol::OpenJob>(d);
  CHECK(h.given(d) == Numbers{1});
  h.ready(c);
  h.told<protocol::OpenJob>(c);
  CHECK(h.given(c) == Numbers{2});
}

TEST_CASE("close while running skips, and kills after 100 ms; other jobs' chunks stay") {
  Harness h;
  const TaskId a = warm_task(h);
  h.open(2, 1);
  h.assign({assignment(2, 10)});
  h.told<protocol::OpenJob>(a);
  CHECK(h.given(a) == Numbers{10});
  h.answer(a, {result_of(assignment(2, 10), 1000)});
  h.settle();
  h.results_sent();
  h.assign({assignment(1, 2), assignment(2, 3)});
  CHECK(h.given(a) == Numbers{2, 3});
  h.broker(protocol::CloseJob{job_id(1)});
  const auto skip = h.take<SkipJobInTask>();
  CHECK(skip.task == a);
  CHECK(skip.job == job_id(1));
  CHECK(h.told<protocol::CloseJob>(a).job == job_id(1));
  // It gets nothing more while it may have to be killed.
  h.assign({assignment(2, 4)});
  h.none();
  h.pass(99ms);
  h.none();
  h.pass(1ms);
  CHECK(h.take<TerminateTask>().task == a);
  h.settle();
  h.none();
  h.feed(exited(a, 2, 2000));
  h.settle();
  const TaskId b = h.started();
  h.ready(b);
  CHECK(h.told<protocol::OpenJob>(b).job == job_id(2));
  CHECK(h.given(b) == Numbers{3, 4});
}

TEST_CASE("a closed job's chunk that is skipped in time costs no task") {
  Harness h;
  const TaskId a = warm_task(h);
  h.open(2, 1);
  h.assign({assignment(1, 2, 3), assignment(1, 3, 3)});
  CHECK(h.given(a) == Numbers{2, 3});
  h.broker(protocol::CloseJob{job_id(1)});
  h.take<SkipJobInTask>();
  h.told<protocol::CloseJob>(a);
  h.pass(50ms);
  auto partial = result_of(assignment(1, 2, 3), 1000);
  partial.items = items_of(1, 8);
  h.answer(a, {partial});
  // The next one has 100 ms of its own.
  h.pass(99ms);
  h.none();
  partial.attempt = protocol::AttemptId{3};
  partial.items = items_of(0, 8);
  h.answer(a, {partial});
  CHECK(h.agent.idle());
  h.pass(500ms);
  h.assign({assignment(2, 4)});
  h.told<protocol::OpenJob>(a);
  CHECK(h.given(a) == Numbers{4});
}

TEST_CASE("a task that works on another job is not killed over a closed one behind it") {
  Harness h;
  const TaskId a = warm_task(h);
  h.open(2, 1);
  h.assign({assignment(2, 10)});
  h.told<protocol::OpenJob>(a);
  h.given(a);
  h.answer(a, {result_of(assignment(2, 10), 1000)});
  h.settle();
  h.results_sent();
  h.assign({assignment(2, 11), assignment(1, 12)});
  CHECK(h.given(a) == Numbers{11, 12});
  h.broker(protocol::CloseJob{job_id(1)});
  h.take<SkipJobInTask>();
  h.told<protocol::CloseJob>(a);
  h.pass(900ms);
  const auto back = h.take<TakeBackFromTask>();
  h.none();
  h.feed(TakenBackFromTask{a, back.given, back.given - 1});
  h.pass(50ms);
  h.none();
  h.answer(a, {result_of(assignment(2, 11), 950'000'000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{11});
  h.accept({10, 11});
  CHECK(h.agent.idle());
}

TEST_CASE("a task that has begun a closed job's chunk is not left at it, whatever was taken back") {
  Harness h;
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2), assignment(1, 3)});
  CHECK(h.given(a) == Numbers{2, 3});
  h.pass(10ms);
  const auto back = h.take<TakeBackFromTask>();
  h.feed(TakenBackFromTask{a, back.given, back.given});  // It had just begun the last one.
  h.broker(protocol::CloseJob{job_id(1)});
  h.take<SkipJobInTask>();
  h.told<protocol::CloseJob>(a);
  h.pass(100ms);
  CHECK(h.take<TerminateTask>().task == a);
}

TEST_CASE("what waits behind a chunk that takes longer than thought goes to another slot") {
  Harness h(2);
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2), assignment(1, 3), assignment(1, 4)});
  CHECK(h.given(a) == Numbers{2, 3, 4});
  h.pass(9ms);
  h.none();
  h.pass(1ms);
  const auto back = h.take<TakeBackFromTask>();
  CHECK(back.task == a);
  CHECK(back.given == 4);  // One it had before.
  h.feed(TakenBackFromTask{a, 4, 2});
  h.settle();
  const TaskId b = h.started();
  h.ready(b);
  h.told<protocol::OpenJob>(b);
  CHECK(h.given(b) == Numbers{3, 4});
  // It gets nothing more before it is done.
  h.assign({assignment(1, 5)});
  CHECK(h.given(b) == Numbers{5});
  h.answer(a, {result_of(assignment(1, 2), 50'000'000)});
  h.answer(b, {result_of(assignment(1, 3), 1000), result_of(assignment(1, 4), 1000),
               result_of(assignment(1, 5), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{2, 3, 4, 5});
  h.accept({1, 2, 3, 4, 5});
  CHECK(h.agent.idle());
}

TEST_CASE("a task that has answered all before its chunks come back gets nothing new either") {
  Harness h;
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2), assignment(1, 3)});
  CHECK(h.given(a) == Numbers{2, 3});
  h.pass(10ms);
  CHECK(h.take<TakeBackFromTask>().given == 3);
  h.answer(a, {result_of(assignment(1, 2), 10'000), result_of(assignment(1, 3), 10'000)});
  h.settle();
  h.results_sent();
  h.assign({assignment(1, 4)});
  h.none();
  h.feed(TakenBackFromTask{a, 3, 3});
  h.settle();
  CHECK(h.given(a) == Numbers{4});
}

TEST_CASE("a task gets nothing new between being asked for its chunks and their coming back") {
  Harness h;
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2), assignment(1, 3)});
  CHECK(h.given(a) == Numbers{2, 3});
  h.pass(10ms);
  CHECK(h.take<TakeBackFromTask>().given == 3);
  h.answer(a, {result_of(assignment(1, 2), 10'000)});
  h.settle();
  h.results_sent();
  h.assign({assignment(1, 4)});
  h.none();  // It would be taken for one of those that came back.
  h.feed(TakenBackFromTask{a, 3, 2});
  h.settle();
  CHECK(h.given(a) == Numbers{3, 4});
}

TEST_CASE("a worker that drains returns what it takes back") {
  Harness h(2);
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2), assignment(1, 3)});
  CHECK(h.given(a) == Numbers{2, 3});
  h.feed(DrainRequested{});
  h.sent<protocol::WorkerState>();
  h.pass(10ms);
  const auto back = h.take<TakeBackFromTask>();
  h.feed(TakenBackFromTask{a, back.given, back.given - 1});
  CHECK(h.sent<protocol::Returned>().attempts == std::vector{protocol::AttemptId{3}});
}

TEST_CASE("close drops what is queued and what is held") {
  Harness h;
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2, 1, 10)});
  h.given(a);
  h.answer(a, {result_of(assignment(1, 2, 1, 10), 50'000'000)});
  h.sent<protocol::ResultReady>();
  h.assign({assignment(1, 3), assignment(1, 4)});
  CHECK(h.given(a) == Numbers{3});
  h.broker(protocol::CloseJob{job_id(1)});
  h.take<SkipJobInTask>();
  h.told<protocol::CloseJob>(a);
  h.broker(protocol::Grant{protocol::AttemptId{2}});
  h.broker(protocol::Grant{protocol::AttemptId{4}});
  h.answer(a, {result_of(assignment(1, 3), 1000)});
  h.settle();
  h.none();
  CHECK(h.agent.idle());
}

TEST_CASE("a job that comes again after its close is opened anew in the task") {
  Harness h;
  const TaskId a = warm_task(h);
  h.broker(protocol::CloseJob{job_id(1)});
  h.told<protocol::CloseJob>(a);
  h.open(1, 1);
  h.assign({assignment(1, 20)});
  h.told<protocol::OpenJob>(a);
  CHECK(h.given(a) == Numbers{20});
}

TEST_CASE("three early deaths in a row refuse the program, one result in between does not") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1), assignment(1, 2)});
  for (int death = 1; death <= 2; ++death) {
    h.feed(exited(h.started()));
    h.noted("ended before it was ready (signal 9 (Killed)). Its stderr ended with: last words");
    h.settle();
  }
  const TaskId c = h.started();
  h.ready(c);
  h.told<protocol::OpenJob>(c);
  CHECK(h.given(c) == Numbers{1});
  h.answer(c, {result_of(assignment(1, 1), 5'000'000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{1});
  CHECK(h.given(c) == Numbers{2});
  h.feed(exited(c));  // With a chunk, but none running: it has worked, and was killed from outside.
  h.noted("A task process");
  h.settle();
  const TaskId d = h.started();
  h.ready(d);
  h.told<protocol::OpenJob>(d);
  CHECK(h.given(d) == Numbers{2});
  h.feed(exited(d));  // With a chunk, but none running, and it never did any work.
  h.noted("began a chunk");
  h.settle();
  h.feed(TaskFailedToStart{h.started(), "fork failed"});
  h.noted("could not be started: fork failed.");
  h.settle();
  h.feed(exited(h.started()));
  h.noted("Refused program");
  const auto refused = h.sent<protocol::ProgramRefused>();
  CHECK(refused.program == program_id(1));
  CHECK(refused.reason.find("linked without achilles") != std::string::npos);
  CHECK(refused.reason.find("last words") != std::string::npos);
  h.settle();
  h.none();
  CHECK(h.agent.idle());
}

TEST_CASE("task processes that cannot be started refuse the program for that reason alone") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  for (int i = 0; i < 2; ++i) {
    h.feed(TaskFailedToStart{h.started(), "no descriptor is free"});
    h.noted("could not be started: no descriptor is free. Trying another one.");
    h.settle();
  }
  h.feed(TaskFailedToStart{h.started(), "no descriptor is free"});
  h.noted("Refused program");
  CHECK(h.sent<protocol::ProgramRefused>().reason.ends_with("no descriptor is free."));
  h.settle();
}

TEST_CASE("a task that says nothing for 10 s is killed and counts as an early death") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.pass_alive(9999ms);
  h.none();
  h.pass(1ms);
  std::erase_if(h.commands, [](const Command& c) { return std::get_if<SendToBroker>(&c); });
  const auto end = h.take<EndTask>();
  CHECK(end.task == a);
  CHECK(end.kill);
  h.noted("said nothing for 10 s");
  h.settle();
  const TaskId b = h.started();
  h.feed(exited(a));
  h.ready(b);
  h.told<protocol::OpenJob>(b);
  CHECK(h.given(b) == Numbers{1});
}

TEST_CASE("a task of another program than it was started for refuses the program") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.task(a, protocol::TaskReady{program_id(9), 5, 1000});
  CHECK(h.take<EndTask>().kill);
  h.noted("Refused program");
  h.sent<protocol::ProgramRefused>();
  h.feed(exited(a));
}

TEST_CASE("a task that answers what it was not asked is killed, and its chunks run elsewhere") {
  Harness h;
  const TaskId a = warm_task(h);
  h.assign({assignment(1, 2, 3)});
  h.given(a);
  SECTION("an unknown attempt") {
    h.answer(a, {result_of(assignment(1, 99), 1000)});
  }
  SECTION("too few items") {
    h.answer(a, {result_of(assignment(1, 2, 2), 1000)});
  }
  SECTION("another job") {
    auto result = result_of(assignment(1, 2, 3), 1000);
    result.job = job_id(5);
    h.answer(a, {result});
  }
  SECTION("ready twice") {
    h.task(a, protocol::TaskReady{program_id(1), 5, 1000});
  }
  CHECK(h.take<EndTask>().kill);
  h.noted("was killed. Trying another one.");
  // What it still says does not matter.
  h.answer(a, {result_of(assignment(1, 99), 1000)});
  h.feed(exited(a, 2, 2000));
  h.settle();
  const TaskId b = h.started();
  h.ready(b);
  h.told<protocol::OpenJob>(b);
  CHECK(h.given(b) == Numbers{2});
}

TEST_CASE("an idle task that ends counts against nobody, and is replaced when needed") {
  Harness h;
  const TaskId a = warm_task(h);
  for (int i = 0; i < 5; ++i) h.feed(exited(TaskId{a.value + 100}));
  h.feed(exited(a));
  h.noted("An idle task process");
  h.settle();
  h.none();
  h.assign({assignment(1, 2)});
  h.started();
}
