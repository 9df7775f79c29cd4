// Values of standard types: to a task process and back.
#include <achilles/pool.hpp>
#include <deque>
#include <filesystem>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

enum class Colour : std::uint8_t { kRed = 1, kGreen = 200 };
enum Plain { kNegative = -5, kLarge = 1 << 20 };

achilles::Pool& pool() {
  static achilles::Pool the_pool = achilles::Pool::local(2);
  return the_pool;
}

template <class T>
void check_round_trip(const std::vector<T>& values) {
  CHECK(pool().map([](const T& value) { return value; }, values) == values);
}

template <class T>
void check_limits() {
  using Limits = std::numeric_limits<T>;
  check_round_trip<T>({Limits::lowest(), Limits::min(), T{0}, T{1}, Limits::max()});
}

}  // namespace

TEST_CASE("numbers of every width arrive as they are") {
  check_limits<std::int8_t>();
  check_limits<std::uint8_t>();
  check_limits<std::int16_t>();
  check_limits<std::int64_t>();
  check_limits<std::uint64_t>();
  check_limits<double>();
  check_round_trip<char>({'a', '\0', '\xff'});
  check_round_trip<char32_t>({U'a', U'\x1F600'});
  check_round_trip<long double>({0.1L, -3e4000L});
}

TEST_CASE("enums arrive as they are, also inside containers") {
  check_round_trip<Colour>({Colour::kRed, Colour::kGreen});
  check_round_trip<Plain>({kNegative, kLarge});
  check_round_trip<std::vector<Colour>>({{Colour::kGreen}, {}});
  check_round_trip<std::map<Colour, Plain>>(
      {{{Colour::kRed, kNegative}, {Colour::kGreen, kLarge}}});
  check_round_trip<std::byte>({std::byte{0}, std::byte{255}});
}

TEST_CASE("strings of any bytes and any length arrive") {
  check_round_trip<std::string>(
      {"", "one", std::string("a\0b", 3), "\xff\xfe", std::string(3'000'000, 'x')});
}

TEST_CASE("views arrive as owners") {
  using namespace std::string_view_literals;
  const auto size = [](const std::string& text) { return text.size(); };
  CHECK(pool().map(size, std::vector{"one"sv, ""sv, "three"sv}) ==
        std::vector<std::size_t>{3, 0, 5});
  CHECK(pool().map(size, std::vector<const char*>{"one", ""}) == std::vector<std::size_t>{3, 0});
  const auto sum = [](const std::vector<int>& xs) {
    return std::accumulate(xs.begin(), xs.end(), 0);
  };
  std::vector numbers{1, 2, 3, 4};
  const std::vector<std::span<const int>> spans{{numbers.data(), 2}, {numbers.data() + 1, 3}, {}};
  CHECK(pool().map(sum, spans) == std::vector{3, 9, 0});
  CHECK(pool().apply(sum, std::span(numbers)) == 10);
  CHECK(pool().apply(
            [](const std::string& a, const std::string& b, std::string c) { return a + b + c; },
            "literal "sv, "and ", std::string("string")) == "literal and string");
}

TEST_CASE("results may be views and references into what the function holds") {
  const auto head = [](const std::string& text) { return std::string_view(text).substr(0, 2); };
  CHECK(pool().map(head, std::vector<std::string>{"abc", "x"}) ==
        std::vector<std::string>{"ab", "x"});
  const auto itself = [](const std::string& text) -> const std::string& { return text; };
  CHECK(pool().apply(itself, "abc") == "abc");
  CHECK(pool().apply([](int) { return "a literal"; }, 1) == "a literal");
}

TEST_CASE("containers, tuples, pairs and optionals arrive, one inside the other") {
  check_round_trip<std::vector<int>>({{1, 2}, {}});
  check_round_trip<std::array<int, 3>>({{1, 2, 3}});
  check_round_trip<std::vector<std::vector<std::string>>>({{{"a", ""}, {}}, {}});
  check_round_trip<std::map<std::string, std::vector<int>>>({{{"a", {1}}, {"b", {}}}, {}});
  check_round_trip<std::unordered_map<int, std::string>>({{{1, "a"}, {-2, "b"}}});
  check_round_trip<std::tuple<int, std::string, std::optional<int>>>(
      {{1, "a", 2}, {2, "", std::nullopt}});
  check_round_trip<std::pair<std::string, std::list<std::int64_t>>>({{"a", {1, -2}}});
  check_round_trip<std::optional<std::string>>({std::nullopt, "", "a"});
  check_round_trip<std::set<std::deque<std::uint16_t>>>({{{1, 2}, {3}}});
}

TEST_CASE("vectors of bool: as items, as results, as the range itself") {
  check_round_trip<std::vector<bool>>({{true, false, true}, {}});
  check_round_trip<bool>({true, false});
  const auto negate = [](bool value) { return !value; };
  CHECK(pool().map(negate, std::vector<bool>{true, true, false}) ==
        std::vector<bool>{false, false, true});
}

TEST_CASE("a map is a range of pairs") {
  const std::map<std::string, int> ages{{"a", 1}, {"b", 2}};
  const auto text = [](const std::pair<const std::string, int>& entry) {
    return entry.first + std::to_string(entry.second);
  };
  CHECK(pool().map(text, ages) == std::vector<std::string>{"a1", "b2"});
}

TEST_CASE("paths arrive, also inside containers") {
  check_round_trip<std::filesystem::path>({"/usr/include", "", "a b/ü"});
  check_round_trip<std::vector<std::filesystem::path>>({{"/usr", "x"}, {}});
  check_round_trip<std::pair<std::filesystem::path, int>>({{"/usr", 3}});
}

TEST_CASE("results that can only be moved") {
  const auto boxed = [](int x) { return std::make_unique<int>(x); };
  const auto boxes = pool().map(boxed, std::vector{1, 2});
  REQUIRE(boxes.size() == 2);
  CHECK(*boxes[1] == 2);
  CHECK(*pool().apply(boxed, 7) == 7);
}

TEST_CASE("functions without a result") {
  const auto nothing = [](int) {};
  static_assert(std::is_void_v<decltype(pool().map(nothing, std::vector{1, 2}))>);
  pool().map(nothing, std::vector{1, 2});
  static_assert(std::is_void_v<decltype(pool().apply(nothing, 1))>);
  pool().apply(nothing, 1);
  int results = 0;
  for (auto result : pool().imap(nothing, std::vector{1, 2, 3})) {
    static_assert(std::is_same_v<decltype(result), std::monostate>);
    ++results;
  }
  CHECK(results == 3);
}

TEST_CASE("no items, one item, many items") {
  const auto next = [](int x) { return x + 1; };
  CHECK(pool().map(next, std::vector<int>{}).empty());
  CHECK(pool().map(next, std::views::iota(0, 0)).empty());
  CHECK(pool().map(next, std::vector{41}) == std::vector{42});
  const auto many = std::views::iota(0, 100'000);
  std::vector<int> expected(100'000);
  std::iota(expected.begin(), expected.end(), 1);
  CHECK(pool().map(next, many) == expected);
  CHECK(pool().map(next, std::vector<int>(many.begin(), many.end())) == expected);
}
