// The ranges of results: order, indices, errors on the way, leaving early.
#include <achilles/pool.hpp>
#include <algorithm>
#include <numeric>
#include <ranges>
#include <set>
#include <string>
#include <vector>

#include "tests/client/pool_test_support.hpp"
#include "tests/support/catch.hpp"

using namespace pool_test;

namespace {

achilles::Pool& pool() {
  static achilles::Pool the_pool = achilles::Pool::local(2);
  return the_pool;
}
const auto next = [](int x) { return x + 1; };
const auto fail_on_thirds = [](int x) {
  if (x % 3 == 0) throw std::invalid_argument("third " + std::to_string(x));
  return x;
};

}  // namespace

TEST_CASE("imap is in order, imap_unordered is complete") {
  int expected = 1;
  for (const int y : pool().imap(next, std::views::iota(0, 5000))) {
    if (y != expected++) FAIL("out of order: " << y);
  }
  CHECK(expected == 5001);
  std::vector<bool> seen(5000);
  for (const int y : pool().imap_unordered(next, std::views::iota(0, 5000))) {
    if (seen.at(static_cast<std::size_t>(y - 1))) FAIL("twice: " << y);
    seen[static_cast<std::size_t>(y - 1)] = true;
  }
  CHECK(std::ranges::count(seen, true) == 5000);
}

TEST_CASE("imap_unordered hands over what is ready before what takes long") {
  const Folder folder;
  const Signal release(folder.file("release"));
  const auto wait_at_0 = [](const std::string& path, int x) {
    return x == 0 && !Signal::wait(path) ? -1 : x;
  };
  std::vector<int> order;
  for (const int x : pool().imap_unordered(achilles::bind(wait_at_0, release.path()),
                                           std::views::iota(0, 10), {.chunksize = 1})) {
    order.push_back(x);
    if (order.size() == 5) Signal::raise(release.path());
  }
  REQUIRE(order.size() == 10);
  CHECK(std::ranges::find(order, 0) >= order.begin() + 5);
  std::ranges::sort(order);
  CHECK(order == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("results are not held back by the item behind them, however long that takes") {
  const Folder folder;
  const Signal release(folder.file("release"));
  const auto wait_at_20 = [](const std::string& path, int x) {
    return x == 20 && !Signal::wait(path) ? -1 : x;
  };
  // One slot: the last item is released only when the results before it have arrived.
  const auto lone = achilles::Pool::local(1);
  int expected = 0;
  for (const int x : lone.imap(achilles::bind(wait_at_20, release.path()), std::views::iota(0, 21),
                               {.chunksize = 1})) {
    CHECK(x == expected++);
    if (x == 19) Signal::raise(release.path());
  }
  CHECK(expected == 21);
}

TEST_CASE("short items are not held up behind one that hangs while a slot is free") {
  const Folder folder;
  const Signal release(folder.file("release"));
  const auto wait_at_2000 = [](const std::string& path, int x) {
    return x == 2000 && !Signal::wait(path) ? -1 : x;
  };
  // By then many are given to a task process at a time.
  std::vector<int> results;
  for (const int x : pool().imap_unordered(achilles::bind(wait_at_2000, release.path()),
                                           std::views::iota(0, 4000), {.chunksize = 1})) {
    results.push_back(x);
    if (results.size() == 3999) Signal::raise(release.path());
  }
  REQUIRE(results.size() == 4000);
  CHECK(results.back() == 2000);
}

TEST_CASE("indexed tells each result's place in the input") {
  const auto negative = [](int x) { return -x; };
  std::set<std::uint64_t> indices;
  for (const auto& [index, value] :
       pool().imap_unordered(negative, std::views::iota(0, 1000)).indexed()) {
    CHECK(value == -static_cast<int>(index));
    indices.insert(index);
  }
  CHECK(indices.size() == 1000);
  std::uint64_t expected = 0;
  for (const auto& [index, value] : pool().imap(negative, std::views::iota(0, 10)).indexed()) {
    CHECK(index == expected++);
  }
}

TEST_CASE("imap goes on after an error, with all other results in their places") {
  auto results = pool().imap(fail_on_thirds, std::views::iota(0, 200));
  int index = 0;
  for (auto at = results.begin(); at != results.end(); ++at, ++index) {
    CHECK(at.index() == static_cast<std::uint64_t>(index));
    if (index % 3 != 0) {
      CHECK(*at == index);
      continue;
    }
    try {
      static_cast<void>(*at);
      FAIL("item " << index << " did not fail");
    } catch (const achilles::RemoteError& error) {
      CHECK(error.index() == static_cast<std::uint64_t>(index));
      CHECK(error.message() == "third " + std::to_string(index));
    }
    CHECK_THROWS_AS(*at, achilles::RemoteError);  // It stays so while one looks.
  }
  CHECK(index == 200);
}

TEST_CASE("imap_unordered goes on after an error, too") {
  auto results = pool().imap_unordered(fail_on_thirds, std::views::iota(0, 200));
  std::set<std::uint64_t> failed;
  std::set<int> succeeded;
  for (auto at = results.begin(); at != results.end(); ++at) {
    try {
      succeeded.insert(*at);
    } catch (const achilles::RemoteError& error) {
      failed.insert(error.index());
    }
  }
  CHECK(failed.size() == 67);
  CHECK(succeeded.size() == 133);
}

TEST_CASE("map throws the error of the lowest index, and cancels the rest") {
  const Folder folder;
  const Signal five_failed(folder.file("five_failed"));
  const Signal release(folder.file("release"));
  const std::string begun = folder.file("begun");
  // Item 5 fails at once, item 2 only when 5 has: yet 2 is what map throws. All later items wait.
  // The others take long enough for each item to be handed out alone: 5 must not queue behind 2.
  const auto work = [](const std::string& failed, const std::string& wait, const std::string& count,
                       int x) {
    count_one(count);
    if (x == 5) {
      Signal::raise(failed);
      throw std::runtime_error("five");
    }
    if (x == 2) throw std::runtime_error(Signal::wait(failed) ? "two" : "five did not fail");
    if (x > 5) Signal::wait(wait);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  };
  try {
    pool().map(achilles::bind(work, five_failed.path(), release.path(), begun), std::views::iota(0),
               {.chunksize = 1});
    FAIL("map did not throw");
  } catch (const achilles::RemoteError& error) {
    CHECK(error.index() == 2);
    CHECK(error.message() == "two");
  }
  Signal::raise(release.path(), 1000);
  for (int i = 0; i < 50; ++i) CHECK(pool().apply(next, i) == i + 1);
  CHECK(count_of(begun) <= 6 + 2 + 1);
}

TEST_CASE("a range is an input range for the standard library") {
  auto results = pool().imap(next, std::views::iota(0, 10));
  static_assert(std::ranges::input_range<decltype(results)>);
  int sum = 0;
  std::ranges::for_each(results, [&](int y) { sum += y; });
  CHECK(sum == 55);
  int even = 0;
  for (const int y : pool().imap(next, std::views::iota(0, 10)) | std::views::filter([](int x) {
                       return x % 2 == 0;
                     }) | std::views::take(3)) {
    even += y;
  }
  CHECK(even == 2 + 4 + 6);
}

TEST_CASE("a result may be moved out of the range") {
  const auto text = [](int x) { return std::string(100, static_cast<char>('a' + x)); };
  std::vector<std::string> texts;
  for (auto& result : pool().imap(text, std::views::iota(0, 3))) texts.push_back(std::move(result));
  CHECK(texts == std::vector{std::string(100, 'a'), std::string(100, 'b'), std::string(100, 'c')});
}

TEST_CASE("a range that nobody looks at, or that is left unfinished, holds nothing up") {
  auto untouched = pool().imap(next, std::views::iota(0));
  auto unfinished = pool().imap(next, std::views::iota(0));
  auto at = unfinished.begin();
  CHECK(*at == 1);
  for (int i = 0; i < 100; ++i) CHECK(pool().apply(next, i) == i + 1);
  ++at;
  CHECK(*at == 2);
}

TEST_CASE("nested loops over one pool") {
  int sum = 0;
  for (const int x : pool().imap(next, std::views::iota(0, 20))) {
    for (const int y : pool().imap(next, std::views::iota(0, 20))) {
      if (y % 10 == 0) sum += pool().apply([](int a, int b) { return a * b; }, x, y);
    }
  }
  CHECK(sum == 210 * 30);
}

TEST_CASE("the results of one imap are the inputs of the next") {
  auto first = pool().imap(next, std::views::iota(0, 1000));
  auto second = pool().imap(next, std::move(first));
  int expected = 2;
  for (const int y : second) {
    if (y != expected++) FAIL("out of order: " << y);
  }
  CHECK(expected == 1002);
}

TEST_CASE("results of very different sizes stay in order") {
  const auto text = [](int x) { return std::string(x % 50 == 0 ? 1 << 20 : x % 7, 'x'); };
  int index = 0;
  for (const auto& result : pool().imap(text, std::views::iota(0, 400))) {
    const std::size_t expected = index % 50 == 0 ? 1 << 20 : static_cast<std::size_t>(index % 7);
    if (result.size() != expected) FAIL("item " << index << " has " << result.size() << " bytes");
    ++index;
  }
  CHECK(index == 400);
}
