// No task process outlives its Pool, however that ends.
#include <spawn.h>
#include <sys/wait.h>

#include <achilles/pool.hpp>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <ranges>
#include <string>
#include <vector>

#include "tests/client/pool_test_support.hpp"
#include "tests/support/catch.hpp"

using achilles::Pool;
using namespace pool_test;

namespace {

constexpr const char* kChildFolder = "POOL_TEST_CHILD_FOLDER";
constexpr const char* kChildTest = "a process that keeps its tasks busy until it is killed";

const auto next = [](int x) { return x + 1; };

/// This test program once more, as another process.
pid_t start_child(const Folder& folder) {
  setenv(kChildFolder, folder.file("").c_str(), 1);
  std::string name = "pool_errors_test";
  std::string test = kChildTest;
  char* arguments[] = {name.data(), test.data(), nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments, environ);
  unsetenv(kChildFolder);
  return error == 0 ? pid : -1;
}

}  // namespace

TEST_CASE("no task process is left after the Pool's end") {
  std::vector<int> pids;
  std::vector<WatchedProcess> tasks;
  {
    const Pool pool = Pool::local(3);
    for (int i = 0; pool.task_pids().size() < 3 && i < 100; ++i)
      pool.map(next, std::views::iota(0, 100));
    pids = pool.task_pids();
    tasks = watch(pids);
    CHECK_FALSE(pids.empty());
    for (const auto& task : tasks) CHECK_FALSE(task.has_ended());
  }
  for (const auto& task : tasks) CHECK(task.has_ended());
  for (const int pid : pids) CHECK(kill(pid, 0) == -1);  // Reaped, too.
}

TEST_CASE("a Pool that did nothing starts nothing") {
  const Pool pool = Pool::local(2);
  CHECK(pool.task_pids().empty());
  CHECK(pool.map(next, std::vector<int>{}).empty());
}

TEST_CASE("what a task started in its process group ends with the Pool") {
  const Folder folder;
  std::vector<WatchedProcess> processes;
  {
    const Pool pool = Pool::local(1);
    const int pid = pool.apply([] {
      const pid_t child = fork();
      if (child == 0) {
        for (;;) pause();
      }
      return child;
    });
    processes.emplace_back(pid);
    CHECK_FALSE(processes.front().has_ended());
  }
  CHECK(processes.front().ends());
}

// Hidden: run by the test below.
TEST_CASE("a process that keeps its tasks busy until it is killed", "[.]") {
  const char* folder = std::getenv(kChildFolder);
  REQUIRE(folder != nullptr);
  const Pool pool = Pool::local(2);
  const std::string started = std::string(folder) + "started";
  const auto work = [](const std::string& path, int x) {
    Signal::raise(path);
    if (x == 0) {
      for (;;) pause();
    }
    for (std::atomic<int> busy = 0;; ++busy) {
    }
  };
  std::thread writer([&] {
    Signal::wait(started);
    Signal::wait(started);
    std::ofstream file(std::string(folder) + "pids");
    for (const int pid : pool.task_pids()) file << pid << '\n';
    file.close();
    Signal::raise(std::string(folder) + "written");
  });
  pool.map(achilles::bind(work, started), std::views::iota(0, 2), {.chunksize = 1});
  writer.join();
}

TEST_CASE("no task process is left when the program is killed with -9") {
  const Folder folder;
  const Signal started(folder.file("started"));
  const Signal written(folder.file("written"));
  const pid_t child = start_child(folder);
  REQUIRE(child > 0);
  REQUIRE(Signal::wait(written.path()));
  std::vector<int> pids;
  std::ifstream file(folder.file("pids"));
  for (int pid = 0; file >> pid;) pids.push_back(pid);
  CHECK(pids.size() == 2);
  const auto tasks = watch(pids);
  for (const auto& task : tasks) CHECK_FALSE(task.has_ended());
  CHECK(kill(child, SIGKILL) == 0);
  CHECK(waitpid(child, nullptr, 0) == child);
  for (const auto& task : tasks) CHECK(task.ends());
}
