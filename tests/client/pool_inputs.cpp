// What may be iterated over, and when the Pool looks at it.
#include <sys/mman.h>

#include <achilles/pool.hpp>
#include <atomic>
#include <forward_list>
#include <fstream>
#include <numeric>
#include <optional>
#include <ranges>
#include <sstream>
#include <string>
#include <thread>
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

struct InputEnds : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// 0, 1, 2… and an exception in place of item `fails_at`.
auto failing_input(int fails_at) {
  return achilles::generate([at = 0, fails_at]() mutable -> std::optional<int> {
    if (at == fails_at) throw InputEnds("after " + std::to_string(at));
    return at++;
  });
}

template <class Range>
auto collect(Range&& range) {
  std::vector<std::ranges::range_value_t<Range>> values;
  for (auto&& value : range) values.push_back(value);
  return values;
}

}  // namespace

TEST_CASE("ranges of every kind are inputs") {
  CHECK(pool().map(next, std::forward_list{1, 2}) == std::vector{2, 3});
  CHECK(pool().map(next, std::array{1, 2}) == std::vector{2, 3});
  const int plain[] = {5, 6};
  CHECK(pool().map(next, plain) == std::vector{6, 7});
  std::istringstream words("1 2 3");
  CHECK(pool().map(next, std::views::istream<int>(words)) == std::vector{2, 3, 4});
  auto odd = std::views::iota(0, 10) | std::views::filter([](int x) { return x % 2 == 1; }) |
             std::views::transform([](int x) { return 10 * x; });
  CHECK(pool().map(next, odd) == std::vector{11, 31, 51, 71, 91});
  std::string text = "abc";
  CHECK(pool().map([](char c) { return static_cast<int>(c); }, text) == std::vector{97, 98, 99});
}

TEST_CASE("a range that is an lvalue is only looked at") {
  std::vector<std::string> texts{"a", "b"};
  const auto copy = texts;
  CHECK(pool().map([](std::string text) { return text + text; }, texts) ==
        std::vector<std::string>{"aa", "bb"});
  CHECK(texts == copy);
}

TEST_CASE("generate is pulled until it answers nothing") {
  const auto countdown = [left = 1000]() mutable {
    return left > 0 ? std::optional(left--) : std::nullopt;
  };
  const auto results = pool().map(next, achilles::generate(countdown));
  REQUIRE(results.size() == 1000);
  CHECK(results.front() == 1001);
  CHECK(results.back() == 2);
  CHECK(pool().map(next, achilles::generate([]() -> std::optional<int> { return {}; })).empty());
}

TEST_CASE("leaving the loop over an endless input ends it at once") {
  const Folder folder;
  const Signal release(folder.file("release"));
  const std::string begun = folder.file("begun");
  // From item 10 on, each waits: at the break, each of the two task processes stands in one of
  // them.
  const auto work = [](const std::string& count, const std::string& wait, int x) {
    count_one(count);
    if (x >= 10) Signal::wait(wait);
    return x;
  };
  int pulled = 0;
  const auto endless = [&pulled]() -> std::optional<int> { return pulled++; };
  int taken = 0;
  for (const int x : pool().imap(achilles::bind(work, begun, release.path()),
                                 achilles::generate(endless), {.chunksize = 3})) {
    CHECK(x == taken);
    if (++taken == 9) break;
  }
  const int pulled_then = pulled;
  Signal::raise(release.path(), 1000);
  for (int i = 0; i < 50; ++i) CHECK(pool().apply(next, i) == i + 1);
  CHECK(count_of(begun) <= 12);
  CHECK(pulled == pulled_then);
}

TEST_CASE("an exception of the loop's body ends an endless input, too") {
  const auto endless = std::views::iota(0);
  CHECK_THROWS_AS(
      [&] {
        for (const int x : pool().imap_unordered(next, endless)) {
          if (x > 100) throw std::logic_error("enough");
        }
      }(),
      std::logic_error);
  CHECK(pool().apply(next, 1) == 2);
}

TEST_CASE("an exception of the input arrives after the results before it") {
  for (const int fails_at : {0, 1, 7, 1000}) {
    const auto check = [&](auto results) {
      int sum = 0;
      int count = 0;
      try {
        for (const int y : results) {
          sum += y;
          ++count;
        }
        FAIL("the input's exception did not arrive");
      } catch (const InputEnds& error) {
        CHECK(error.what() == "after " + std::to_string(fails_at));
      }
      CHECK(count == fails_at);
      CHECK(sum == fails_at * (fails_at + 1) / 2);
    };
    check(pool().imap(next, failing_input(fails_at)));
    check(pool().imap_unordered(next, failing_input(fails_at)));
    CHECK_THROWS_AS(pool().map(next, failing_input(fails_at)), InputEnds);
  }
}

TEST_CASE("after the input's exception the range is at its end") {
  auto results = pool().imap(next, failing_input(1));
  auto at = results.begin();
  CHECK(*at == 1);
  CHECK_THROWS_AS(++at, InputEnds);
  ++at;
  CHECK(at == results.end());
}

TEST_CASE("of map's errors the item's comes before the input's, which stands behind it") {
  const auto fail_at_3 = [](int x) {
    if (x == 3) throw std::invalid_argument("three");
    return x;
  };
  CHECK_THROWS_AS(pool().map(fail_at_3, failing_input(10)), achilles::RemoteError);
  CHECK_THROWS_AS(pool().map(fail_at_3, failing_input(2)), InputEnds);
}

TEST_CASE("lines reads files one after another") {
  const Folder folder;
  std::ofstream(folder.file("a")) << "one\n\nthree";
  std::ofstream(folder.file("b")) << "";
  std::ofstream(folder.file("c")) << "four\n";
  const auto same = [](const std::string& line) { return line; };
  const std::vector<std::filesystem::path> paths{folder.file("a"), folder.file("b"),
                                                 folder.file("c")};
  CHECK(pool().map(same, achilles::lines(paths)) ==
        std::vector<std::string>{"one", "", "three", "four"});
  CHECK(pool().map(same, achilles::lines(folder.file("c"))) == std::vector<std::string>{"four"});
  CHECK(pool().map(same, achilles::lines(std::vector<std::filesystem::path>{})).empty());
}

TEST_CASE("lines of a file that is not there, or is a folder, is an error in its place") {
  const Folder folder;
  std::ofstream(folder.file("a")) << "one\ntwo\n";
  for (const std::string& bad : {folder.file("missing"), folder.file(".")}) {
    std::vector<std::string> seen;
    try {
      const std::vector<std::filesystem::path> paths{folder.file("a"), bad, folder.file("a")};
      for (const auto& line :
           pool().imap([](const std::string& s) { return s; }, achilles::lines(paths))) {
        seen.push_back(line);
      }
      FAIL("reading " << bad << " went well");
    } catch (const achilles::RemoteError&) {
      FAIL("the error is said to be of a task");
    } catch (const achilles::Error& error) {
      CHECK(std::string(error.what()).find(bad) != std::string::npos);
    }
    CHECK(seen == std::vector<std::string>{"one", "two"});
  }
}

TEST_CASE("an item that waits for company is sent while the input blocks") {
  const Folder folder;
  const Signal worked(folder.file("worked"));
  const auto work = [](const std::string& path, int x) {
    Signal::raise(path);
    return x;
  };
  int at = 0;
  bool all_worked = true;
  // Each item is given only after the one before it was worked on: the chunk of 100 is never full.
  auto slow = achilles::generate([&]() -> std::optional<int> {
    if (at > 0) all_worked = all_worked && Signal::wait(worked.path());
    return at < 5 ? std::optional(at++) : std::nullopt;
  });
  const auto bound = achilles::bind(work, worked.path());
  std::vector<int> values;
  SECTION("and the user waits for all") {
    values = pool().map(bound, std::move(slow), {.chunksize = 100});
  }
  SECTION("and the user is away between results") {
    for (int y : pool().imap(bound, std::move(slow), {.chunksize = 100})) {
      values.push_back(y);
      // Long enough for the Pool to come to rest; whether it did changes nothing below.
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  CHECK(values == std::vector{0, 1, 2, 3, 4});
  CHECK(all_worked);
}

TEST_CASE("small chunks that came fast are sent while the input blocks") {
  const Folder folder;
  const Signal worked(folder.file("worked"));
  const auto work = [](const std::string& path, int x) {
    Signal::raise(path);
    return x;
  };
  // Many at once, of which the last would make no full batch; no more before all were worked on.
  constexpr int kFast = 100;
  bool all_worked = true;
  auto fast = achilles::generate([&, at = 0]() mutable -> std::optional<int> {
    if (at == kFast) {
      for (int i = 0; i < kFast; ++i) all_worked = all_worked && Signal::wait(worked.path());
    }
    return at <= kFast ? std::optional(at++) : std::nullopt;
  });
  const auto values =
      pool().map(achilles::bind(work, worked.path()), std::move(fast), {.chunksize = 1});
  CHECK(values.size() == kFast + 1);
  CHECK(all_worked);
}

TEST_CASE("chunksize says how many items travel together") {
  // A task process works on a chunk whole: its items are told apart by attempt.
  const auto attempt = [](int) { return achilles::this_task::attempt(); };
  const auto chunks_of = [&](const std::vector<std::uint64_t>& attempts) {
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      if (i == 0 || attempts[i] != attempts[i - 1]) sizes.push_back(0);
      ++sizes.back();
    }
    return sizes;
  };
  const auto blocks = std::vector<int>(100);
  const auto lazy = blocks | std::views::transform([](int x) { return x; });
  const std::vector<std::size_t> expected{30, 30, 30, 10};
  CHECK(chunks_of(pool().map(attempt, blocks, {.chunksize = 30})) == expected);
  CHECK(chunks_of(pool().map(attempt, blocks, {.chunksize = 1000})) ==
        std::vector<std::size_t>{100});
  CHECK(chunks_of(pool().map(attempt, blocks, {.chunksize = 1})).size() == 100);
  // Of a lazy input a chunk may also close because it grew old.
  const auto sizes = chunks_of(pool().with({.chunksize = 30}).map(attempt, lazy));
  CHECK(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}) == 100);
  CHECK(*std::max_element(sizes.begin(), sizes.end()) <= 30);
}

TEST_CASE("an input that is too large to be sent ends the input, and says so") {
  // Pages that nobody writes to are all one page of zeroes: only the encoding takes memory.
  constexpr std::size_t kSize = (std::size_t{1} << 30) + 1;
  void* const memory =
      mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  const std::string_view too_large(static_cast<const char*>(memory), kSize);
  const auto size = [](const std::string& text) { return text.size(); };
  std::vector<std::size_t> sizes;
  try {
    for (const auto y : pool().imap(size, std::vector<std::string_view>{"a", "bc", too_large, ""}))
      sizes.push_back(y);
    FAIL("it was sent");
  } catch (const achilles::ItemTooLarge& error) {
    CHECK(error.index() == 2);
    CHECK(error.bytes() >= kSize);
  }
  CHECK(sizes == std::vector<std::size_t>{1, 2});
  CHECK(pool().apply(size, "abc") == 3);
  munmap(memory, kSize);
}
