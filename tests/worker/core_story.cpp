// What the worker's core tells of what came before, when something happens that should not.
#include "tests/worker/core_harness.hpp"

using namespace achilles::worker;
using namespace achilles::worker::testing;
namespace protocol = achilles::protocol;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a confused task process is noted with what came before") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  h.given(a);
  h.now += 2500ms;
  h.task(a, protocol::Results{{result_of(assignment(1, 77), 1)}});
  CHECK(h.take<EndTask>().kill);
  const std::string noted = h.noted("sent a result that answers none of its chunks").text;
  INFO(noted);
  CHECK(has(noted, "(what came before: "));
  CHECK(has(noted, "2.5 s ago: task process 1 is ready, as pid 1000; "));
  CHECK(noted.ends_with("0.0 s ago: task process 1 is killed)"));
}

TEST_CASE("a program that is given up for no known reason is refused with what came before") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  for (int i = 0; i < 2; ++i) {
    h.feed(TaskExited{h.started(), {}, 0, "exit status 3", "", 1000});
    h.noted("Trying another one.");
    h.settle();
  }
  h.feed(TaskExited{h.started(), {}, 0, "exit status 3", "", 1000});
  h.noted("Refused program");
  const std::string reason = h.sent<protocol::ProgramRefused>().reason;
  INFO(reason);
  CHECK(has(reason, "to see. (what came before: "));
  CHECK(reason.ends_with("0.0 s ago: task process 3 ended: exit status 3)"));
  h.settle();
}

TEST_CASE("what the broker may not say is noted with what came before, and not the like of it") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.broker(protocol::Revoke{{{5}, {6}}});
  h.broker(protocol::CloseJob{job_id(1)});
  for (int i = 0; i < 2; ++i) {
    h.broker(protocol::StatusRequest{});
    const std::string noted = h.noted("a message that workers do not take").text;
    INFO(noted);
    CHECK(has(noted, "2 attempts were revoked; "));
    CHECK(has(noted, "job 00000000/1 was closed, with 0 attempts here"));
    // Stories within stories would never end.
    CHECK(noted.find("what came before") == noted.rfind("what came before"));
  }
}

TEST_CASE("chunks in normal flow do not lengthen the story") {
  Harness h;
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  h.given(a);
  for (std::uint64_t i = 1; i < 20; ++i) {
    h.answer(a, {result_of(assignment(1, i), 1000)});
    h.settle();
    h.results_sent();
    h.accept({i});
    h.assign({assignment(1, i + 1)});
    h.given(a);
  }
  h.broker(protocol::StatusRequest{});
  CHECK(has(h.take<Note>().text, "task process 1 is ready"));
}
