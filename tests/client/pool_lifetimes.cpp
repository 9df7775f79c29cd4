// Who outlives whom: Pools, their ranges, and those who wait for them.
#include <sys/wait.h>
#include <unistd.h>

#include <achilles/pool.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "tests/client/pool_test_support.hpp"
#include "tests/support/catch.hpp"

using achilles::Pool;
using namespace pool_test;

namespace {

const auto next = [](int x) { return x + 1; };

/// Waits for what nobody will ever say, unless the test ends it.
const auto wait_for = [](const std::string& path, int x) {
  Signal::wait(path);
  return x;
};

}  // namespace

TEST_CASE("ranges and adaptors on temporary Pools") {
  int sum = 0;
  for (const int y : Pool::local(1).imap(next, std::vector{1, 2, 3})) sum += y;
  for (const int y : Pool::local(1).imap_unordered(next, std::vector{1, 2, 3})) sum += y;
  for (const auto& [index, y] : Pool::local(1).imap(next, std::vector{1, 2, 3}).indexed()) {
    sum += y + static_cast<int>(index);
  }
  for (const int y : Pool::local(1).with({.chunksize = 2}).imap(next, std::views::iota(0, 4)))
    sum += y;
  CHECK(sum == 9 + 9 + 9 + 3 + 10);
  CHECK(Pool{{.slots = 1}}.apply(next, 1) == 2);
}

TEST_CASE("a range outlives its Pool") {
  std::optional<Pool> pool = Pool::local(2);
  auto results = pool->imap(next, std::views::iota(0, 3000));
  auto at = results.begin();
  pool.reset();
  int expected = 1;
  for (; at != results.end(); ++at) {
    if (*at != expected++) FAIL("out of order: " << *at);
  }
  CHECK(expected == 3001);
}

TEST_CASE("a forked child leaves its parent's Pool alone") {
  constexpr std::size_t kSize = 200'000;
  std::optional<Pool> pool = Pool::local(2);
  const auto fill = [](int x) { return std::vector<int>(kSize, x); };
  std::optional results = pool->imap(fill, std::views::iota(0, 60), {.chunksize = 1});
  auto at = results->begin();
  const auto tasks = pool->task_pids();
  for (int x = 0; x < 60; ++x, ++at) {
    if (x == 10) {
      const pid_t child = ::fork();
      if (child == 0) {
        int refused = 0;
        try {
          pool->apply(next, 1);
        } catch (const achilles::Error&) {
          ++refused;
        }
        try {
          ++at;
        } catch (const achilles::Error&) {
          ++refused;
        }
        pool->close();
        pool.reset();
        results.reset();
        {
          const auto ended = std::move(at);
        }
        ::_exit(refused);
      }
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      CHECK(WIFEXITED(status));
      CHECK(WEXITSTATUS(status) == 2);
    }
    REQUIRE(*at == std::vector<int>(kSize, x));
  }
  CHECK(pool->task_pids() == tasks);
}

TEST_CASE("a Pool is moved while its range is read") {
  Pool first = Pool::local(1);
  auto results = first.imap(next, std::views::iota(0, 1000));
  auto at = results.begin();
  Pool second = std::move(first);
  CHECK(second.apply(next, 5) == 6);
  int count = 0;
  for (; at != results.end(); ++at) ++count;
  CHECK(count == 1000);
  second = Pool::local(1);
  CHECK(second.apply(next, 6) == 7);
}

TEST_CASE("a Pool that was moved from refuses calls, as a closed one does") {
  Pool first = Pool::local(1);
  const Pool second = std::move(first);
  CHECK_THROWS_AS(first.apply(next, 1), achilles::PoolClosed);
  CHECK_THROWS_AS(first.with({.chunksize = 1}).map(next, std::vector{1}), achilles::PoolClosed);
  CHECK(first.task_pids().empty());
  first.close();
  CHECK(second.apply(next, 1) == 2);
}

TEST_CASE("two Pools at once") {
  const Pool one = Pool::local(1);
  const Pool two = Pool::local(2);
  auto ones = one.imap(next, std::views::iota(0, 500));
  auto twos = two.imap([](int x) { return 2 * x; }, std::views::iota(0, 500));
  auto a = ones.begin();
  auto b = twos.begin();
  int index = 0;
  for (; a != ones.end() && b != twos.end(); ++a, ++b, ++index) {
    if (*a != index + 1 || *b != 2 * index) FAIL("wrong at " << index);
  }
  CHECK(index == 500);
}

TEST_CASE("many jobs one after another use the same task processes") {
  const Pool pool = Pool::local(2);
  for (int i = 0; i < 1000; ++i) {
    if (pool.apply(next, i) != i + 1) FAIL("wrong at " << i);
  }
  const auto pids = pool.task_pids();
  CHECK(pids.size() <= 2);
  for (int i = 0; i < 10; ++i) pool.map(next, std::views::iota(0, 50));
  for (const int pid : pids) CHECK(std::ranges::count(pool.task_pids(), pid) == 1);
}

TEST_CASE("a closed Pool refuses new calls, and is closed once more without harm") {
  Pool pool = Pool::local(1);
  CHECK(pool.apply(next, 1) == 2);
  pool.close();
  pool.close();
  CHECK_THROWS_AS(pool.apply(next, 1), achilles::PoolClosed);
  CHECK_THROWS_AS(pool.imap(next, std::vector{1}), achilles::PoolClosed);
  CHECK(pool.task_pids().empty());
}

TEST_CASE("close ends ranges, now and when they are looked at again") {
  Pool pool = Pool::local(1);
  auto results = pool.imap(next, std::views::iota(0));
  auto at = results.begin();
  auto untouched = pool.imap_unordered(next, std::views::iota(0));
  pool.close();
  CHECK_THROWS_AS(
      [&] {
        for (;;) ++at;
      }(),
      achilles::PoolClosed);
  CHECK_THROWS_AS(untouched.begin(), achilles::PoolClosed);
}

TEST_CASE("close ends threads that wait, and what they wait for") {
  const Folder folder;
  const Signal never(folder.file("never"));
  Pool pool = Pool::local(2);
  std::vector<std::thread> threads;
  std::atomic<int> closed = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      try {
        if (i % 2 == 0) {
          pool.apply(achilles::bind(wait_for, never.path()), i);
        } else {
          pool.map(achilles::bind(wait_for, never.path()), std::views::iota(0, 10));
        }
      } catch (const achilles::PoolClosed&) {
        ++closed;
      }
    });
  }
  CHECK(eventually([&] { return pool.task_pids().size() == 2; }));
  const auto tasks = watch(pool.task_pids());
  pool.close();
  for (auto& thread : threads) thread.join();
  CHECK(closed == 4);
  for (const auto& task : tasks) CHECK(task.has_ended());
}

TEST_CASE("the end of a Pool does not wait for what still runs") {
  const Folder folder;
  const Signal never(folder.file("never"));
  const Signal started(folder.file("started"));
  const auto work = [](const std::string& start, const std::string& end, int x) {
    Signal::raise(start);
    if (x > 0) Signal::wait(end);
    return x;
  };
  const auto began = std::chrono::steady_clock::now();
  std::vector<WatchedProcess> tasks;
  {
    const Pool pool = Pool::local(2);
    auto results = pool.imap(achilles::bind(work, started.path(), never.path()),
                             std::views::iota(0), {.chunksize = 1});
    CHECK(*results.begin() == 0);
    for (int i = 0; i < 2; ++i) CHECK(Signal::wait(started.path()));
    tasks = watch(pool.task_pids());
    CHECK_FALSE(tasks.empty());
  }
  CHECK(std::chrono::steady_clock::now() - began < kPatience);
  for (const auto& task : tasks) CHECK(task.has_ended());
}
