#include "worker/task_process.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/worker/worker_test_support.hpp"
#include "worker/task_environment.hpp"

namespace {

using namespace achilles;
using protocol::Message;
using worker::Descriptor;
using worker::TaskProcess;
using worker::test::wait_until;

worker::TaskOptions options_for(const Descriptor& program) {
  worker::TaskOptions options;
  options.task = worker::TaskId{3};
  options.program.hash[0] = 0xAB;
  options.program_fd = program.get();
  options.worker_name = "n1";
  options.slot = 2;
  return options;
}

Message order(const std::string& line) {
  protocol::OpenJob open;
  open.job = {protocol::ClientId{1}, 9};
  open.label = line;
  return open;
}

std::vector<Message> receive(TaskProcess& process, std::size_t count) {
  std::vector<Message> received;
  wait_until(process.socket_fd(), [&] {
    if (received.size() < count) {
      REQUIRE(process.receive([&](Message message) { received.push_back(std::move(message)); }));
    }
    return received.size() >= count;
  });
  return received;
}

std::string ask(TaskProcess& process, const std::string& line) {
  process.send(order(line));
  REQUIRE(process.flush());
  return std::get<protocol::OpenJob>(receive(process, 1).at(0)).label;
}

worker::TaskExited wait_for_end(TaskProcess& process) {
  std::optional<worker::TaskExited> exited;
  wait_until(process.pid_fd(), [&] { return (exited = process.try_reap()).has_value(); });
  return *exited;
}

}  // namespace

TEST_CASE("a task process says it is ready, answers, and ends when it is hung up on") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  TaskProcess process(options_for(program));
  const auto ready = std::get<protocol::TaskReady>(receive(process, 1).at(0));
  REQUIRE(ready.pid == static_cast<std::uint32_t>(process.pid()));
  REQUIRE(ask(process, "echo hello") == "echo hello");
  REQUIRE(ask(process, "getenv ACHILLES_TASK_PROCESS") == "1");
  REQUIRE(ask(process, "getenv ACHILLES_TASK_SLOT") == "2");
  REQUIRE(ask(process, "getenv ACHILLES_TASK_WORKER") == "n1");
  REQUIRE(ask(process, "getenv ACHILLES_TASK_PROGRAM").substr(0, 4) == "ab00");
  process.hang_up();
  const auto exited = wait_for_end(process);
  REQUIRE(exited.how == "exit status 0");
  REQUIRE(exited.task == worker::TaskId{3});
  REQUIRE_FALSE(exited.running_attempt);
  REQUIRE_FALSE(process.try_reap());
}

TEST_CASE("a task process holds stdin, stdout, stderr and its three descriptors, nothing else") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  const Descriptor leaky(::dup(program.get()));  // Without CLOEXEC.
  TaskProcess process(options_for(program));
  receive(process, 1);
  REQUIRE(ask(process, "fd 0") == "/dev/null");
  REQUIRE(ask(process, "fd 3").starts_with("socket:"));
  REQUIRE(ask(process, "fd 4") == SCRIPTED_TASK);
  REQUIRE(ask(process, "fd 5").starts_with("/memfd:achilles-task"));
  for (int fd = 6; fd < 40; ++fd) REQUIRE(ask(process, "fd " + std::to_string(fd)) == "none");
}

TEST_CASE("descriptors that already lie at 3, 4 and 5 do not get in each other's way") {
  // In a child, so that this process keeps its own descriptors.
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  const pid_t child = ::fork();
  if (child == 0) {
    const int high = ::fcntl(program.get(), F_DUPFD_CLOEXEC, 200);
    for (int fd = 3; fd < 200; ++fd) ::close(fd);
    const int low = ::fcntl(high, F_DUPFD_CLOEXEC, 3);
    auto options = options_for(program);
    options.program_fd = low;  // 3; the socket and the page take 4, 5 and 6.
    TaskProcess process(std::move(options));
    bool ready = false;
    while (!ready && process.receive([&](Message) { ready = true; })) {
    }
    ::_exit(low == 3 && ready ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

TEST_CASE("how a task process ended, and on which item, is known") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  SECTION("an exit status") {
    TaskProcess process(options_for(program));
    process.send(order("exit 3"));
    process.flush();
    REQUIRE(wait_for_end(process).how == "exit status 3");
  }
  SECTION("a crash") {
    TaskProcess process(options_for(program));
    process.send(order("raise 11"));
    process.flush();
    const auto exited = wait_for_end(process);
    REQUIRE(exited.how == "signal 11 (Segmentation fault)");
    REQUIRE(exited.running_attempt == protocol::AttemptId{5});
    REQUIRE(exited.running_item == 17);
    REQUIRE(exited.pid == static_cast<std::uint32_t>(process.pid()));
  }
  SECTION("killed") {
    TaskProcess process(options_for(program));
    process.kill();
    REQUIRE(wait_for_end(process).how == "signal 9 (Killed)");
  }
  SECTION("someone else took its status") {
    TaskProcess process(options_for(program));
    process.send(order("exit 3"));
    process.flush();
    REQUIRE(::waitpid(process.pid(), nullptr, 0) == process.pid());
    REQUIRE(wait_for_end(process).how.find("taken by someone else") != std::string::npos);
  }
}

TEST_CASE("what is written to stderr is kept, its last 4 KiB") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  auto options = options_for(program);
  options.keep_stderr = true;
  TaskProcess process(std::move(options));
  process.send(order("stderr first words"));
  process.send(order("stderr " + std::string(5000, '.')));
  process.send(order("stderr last words"));
  process.hang_up();
  // Passed on to our own stderr: not into the test's output.
  const Descriptor kept(::dup(STDERR_FILENO));
  const Descriptor nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  ::dup2(nowhere.get(), STDERR_FILENO);
  const auto exited = wait_for_end(process);
  ::dup2(kept.get(), STDERR_FILENO);
  REQUIRE(exited.stderr_tail.size() == 4096);
  REQUIRE(exited.stderr_tail.ends_with(".\nlast words\n"));
  REQUIRE(exited.stderr_tail.find("first") == std::string::npos);
}

TEST_CASE("bytes that are no message end the conversation with a reason") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  TaskProcess process(options_for(program));
  receive(process, 1);
  process.send(order("garbage"));
  process.flush();
  bool open = true;
  wait_until(process.socket_fd(), [&] {
    open = open && process.receive([](Message) {});
    return !open;
  });
  REQUIRE_FALSE(process.failure().empty());
  process.kill();
  const auto exited = wait_for_end(process);
  REQUIRE(exited.how.find(process.failure()) == 0);
  REQUIRE(exited.how.ends_with("signal 9 (Killed)"));
}

TEST_CASE("a job is skipped through the shared page") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  TaskProcess process(options_for(program));
  receive(process, 1);
  process.send(order("wait_for_skip"));
  process.flush();
  process.skip_job({protocol::ClientId{1}, 8});
  process.skip_job({protocol::ClientId{1}, 9});
  REQUIRE(std::get<protocol::OpenJob>(receive(process, 1).at(0)).label == "skipped");
}

TEST_CASE("what a task process started ends with it") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  TaskProcess process(options_for(program));
  receive(process, 1);
  const pid_t grandchild = std::stoi(ask(process, "fork"));
  const Descriptor watched(static_cast<int>(::syscall(SYS_pidfd_open, grandchild, 0)));
  REQUIRE(watched);
  process.send(order("exit 0"));
  process.flush();
  REQUIRE(wait_for_end(process).how == "exit status 0");
  pollfd gone{watched.get(), POLLIN, 0};
  REQUIRE(::poll(&gone, 1, 30000) == 1);
}

TEST_CASE("destroying a running task process leaves nothing behind") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  pid_t pid = 0;
  {
    TaskProcess process(options_for(program));
    pid = process.pid();
  }
  REQUIRE(::kill(pid, 0) == -1);
  REQUIRE(errno == ESRCH);
}

TEST_CASE("what cannot be executed is refused with a sentence") {
  const Descriptor nothing(::memfd_create("nothing", MFD_CLOEXEC));
  REQUIRE(::write(nothing.get(), "no program", 10) == 10);
  auto options = options_for(nothing);
  options.program_name = "nothing";
  REQUIRE_THROWS_WITH(TaskProcess(options),
                      Catch::Contains("nothing") && Catch::Contains("not an executable for this"));
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  auto nowhere = options_for(program);
  nowhere.working_folder = "/nonexistent/folder";
  REQUIRE_THROWS_WITH(TaskProcess(nowhere), Catch::Contains("/nonexistent/folder"));
}

TEST_CASE("a task process works in the folder it is given") {
  const auto program = worker::test::open_scripted_task(SCRIPTED_TASK);
  auto options = options_for(program);
  options.working_folder = "/proc";
  TaskProcess process(std::move(options));
  receive(process, 1);
  REQUIRE(ask(process, "folder") == "/proc");
}

TEST_CASE("only what every program needs passes from a worker's environment") {
  const std::vector<std::string_view> own = {"PATH=/bin",
                                             "LC_ALL=C",
                                             "ACHILLES_BROKER=tcp://b:5555",
                                             "ACHILLES_ACCESS=/secret",
                                             "ACHILLES_TASK_SLOT=99",
                                             "AWS_SECRET=x",
                                             "MKL_NUM_THREADS=4"};
  worker::TaskOptions options;
  options.slot = 1;
  const auto has = [](const std::vector<std::string>& all, const std::string& entry) {
    return std::ranges::count(all, entry);
  };
  const auto allowed = worker::task_environment(own, options);
  REQUIRE(has(allowed, "PATH=/bin") == 1);
  REQUIRE(has(allowed, "LC_ALL=C") == 1);
  REQUIRE(has(allowed, "ACHILLES_BROKER=tcp://b:5555") == 0);
  REQUIRE(has(allowed, "ACHILLES_ACCESS=/secret") == 0);
  REQUIRE(has(allowed, "AWS_SECRET=x") == 0);
  REQUIRE(has(allowed, "ACHILLES_TASK_SLOT=99") == 0);
  REQUIRE(has(allowed, "ACHILLES_TASK_SLOT=1") == 1);
  REQUIRE(has(allowed, "MKL_NUM_THREADS=4") == 1);
  REQUIRE(has(allowed, "MKL_NUM_THREADS=1") == 0);
  REQUIRE(has(allowed, "OMP_NUM_THREADS=1") == 1);
  options.inherit_environment = true;
  const auto inherited = worker::task_environment(own, options);
  REQUIRE(has(inherited, "AWS_SECRET=x") == 1);
  REQUIRE(has(inherited, "ACHILLES_TASK_SLOT=99") == 0);
}
