// Payloads that travel in parts: between other traffic, in order, and no longer than they are
// wanted.
#include <atomic>
#include <csignal>
#include <numeric>
#include <thread>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

constexpr std::size_t kMiB = 1 << 20;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kLarge = 16 * kMiB;
#else
constexpr std::size_t kLarge = 64 * kMiB;
#endif

std::string text_of(std::size_t size, int number) {
  std::string text(size, static_cast<char>('a' + number));
  text.back() = 'z';
  return text;
}

/// The same text with its ends exchanged: as quick as a copy, in any build.
std::string turned(std::string text) {
  std::swap(text.front(), text.back());
  return text;
}

}  // namespace

TEST_CASE("large items and results pass while another client's small jobs go on") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  std::atomic<bool> over = false;
  std::vector<std::size_t> wrong;
  std::exception_ptr failure;
  std::thread large([&] {
    try {
      const auto pool = achilles::Pool::connect(cluster.endpoint());
      const auto inputs =
          std::views::iota(0, 6) | std::views::transform([](int i) { return text_of(kLarge, i); });
      std::size_t number = 0;
      for (const auto& text : pool.imap(achilles::fn<&turned>, inputs)) {
        if (text != turned(text_of(kLarge, static_cast<int>(number)))) wrong.push_back(number);
        ++number;
      }
      if (number != 6) wrong.push_back(number);
    } catch (...) {
      failure = std::current_exception();
    }
    over = true;
  });
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  do {
    CHECK(pool.map([](int x) { return x * x; }, std::views::iota(0, 50)) == serial_squares(50));
  } while (!over);
  large.join();
  if (failure) std::rethrow_exception(failure);
  CHECK(wrong.empty());
  CHECK(cluster.status().rejected_messages == 0);
}

TEST_CASE("large and small items of one job, with large values bound to it") {
  Cluster cluster;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  const auto function = achilles::bind(
      [](const std::vector<std::uint64_t>& table, const std::string& text) {
        return text.substr(text.size() / 2) + std::to_string(table.at(text.size() % table.size()));
      },
      [] {
        std::vector<std::uint64_t> table(5 * kMiB);
        std::iota(table.begin(), table.end(), 7);
        return table;
      }());
  std::vector<std::string> inputs;
  for (int i = 0; i < 40; ++i) inputs.push_back(text_of(i % 7 == 3 ? 3 * kMiB : 10 + i, i % 20));
  std::size_t number = 0;
  for (const auto& result : pool.imap(function, inputs)) {
    const auto& text = inputs.at(number++);
    const auto expected = text.substr(text.size() / 2) + std::to_string(text.size() + 7);
    if (result != expected) FAIL("wrong at " << number - 1);
  }
  CHECK(number == inputs.size());
}

TEST_CASE("leaving a loop takes back what is half sent, in both directions") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  for (int round = 0; round < 5; ++round) {
    const auto inputs = std::views::iota(0, 100) |
                        std::views::transform([](int i) { return text_of(5 * kMiB, i % 20); });
    int seen = 0;
    for (const auto& text : pool.imap_unordered(achilles::fn<&turned>, inputs)) {
      CHECK(text.size() == 5 * kMiB);
      if (++seen == 3) break;
    }
    CHECK(pool.map([](int x) { return x * x; }, std::views::iota(0, 50)) == serial_squares(50));
  }
  CHECK(eventually([&] {
    const auto news = cluster.status();
    return news.jobs.empty() && news.workers.at(0).running_chunks == 0 &&
           news.workers.at(1).running_chunks == 0;
  }));
  CHECK(cluster.status().rejected_messages == 0);
}

TEST_CASE("a worker that drains hands its large results over before it leaves") {
  Cluster cluster({.workers = 1});
  const TemporaryFolder folder;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  std::string result;
  std::exception_ptr failure;
  std::thread caller([&] {
    try {
      result = pool.apply(
          [](const std::string& where) {
            touch(where + "/begun");
            wait_for_file(where + "/" + kGo);
            return text_of(kLarge, 3);
          },
          folder.path().string());
    } catch (...) {
      failure = std::current_exception();
    }
  });
  CHECK(eventually([&] { return std::filesystem::exists(folder / "begun"); }));
  cluster.worker(0).process().signal(SIGTERM);
  CHECK(eventually([&] { return cluster.status().workers.at(0).state == "draining"; }));
  let_go(folder);
  caller.join();
  if (failure) std::rethrow_exception(failure);
  CHECK((result == text_of(kLarge, 3)));
  CHECK(cluster.worker(0).process().wait() == kSucceeded);
}

TEST_CASE("a broker that is killed in the middle of large payloads gets them again") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  const auto inputs =
      std::views::iota(0, 12) | std::views::transform([](int i) { return text_of(kLarge / 4, i); });
  std::size_t number = 0;
  for (const auto& text : pool.imap(achilles::fn<&turned>, inputs)) {
    if (text != turned(text_of(kLarge / 4, static_cast<int>(number)))) FAIL("wrong at " << number);
    if (++number == 3) cluster.restart_broker();
  }
  CHECK(number == 12);
}
