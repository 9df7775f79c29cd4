// Captured pointers are found when the job starts, and nothing is sent.
#include <achilles/pool.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

achilles::Pool& pool() {
  static achilles::Pool the_pool = achilles::Pool::local(1);
  return the_pool;
}

template <class Function>
void check_refused(Function function) {
  CHECK_THROWS_AS(pool().map(function, std::vector{1}), achilles::NotShippable);
  CHECK_THROWS_AS(pool().imap(function, std::vector{1}), achilles::NotShippable);
  CHECK_THROWS_AS(pool().imap_unordered(function, std::vector{1}), achilles::NotShippable);
  CHECK_THROWS_AS(pool().apply(function, 1), achilles::NotShippable);
}

struct Counter {
  int start = 1;
  auto adder() const {
    return [this](int x) { return x + start; };
  }
};

int g_number = 0;

}  // namespace

TEST_CASE("captured pointers of every kind are refused") {
  const Counter counter;
  check_refused(counter.adder());
  const std::string text = "longer than what a string keeps inside of itself";
  check_refused(
      [view = std::string_view(text)](int x) { return x + static_cast<int>(view.size()); });
  check_refused([literal = "a literal"](int x) { return x + literal[0]; });
  std::vector numbers{1, 2, 3};
  check_refused([span = std::span(numbers)](int x) { return x + span[0]; });
  check_refused([it = numbers.begin()](int x) { return x + *it; });
  check_refused([pointer = &numbers](int x) { return x + static_cast<int>(pointer->size()); });
  check_refused([global = &g_number](int x) { return x + *global; });
  int local = 0;
  check_refused([pointer = &local](int x) { return x + *pointer; });
  check_refused([function = &std::terminate](int x) { return x + (function != nullptr ? 1 : 0); });
}

TEST_CASE("the refusal says what to do, and leaves the Pool as it was") {
  const Counter counter;
  try {
    pool().map(counter.adder(), std::vector{1});
    FAIL("a captured this was sent");
  } catch (const achilles::NotShippable& error) {
    const std::string what = error.what();
    CHECK(what.find("achilles::bind") != std::string::npos);
    CHECK(what.find("check_captures") != std::string::npos);
  }
  CHECK(pool().task_pids().empty());  // Nothing was started for it.
  CHECK(pool().apply([](int x) { return x; }, 1) == 1);
}

TEST_CASE("a pointer in a function to which values are bound is found, too") {
  const Counter counter;
  const auto bound = achilles::bind(
      [pointer = &counter](int start, int x) { return pointer->start + start + x; }, 1);
  check_refused(bound);
  check_refused(achilles::bind(
      achilles::bind(
          [pointer = &counter](int a, int b, int x) { return pointer->start + a + b + x; }, 1),
      2));
}

TEST_CASE("numbers of usual sizes are no pointers, whatever a sanitizer maps for itself") {
  // Not const: a compiler may put a constant into the lambda instead of the captured value.
  std::int64_t milliseconds_since_1970 = 1'764'000'000'000;
  CHECK(pool().apply([milliseconds_since_1970](int x) { return milliseconds_since_1970 + x; }, 1) ==
        1'764'000'000'001);
  double half = 0.5;
  CHECK(pool().apply([half](int x) { return half * x; }, 1) == 0.5);
}

TEST_CASE("a number that looks like a pointer may be sent when its owner says so") {
  // Not const: a compiler may put a constant into the lambda instead of the captured value.
  auto number = reinterpret_cast<std::uintptr_t>(&g_number);
  const auto compare = [number](std::uintptr_t x) { return x == number; };
  check_refused(compare);
  const std::vector<std::uintptr_t> inputs{number, 0};
  const std::vector<bool> expected{true, false};
  CHECK(pool().map(compare, inputs, {.check_captures = false}) == expected);
  CHECK(pool().with({.check_captures = false}).map(compare, inputs) == expected);
  CHECK(pool().with({.check_captures = false}).apply(compare, number));
}

TEST_CASE("small and large numbers are no pointers") {
  const std::uint64_t small = 1000;
  const std::uint64_t large = ~std::uint64_t{0};
  const double pi = 3.14159;
  const auto sum = [small, large, pi](std::uint64_t x) {
    return x + small + large + static_cast<std::uint64_t>(pi);
  };
  CHECK(pool().apply(sum, 1) == 1003);
}

TEST_CASE("what lies between captured members is neither looked at nor sent") {
  struct Padded {
    double value;
    char letter;
  };
  // Everything between the members looks like a pointer.
  alignas(Padded) std::uintptr_t words[2] = {reinterpret_cast<std::uintptr_t>(&g_number),
                                             reinterpret_cast<std::uintptr_t>(&g_number)};
  auto* padded = new (words) Padded;
  padded->value = 1.5;
  padded->letter = static_cast<char>(words[1] & 0x7F);
  const auto read = [copy = *padded](int x) { return copy.value + x; };
  CHECK(pool().apply(read, 1) == 2.5);
}
