// Several threads on one Pool.
#include <sys/resource.h>

#include <achilles/pool.hpp>
#include <atomic>
#include <chrono>
#include <numeric>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "tests/client/pool_test_support.hpp"
#include "tests/support/catch.hpp"

using namespace pool_test;

namespace {

template <class Body>
void in_threads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (auto& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("threads share a Pool, each with jobs of its own") {
  const auto pool = achilles::Pool::local(2);
  std::atomic<int> wrong = 0;
  in_threads(6, [&](int thread) {
    for (int round = 0; round < 15; ++round) {
      const auto add = [thread](int x) { return x + thread; };
      if (round % 3 == 0) {
        const auto results = pool.map(add, std::views::iota(0, 200));
        for (int i = 0; i < 200; ++i) wrong += results[static_cast<std::size_t>(i)] != i + thread;
      } else if (round % 3 == 1) {
        int expected = thread;
        for (const int y : pool.imap(add, std::views::iota(0, 200))) wrong += y != expected++;
        wrong += expected != 200 + thread;
      } else {
        int sum = 0;
        for (const int y : pool.imap_unordered(add, std::views::iota(0, 200))) sum += y;
        wrong += sum != 19900 + 200 * thread;
      }
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("many threads make single calls") {
  const auto pool = achilles::Pool::local(2);
  std::atomic<int> wrong = 0;
  in_threads(8, [&](int thread) {
    for (int i = 0; i < 100; ++i) {
      const auto text = pool.apply(
          [](int a, int b) { return std::to_string(a) + "/" + std::to_string(b); }, thread, i);
      wrong += text != std::to_string(thread) + "/" + std::to_string(i);
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("a thread with a long task does not hold up another's short ones") {
  const Folder folder;
  const Signal release(folder.file("release"));
  const auto pool = achilles::Pool::local(2);
  std::thread patient(
      [&] { pool.apply([](const std::string& path) { Signal::wait(path); }, release.path()); });
  for (int i = 0; i < 100; ++i) {
    if (pool.apply([](int x) { return x; }, i) != i) FAIL("wrong at " << i);
  }
  Signal::raise(release.path());
  patient.join();
}

TEST_CASE("nobody polls while a user waits for a long task, or is away from a loop") {
  // Nothing is waited for: what is counted is what happens in this time. Whoever looks every few
  // milliseconds gives up the processor a hundred times.
  constexpr auto kTime = std::chrono::milliseconds(500);
  constexpr int kFew = 40;
  const auto times_waited = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
  };
  const auto pool = achilles::Pool::local(1);
  pool.apply([](int x) { return x; }, 1);
  auto before = times_waited();
  pool.apply([](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); },
             static_cast<int>(kTime.count()));
  CHECK(times_waited() - before < kFew);

  auto endless = pool.imap([](int x) { return x; }, std::views::iota(0));
  auto at = endless.begin();
  pool.apply([](int x) { return x; }, 1);  // Behind all that was begun.
  before = times_waited();
  std::this_thread::sleep_for(kTime);
  CHECK(times_waited() - before < kFew);
  CHECK(*at == 0);
}

TEST_CASE("a range is handed from one thread to another") {
  const auto pool = achilles::Pool::local(1);
  auto results = pool.imap([](int x) { return x; }, std::views::iota(0, 1000));
  auto at = results.begin();
  int count = 0;
  for (int thread = 0; thread < 4; ++thread) {
    std::thread([&] {
      for (int i = 0; i < 250; ++i, ++at) count += *at == count ? 1 : 0;
    }).join();
  }
  CHECK(count == 1000);
  CHECK(at == results.end());
}
