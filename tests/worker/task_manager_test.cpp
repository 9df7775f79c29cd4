#include "worker/task_manager.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/worker/worker_test_support.hpp"

namespace {

using namespace achilles;
using worker::Event;
using worker::TaskId;
using worker::TaskManager;

struct World {
  worker::Descriptor program = worker::test::open_scripted_task(SCRIPTED_TASK);
  worker::TaskManagerOptions options;
  std::vector<Event> events;

  World() {
    options.worker_name = "n1";
    options.program_fd = [this](protocol::ProgramId) { return program.get(); };
  }

  void wait_for(TaskManager& tasks, const std::function<bool()>& seen) {
    worker::test::wait_until(tasks.ready_fd(), [&] {
      tasks.take_events(events);
      return seen();
    });
  }
  template <class Kind>
  std::vector<Kind> all() const {
    std::vector<Kind> found;
    for (const Event& event : events) {
      if (const auto* kind = std::get_if<Kind>(&event)) found.push_back(*kind);
    }
    return found;
  }
};

worker::SendToTask order(TaskId task, const std::string& line) {
  protocol::OpenJob open;
  open.label = line;
  return {task, open};
}

}  // namespace

TEST_CASE("task processes start, answer and end, each under its own name") {
  World world;
  TaskManager tasks(world.options);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    tasks.carry_out(worker::StartTask{TaskId{i}, {}});
    tasks.carry_out(order(TaskId{i}, "getenv ACHILLES_TASK_SLOT"));
  }
  tasks.flush();
  world.wait_for(tasks, [&] { return world.all<worker::TaskMessage>().size() == 6; });
  for (const auto& said : world.all<worker::TaskMessage>()) {
    if (const auto* answer = std::get_if<protocol::OpenJob>(&said.message)) {
      REQUIRE(answer->label == std::to_string(said.task.value - 1));
    }
  }
  REQUIRE(tasks.task_count() == 3);
  for (std::uint64_t i = 1; i <= 3; ++i) tasks.carry_out(worker::EndTask{TaskId{i}, i == 2});
  world.wait_for(tasks, [&] { return world.all<worker::TaskExited>().size() == 3; });
  for (const auto& exited : world.all<worker::TaskExited>()) {
    REQUIRE(exited.how == (exited.task.value == 2 ? "signal 9 (Killed)" : "exit status 0"));
  }
  REQUIRE(tasks.task_count() == 0);
}

TEST_CASE("the news of a task process's end comes after its last words") {
  World world;
  TaskManager tasks(world.options);
  for (std::uint64_t i = 1; i <= 4; ++i) {
    tasks.carry_out(worker::StartTask{TaskId{i}, {}});
    tasks.carry_out(order(TaskId{i}, "answer_and_exit 4"));
  }
  tasks.flush();
  world.wait_for(tasks, [&] { return world.all<worker::TaskExited>().size() == 4; });
  std::vector<int> said(5);
  for (const Event& event : world.events) {
    if (const auto* message = std::get_if<worker::TaskMessage>(&event)) {
      ++said[message->task.value];
    }
    if (const auto* exited = std::get_if<worker::TaskExited>(&event)) {
      REQUIRE(said[exited->task.value] == 101);
      REQUIRE(exited->how == "exit status 4");
    }
  }
}

TEST_CASE("hanging up waits for what is still unsent") {
  World world;
  TaskManager tasks(world.options);
  tasks.carry_out(worker::StartTask{TaskId{1}, {}});
  protocol::Assign work;
  protocol::Assignment assignment;
  assignment.chunk.items.layout = {1, 12 << 20, {}};
  assignment.chunk.items.payload = protocol::Bytes::own(std::vector<std::byte>(12 << 20));
  work.chunks.push_back(assignment);
  for (int i = 0; i < 3; ++i) tasks.carry_out(worker::SendToTask{TaskId{1}, work});
  tasks.flush();
  tasks.carry_out(worker::EndTask{TaskId{1}, false});
  world.wait_for(tasks, [&] { return world.all<worker::TaskExited>().size() == 1; });
  REQUIRE(world.all<worker::TaskMessage>().size() == 4);
  REQUIRE(world.all<worker::TaskExited>()[0].how == "exit status 0");
}

TEST_CASE("a task process that talks nonsense is ended, with the reason") {
  World world;
  TaskManager tasks(world.options);
  tasks.carry_out(worker::StartTask{TaskId{1}, {}});
  tasks.carry_out(order(TaskId{1}, "garbage"));
  tasks.flush();
  world.wait_for(tasks, [&] { return world.all<worker::TaskExited>().size() == 1; });
  REQUIRE(world.all<worker::TaskExited>()[0].how.find("achilles") != std::string::npos);
}

TEST_CASE("a program that is not there fails to start, once") {
  World world;
  world.options.program_fd = [](protocol::ProgramId) { return -1; };
  TaskManager tasks(world.options);
  tasks.carry_out(worker::StartTask{TaskId{1}, {}});
  REQUIRE(tasks.events_waiting());
  tasks.carry_out(order(TaskId{1}, "echo"));
  tasks.carry_out(worker::EndTask{TaskId{1}, true});
  tasks.flush();
  tasks.take_events(world.events);
  REQUIRE(world.all<worker::TaskFailedToStart>().size() == 1);
  REQUIRE(world.events.size() == 1);
  REQUIRE_FALSE(tasks.events_waiting());
}

TEST_CASE("each task process works in a folder of its own, handed back at its end") {
  World world;
  std::string pattern = (std::filesystem::temp_directory_path() / "achilles-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()));
  std::vector<std::string> discarded;
  world.options.make_folder = [&](TaskId task) {
    const std::string folder = pattern + "/" + std::to_string(task.value);
    std::filesystem::create_directory(folder);
    return folder;
  };
  world.options.discard_folder = [&](const std::string& folder) { discarded.push_back(folder); };
  {
    TaskManager tasks(world.options);
    tasks.carry_out(worker::StartTask{TaskId{7}, {}});
    tasks.carry_out(order(TaskId{7}, "touch file"));
    tasks.carry_out(worker::StartTask{TaskId{8}, {}});
    tasks.flush();
    world.wait_for(tasks, [&] { return world.all<worker::TaskMessage>().size() == 3; });
    REQUIRE(std::filesystem::exists(pattern + "/7/file"));
    tasks.carry_out(worker::EndTask{TaskId{7}, false});
    world.wait_for(tasks, [&] { return world.all<worker::TaskExited>().size() == 1; });
    REQUIRE(discarded == std::vector{pattern + "/7"});
  }
  REQUIRE(discarded.size() == 2);
  std::filesystem::remove_all(pattern);
}

TEST_CASE("a job that comes again is not skipped any more") {
  World world;
  TaskManager tasks(world.options);
  tasks.carry_out(worker::StartTask{TaskId{1}, {}});
  const protocol::JobId job{protocol::ClientId{1}, 9};
  tasks.carry_out(worker::SkipJobInTask{TaskId{1}, job});
  protocol::OpenJob again;
  again.job = job;
  again.label = "is_skipped";
  tasks.carry_out(worker::SendToTask{TaskId{1}, again});
  tasks.flush();
  world.wait_for(tasks, [&] { return world.all<worker::TaskMessage>().size() == 2; });
  REQUIRE(std::get<protocol::OpenJob>(world.all<worker::TaskMessage>()[1].message).label == "no");
}
