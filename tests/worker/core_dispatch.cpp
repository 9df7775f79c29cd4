// The worker's core: what runs where, credit for results, programs.
#include "tests/worker/core_harness.hpp"

using namespace achilles::worker;
using namespace achilles::worker::testing;
namespace protocol = achilles::protocol;

namespace {

/// Runs `attempt` of `job` alone on the task process, so that the job's pace is known.
void run_one(Harness& h, TaskId task, std::uint64_t job, std::uint64_t attempt,
             std::uint64_t busy_ns, bool opens) {
  h.assign({assignment(job, attempt)});
  if (opens) h.told<protocol::OpenJob>(task);
  CHECK(h.given(task) == Numbers{attempt});
  h.answer(task, {result_of(assignment(job, attempt), busy_ns)});
  h.settle();
  CHECK(h.results_sent() == Numbers{attempt});
}

TaskId start_one(Harness& h, std::uint64_t job, std::uint64_t attempt, std::uint64_t busy_ns,
                 std::uint8_t program = 1) {
  h.open(job, program);
  h.assign({assignment(job, attempt)});
  const TaskId task = h.started(program);
  h.ready(task, program);
  h.told<protocol::OpenJob>(task);
  h.given(task);
  h.answer(task, {result_of(assignment(job, attempt), busy_ns)});
  h.settle();
  h.results_sent();
  return task;
}

std::vector<protocol::Assignment> many(std::uint64_t job, std::uint64_t first, std::uint64_t count,
                                       std::uint32_t stride = 8) {
  std::vector<protocol::Assignment> chunks;
  for (std::uint64_t i = 0; i < count; ++i) {
    chunks.push_back(assignment(job, first + i, 1, kAmple, stride));
  }
  return chunks;
}

protocol::ProgramPart part_of(std::uint8_t program, std::uint64_t offset, std::uint64_t total) {
  const auto size = std::min<std::uint64_t>(protocol::kPartBytes, total - offset);
  return {program_id(program), total, offset, protocol::Bytes::own(std::vector<std::byte>(size))};
}

}  // namespace

TEST_CASE("many tiny chunks go in one assign, up to two milliseconds of work") {
  Harness h;
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 10'000);
  h.assign(many(1, 10, 300));
  CHECK(h.given(a).size() == 200);
  // Their results leave in one message, and as many go in again.
  std::vector<protocol::ChunkResult> results;
  for (std::uint64_t i = 10; i < 60; ++i) results.push_back(result_of(assignment(1, i), 10'000));
  h.answer(a, std::move(results));
  h.settle();
  CHECK(h.results_sent().size() == 50);
  CHECK(h.given(a).size() == 50);
}

TEST_CASE("a task holds at most 1024 chunks and a mebibyte") {
  Harness h;
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 1);
  SECTION("chunks") {
    h.assign(many(1, 10, 2000));
    CHECK(h.given(a).size() == 1024);
  }
  SECTION("bytes") {
    h.assign(many(1, 10, 20, 100'000));
    CHECK(h.given(a).size() == 10);
  }
  SECTION("one chunk may be larger") {
    h.assign(many(1, 10, 2, 3 << 20));
    CHECK(h.given(a) == Numbers{10});
  }
}

TEST_CASE("chunks of long or unknown time are given one by one") {
  Harness h;
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 3'000'000);
  h.assign({assignment(1, 2), assignment(1, 3)});
  CHECK(h.given(a) == Numbers{2});
  h.answer(a, {result_of(assignment(1, 2), 3'000'000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{2});
  CHECK(h.given(a) == Numbers{3});
}

TEST_CASE("few tiny chunks are spread over idle tasks before any gets a second one") {
  Harness h(3);
  h.in_session();
  h.open(1, 1);
  h.assign(many(1, 1, 3));
  std::vector<TaskId> tasks;
  for (int i = 0; i < 3; ++i) tasks.push_back(h.started());
  for (std::uint64_t i = 0; i < 3; ++i) {
    h.ready(tasks[i]);
    h.told<protocol::OpenJob>(tasks[i]);
    h.given(tasks[i]);
  }
  for (std::uint64_t i = 0; i < 3; ++i) {
    h.answer(tasks[i], {result_of(assignment(1, i + 1), 1000)});
  }
  h.settle();
  CHECK(h.results_sent() == Numbers{1, 2, 3});
  h.assign(many(1, 10, 4));
  CHECK(h.given(tasks[2]) == Numbers{10});
  CHECK(h.given(tasks[1]) == Numbers{11});
  CHECK(h.given(tasks[0]) == Numbers{12, 13});
}

TEST_CASE("a chunk is marked when it is all that is under way") {
  Harness h(2);
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 10'000);
  const auto alone = [&] {
    const auto command = h.take<SendToTask>();
    CHECK(std::holds_alternative<protocol::Assign>(command.message));
    return command.alone;
  };
  h.assign({assignment(1, 2)});
  CHECK(alone());
  SECTION("not one that comes behind another") {
    h.assign({assignment(1, 3)});
    CHECK_FALSE(alone());
  }
  SECTION("not several") {
    h.answer(a, {result_of(assignment(1, 2), 10'000)});
    h.settle();
    h.results_sent();
    h.assign({assignment(1, 3), assignment(1, 4)});
    CHECK_FALSE(alone());
  }
}

TEST_CASE("warm task is reused for the second job of the same program") {
  Harness h;
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 1000);
  h.broker(protocol::CloseJob{job_id(1)});
  h.told<protocol::CloseJob>(a);
  h.broker(open_job(2, 1));
  h.none();  // Not even the program is looked for again.
  run_one(h, a, 2, 2, 1000, true);
}

TEST_CASE("two programs share slots in the order of their chunks") {
  Harness h;
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 1000);
  h.assign(many(1, 10, 1));
  CHECK(h.given(a) == Numbers{10});
  h.open(2, 2);
  h.assign({assignment(2, 20)});
  h.assign(many(1, 11, 2));
  // Program 1 is not topped up while program 2's older chunk waits for the slot.
  h.none();
  h.answer(a, {result_of(assignment(1, 10), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{10});
  const TaskId b = h.started(2);
  h.ready(b, 2);
  h.told<protocol::OpenJob>(b);
  CHECK(h.given(b) == Numbers{20});
  h.answer(b, {result_of(assignment(2, 20), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{20});
  CHECK(h.given(a) == Numbers{11, 12});
}

TEST_CASE("a program that starts does not keep the others from working") {
  Harness h(2);
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 1000);
  h.assign({assignment(1, 2)});
  h.given(a);
  h.open(2, 2);
  h.assign(many(2, 20, 5));
  const TaskId b = h.started(2);
  h.assign({assignment(1, 3)});
  CHECK(h.given(a) == Numbers{3});
  h.ready(b, 2);
  h.told<protocol::OpenJob>(b);
  CHECK(h.given(b) == Numbers{20});
}

TEST_CASE("the task idle for longest gives way when too many are kept warm") {
  auto options = options_with(1);
  options.warm_tasks_max = 2;
  Harness h(options);
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 1000, 1);
  const TaskId b = start_one(h, 2, 2, 1000, 2);
  run_one(h, a, 1, 3, 1000, false);
  start_one(h, 3, 4, 1000, 3);
  h.open(4, 4);
  h.assign({assignment(4, 5)});
  const auto end = h.take<EndTask>();
  CHECK(end.task == b);
  CHECK_FALSE(end.kill);
  const TaskId d = h.started(4);
  h.ready(d, 4);
  h.told<protocol::OpenJob>(d);
  h.given(d);
  SECTION("and ends by itself") {
    h.feed(TaskExited{b, {}, 0, "exit status 0", "", 1});
  }
  SECTION("or is killed when it does not") {
    h.pass_alive(4999ms);
    h.none();
    h.pass(1ms);
    std::erase_if(h.commands, [](const Command& c) { return std::get_if<SendToBroker>(&c); });
    const auto killed = h.take<EndTask>();
    CHECK(killed.task == b);
    CHECK(killed.kill);
  }
}

TEST_CASE("result larger than its allowance waits for a grant") {
  Harness h;
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 1000);
  h.assign({assignment(1, 2, 1, 135), assignment(1, 3, 1, 136)});
  h.given(a);
  h.answer(a, {result_of(assignment(1, 2, 1, 135), 4000), result_of(assignment(1, 3), 1000)});
  const auto ready = h.sent<protocol::ResultReady>();
  CHECK(ready.attempt == protocol::AttemptId{2});
  CHECK(ready.bytes == 136);
  CHECK(ready.busy_ns == 4000);
  h.settle();
  CHECK(h.results_sent() == Numbers{3});
  CHECK_FALSE(h.agent.idle());
  h.broker(protocol::Grant{protocol::AttemptId{2}});
  h.settle();
  CHECK(h.results_sent() == Numbers{2});
  // It is kept until it is accepted: a GRANT asks for it again.
  h.broker(protocol::Grant{protocol::AttemptId{2}});
  h.settle();
  CHECK(h.results_sent() == Numbers{2});
  CHECK_FALSE(h.agent.idle());
  h.accept({1, 2, 3});
  CHECK(h.agent.idle());
  h.broker(protocol::Grant{protocol::AttemptId{2}});
  h.settle();
}

TEST_CASE("a grant that comes while the chunk runs lets its result go at once") {
  Harness h;
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 1000);
  h.assign({assignment(1, 2, 1, 0)});
  h.given(a);
  h.broker(protocol::Grant{protocol::AttemptId{2}});
  h.answer(a, {result_of(assignment(1, 2), 1000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{2});
}

TEST_CASE("grant overtakes the queue and the bound on held results") {
  auto options = options_with(1);
  options.held_result_bytes_max = 1000;
  Harness h(options);
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 50'000'000);
  h.assign({assignment(1, 2, 1, 0), assignment(1, 3, 1, 0), assignment(1, 4, 1, 0)});
  CHECK(h.given(a) == Numbers{2});
  h.answer(a, {result_of(assignment(1, 2), 50'000'000, 2000)});
  h.sent<protocol::ResultReady>();
  h.settle();
  h.none();  // 3 may not begin: too much is held.
  h.broker(protocol::Grant{protocol::AttemptId{4}});
  h.settle();
  CHECK(h.given(a) == Numbers{4});
  h.answer(a, {result_of(assignment(1, 4), 50'000'000, 2000)});
  h.settle();
  CHECK(h.results_sent() == Numbers{4});
  h.none();
  h.broker(protocol::Grant{protocol::AttemptId{2}});
  h.settle();
  CHECK(h.results_sent() == Numbers{2});
  CHECK(h.given(a) == Numbers{3});
}

TEST_CASE("a granted chunk is next, also before an older one of another program") {
  Harness h;
  h.in_session();
  const TaskId a = start_one(h, 1, 1, 50'000'000);
  const TaskId b = start_one(h, 2, 2, 50'000'000, 2);
  h.assign({assignment(1, 3)});
  h.given(a);
  h.assign({assignment(1, 4), assignment(2, 5), assignment(2, 6)});
  h.broker(protocol::Grant{protocol::AttemptId{6}});
  h.answer(a, {result_of(assignment(1, 3), 50'000'000)});
  h.settle();
  h.results_sent();
  CHECK(h.given(b) == Numbers{6});
}

TEST_CASE("program is fetched in parts once for many jobs, four parts ahead") {
  Harness h;
  const std::uint64_t kPart = protocol::kPartBytes;
  const std::uint64_t kTotal = 6 * kPart + 100;
  h.in_session();
  h.broker(open_job(1, 1));
  h.take<LoadProgram>();
  h.broker(open_job(2, 1));
  h.assign({assignment(1, 1), assignment(2, 2)});
  h.feed(ProgramAbsent{program_id(1)});
  CHECK(h.sent<protocol::NeedProgram>().offset == 0);
  h.broker(part_of(1, 0, kTotal));
  CHECK(h.take<StoreProgramPart>().part.offset == 0);
  for (std::uint64_t i = 1; i <= 4; ++i) {
    CHECK(h.sent<protocol::NeedProgram>().offset == i * kPart);
  }
  // Out of order, and twice: parts are stored in order, once.
  h.broker(part_of(1, 2 * kPart, kTotal));
  h.broker(part_of(1, 2 * kPart, kTotal));
  h.none();
  h.broker(part_of(1, kPart, kTotal));
  CHECK(h.take<StoreProgramPart>().part.offset == kPart);
  CHECK(h.take<StoreProgramPart>().part.offset == 2 * kPart);
  CHECK(h.sent<protocol::NeedProgram>().offset == 5 * kPart);
  CHECK(h.sent<protocol::NeedProgram>().offset == 6 * kPart);
  for (std::uint64_t i = 3; i <= 6; ++i) {
    h.broker(part_of(1, i * kPart, kTotal));
    CHECK(h.take<StoreProgramPart>().part.offset == i * kPart);
  }
  h.settle();
  h.none();
  h.feed(ProgramLoaded{program_id(1)});
  h.settle();
  h.started();
}

TEST_CASE("a part that does not come is asked for again after five seconds") {
  Harness h;
  h.in_session();
  h.broker(open_job(1, 1));
  h.take<LoadProgram>();
  h.feed(ProgramAbsent{program_id(1)});
  h.sent<protocol::NeedProgram>();
  h.pass_alive(4999ms);
  h.none();
  h.pass_alive(1ms);
  CHECK(h.sent<protocol::NeedProgram>().offset == 0);
  // The job is closed: nobody waits for the program.
  h.broker(protocol::CloseJob{job_id(1)});
  h.broker(part_of(1, 0, 50));
  h.pass_alive(20s);
}

TEST_CASE("a part that cannot belong to the program refuses it") {
  Harness h;
  h.in_session();
  h.broker(open_job(1, 1));
  h.take<LoadProgram>();
  h.feed(ProgramAbsent{program_id(1)});
  h.sent<protocol::NeedProgram>();
  auto part = part_of(1, 0, 50);
  SECTION("wrong size") {
    part.total_bytes = 60;
  }
  SECTION("empty") {
    part.total_bytes = 0;
  }
  SECTION("too large") {
    part.total_bytes = protocol::kMaxProgramBytes + 1;
  }
  h.broker(part);
  h.noted("could not be fetched");
  h.sent<protocol::ProgramRefused>();
}

TEST_CASE("a program that cannot run here is refused once, and again only on a new connection") {
  Harness h;
  h.in_session();
  h.broker(open_job(1, 1));
  h.take<LoadProgram>();
  h.assign({assignment(1, 1)});
  h.feed(ProgramUnusable{program_id(1), "It needs GLIBCXX_3.4.31, this machine has 3.4.30."});
  h.noted("GLIBCXX_3.4.31");
  CHECK(h.sent<protocol::ProgramRefused>().reason.find("3.4.30") != std::string::npos);
  CHECK(h.agent.idle());
  // Chunks that crossed the news are not run, and the broker hears it again.
  h.assign({assignment(1, 2), assignment(1, 3)});
  h.sent<protocol::ProgramRefused>();
  h.broker(protocol::CloseJob{job_id(1)});
  h.broker(open_job(2, 1));
  h.none();
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, ""});
  h.noted("no longer knows");
  h.welcome();
  h.sent<protocol::WorkerState>();
  CHECK(h.holding().empty());
  h.broker(open_job(3, 1));
  h.take<LoadProgram>();
}

TEST_CASE("chunks of a job that is not open here are returned, doubled ones dropped") {
  Harness h;
  h.in_session();
  h.assign({assignment(9, 1)});
  h.noted("not open here");
  CHECK(h.sent<protocol::Returned>().attempts == std::vector{protocol::AttemptId{1}});
  const TaskId a = start_one(h, 1, 2, 50'000'000);
  h.assign({assignment(1, 3), assignment(1, 3)});
  h.noted("already here");
  CHECK(h.given(a) == Numbers{3});
}

TEST_CASE("results that come in between settles leave in one message") {
  Harness h(2);
  h.in_session();
  h.open(1, 1);
  h.assign(many(1, 1, 2));
  const TaskId a = h.started();
  const TaskId b = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  h.given(a);
  h.ready(b);
  h.told<protocol::OpenJob>(b);
  h.given(b);
  h.answer(a, {result_of(assignment(1, 1), 1000)});
  h.answer(b, {result_of(assignment(1, 2), 1000)});
  h.none();
  h.settle();
  CHECK(h.results_sent() == Numbers{1, 2});
}
