// Task processes that die: their job goes on, and each result comes exactly once.
#include <unistd.h>

#include <achilles/pool.hpp>
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "tests/client/pool_test_support.hpp"
#include "tests/support/catch.hpp"

using achilles::Pool;
using achilles::TaskCrashed;
using namespace pool_test;

namespace {

enum class Death { kAbort, kKill, kExit };

void die(Death death) {
  switch (death) {
    case Death::kAbort:
      std::signal(SIGABRT, SIG_DFL);
      std::abort();
    case Death::kKill:
      std::raise(SIGKILL);
      break;
    case Death::kExit:
      std::exit(3);
  }
}
std::string ending_of(Death death) {
  switch (death) {
    case Death::kAbort:
      return "signal 6 (Aborted)";
    case Death::kKill:
      return "signal 9 (Killed)";
    case Death::kExit:
      return "exit status 3";
  }
  return "";
}

constexpr int kItems = 200;
constexpr int kDeadly = 37;

/// Reads a range in which just the deadly item must fail, once; counts the others.
template <class Range>
void check_crash(Range results, Death death, std::uint32_t attempts) {
  std::vector<int> times(kItems);
  int crashes = 0;
  for (auto at = results.begin(); at != results.end(); ++at) {
    try {
      const int value = *at;
      CHECK(static_cast<std::uint64_t>(value) == at.index());
      ++times.at(static_cast<std::size_t>(value));
    } catch (const TaskCrashed& crash) {
      ++crashes;
      CHECK(crash.kind() == achilles::RemoteError::Kind::kTaskCrashed);
      CHECK(crash.index() == kDeadly);
      CHECK(crash.attempts() == attempts);
      CHECK(crash.ending() == ending_of(death));
      CHECK(crash.worker() == "embedded");
      CHECK(crash.pid() != 0);
      CHECK(std::string(crash.what()).find(ending_of(death)) != std::string::npos);
    }
  }
  CHECK(crashes == 1);
  for (int i = 0; i < kItems; ++i) {
    if (times[static_cast<std::size_t>(i)] != (i == kDeadly ? 0 : 1)) FAIL("item " << i);
  }
}

}  // namespace

TEST_CASE("an item on which the task process dies fails alone") {
  const auto death = GENERATE(Death::kAbort, Death::kKill, Death::kExit);
  const Pool pool = Pool::local(2);
  const auto work = [death](int x) {
    if (x == kDeadly) die(death);
    return x;
  };
  const auto inputs = std::views::iota(0, kItems);
  check_crash(pool.imap(work, inputs), death, 3);
  check_crash(pool.imap_unordered(work, inputs), death, 3);
  check_crash(pool.imap(work, inputs, {.chunksize = 50}), death, 3);
  check_crash(pool.imap(work, inputs, {.chunksize = 64, .crash_limit = 1}), death, 1);
  CHECK_THROWS_AS(pool.map(work, inputs), TaskCrashed);
  CHECK_THROWS_AS(pool.with({.crash_limit = 1}).apply(work, kDeadly), TaskCrashed);
  CHECK(pool.apply(work, 5) == 5);
}

TEST_CASE("an item that ruins its process, and returns, fails alone") {
  // The results that it takes along must not pass for those of a program that cannot run.
  const auto cut_off = [](int x) {
    if (x == kDeadly) close_range(3, ~0U, 0);
    return x;
  };
  const auto pool = Pool::local(2);
  for (int i = 0; i < 3; ++i) {
    int crashes = 0;
    auto results = pool.imap(cut_off, std::views::iota(0, 2 * kDeadly), {.chunksize = 1});
    for (auto at = results.begin(); at != results.end(); ++at) {
      try {
        if (*at != static_cast<int>(at.index())) FAIL("wrong at " << at.index());
      } catch (const TaskCrashed& crash) {
        CHECK(crash.index() == kDeadly);
        CHECK(crash.attempts() == 3);
        ++crashes;
      }
    }
    CHECK(crashes == 1);
  }
}

TEST_CASE("an item that kills its task process once is worked on again") {
  const Folder folder;
  const std::string tried = folder.file("tried");
  const auto work = [](const std::string& marker, int x) {
    if (x == kDeadly && count_of(marker) < 2) {
      count_one(marker);
      die(Death::kKill);
    }
    return x;
  };
  const Pool pool = Pool::local(2);
  int expected = 0;
  for (const int x :
       pool.imap(achilles::bind(work, tried), std::views::iota(0, kItems), {.chunksize = 25})) {
    CHECK(x == expected++);
  }
  CHECK(expected == kItems);
  CHECK(count_of(tried) == 2);
}

TEST_CASE("when every item kills its task process, every item fails") {
  const Pool pool = Pool::local(2);
  const auto work = [](int) { die(Death::kExit); };
  auto results = pool.imap(work, std::views::iota(0, 15), {.crash_limit = 2});
  std::uint64_t index = 0;
  for (auto at = results.begin(); at != results.end(); ++at) {
    try {
      static_cast<void>(*at);
      FAIL("item " << index << " did not fail");
    } catch (const TaskCrashed& crash) {
      CHECK(crash.index() == index++);
      CHECK(crash.attempts() == 2);
    }
  }
  CHECK(index == 15);
  CHECK(pool.apply([](int x) { return x; }, 1) == 1);
}

TEST_CASE("kill -9 of task processes in the middle of a job changes nothing in its results") {
  const Pool pool = Pool::local(2);
  constexpr int kMany = 20'000;
  const auto work = [](int x) { return std::pair(-x, getpid()); };
  std::vector<int> times(kMany);
  int count = 0;
  int kills = 0;
  bool kill_next = false;
  for (const auto& [index, result] :
       pool.imap_unordered(work, std::views::iota(0, kMany), {.chunksize = 20}).indexed()) {
    CHECK(result.first == -static_cast<int>(index));
    ++times.at(index);
    if (++count % 4000 == 100) kill_next = true;
    // Only one that has worked: three that die before they ever did are taken for a broken program.
    const auto pids = kill_next ? pool.task_pids() : std::vector<int>{};
    if (std::ranges::count(pids, result.second) == 0) continue;
    kills += kill(result.second, SIGKILL) == 0 ? 1 : 0;
    kill_next = false;
  }
  CHECK(kills >= 1);
  CHECK(count == kMany);
  CHECK(std::ranges::count(times, 1) == kMany);
}

TEST_CASE("kill -9 of the task process that one waits for: its item is worked on elsewhere") {
  const Folder folder;
  const Signal started(folder.file("started"));
  const std::string begun = folder.file("begun");
  const auto work = [](const std::string& start, const std::string& count, int x) {
    count_one(count);
    if (count_of(count) > 1) return x;
    Signal::raise(start);
    for (;;) pause();
  };
  const Pool pool = Pool::local(1);
  std::thread killer([&] {
    if (!Signal::wait(started.path())) return;
    for (const int pid : pool.task_pids()) kill(pid, SIGKILL);
  });
  CHECK(pool.apply(achilles::bind(work, started.path(), begun), 5) == 5);
  killer.join();
  CHECK(count_of(begun) == 2);
}

TEST_CASE("idle task processes that were killed are replaced") {
  const Pool pool = Pool::local(2);
  const auto next = [](int x) { return x + 1; };
  for (int round = 0; round < 8; ++round) {
    CHECK(pool.map(next, std::views::iota(0, 20)).size() == 20);
    const auto pids = pool.task_pids();
    const auto tasks = watch(pids);
    for (const int pid : pids) kill(pid, SIGKILL);
    for (const auto& task : tasks) CHECK(task.ends());
  }
  CHECK(pool.apply(next, 1) == 2);
}
