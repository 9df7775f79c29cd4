// Everything that can be called in a task process.
#include <unistd.h>

#include <achilles/pool.hpp>
#include <array>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

achilles::Pool& pool() {
  static achilles::Pool the_pool = achilles::Pool::local(2);
  return the_pool;
}
const std::vector kInputs{1, 2, 3};

int square(int x) {
  return x * x;
}
int cube(int x) noexcept {
  return x * x * x;
}
int add(int a, int b) {
  return a + b;
}
template <int kStep>
int step(int x) {
  return x + kStep;
}

struct Scale {
  int by = 1;
  int operator()(int x) const { return x * by; }
};

struct Account {
  int balance = 0;
  std::string owner;
  int doubled() const { return 2 * balance; }
  std::string with_suffix(const std::string& suffix) const { return owner + suffix; }
  static int negative(int x) { return -x; }
  MSGPACK_DEFINE(balance, owner)
};

struct Offsets {
  std::array<double, 4> values{};
  bool exact = false;
};

int g_set_in_a_test = 0;

}  // namespace

TEST_CASE("lambdas without captures") {
  CHECK(pool().map([](int x) { return x + 1; }, kInputs) == std::vector{2, 3, 4});
  CHECK(pool().map([](auto x) { return x + x; }, std::vector<std::string>{"a", "b"}) ==
        std::vector<std::string>{"aa", "bb"});
}

TEST_CASE("lambdas with captures of plain data") {
  const int by = 10;
  const double offset = 0.5;
  CHECK(pool().map([by, offset](int x) { return by * x + offset; }, kInputs) ==
        std::vector{10.5, 20.5, 30.5});
  const Offsets offsets{{1, 2, 3, 4}, true};
  CHECK(pool().map([offsets](int x) { return offsets.values[static_cast<std::size_t>(x)]; },
                   kInputs) == std::vector{2.0, 3.0, 4.0});
  std::array<int, 1000> table{};
  std::iota(table.begin(), table.end(), 7);
  CHECK(pool().map([table](int x) { return table[static_cast<std::size_t>(x)]; }, kInputs) ==
        std::vector{8, 9, 10});
  CHECK(pool().apply([copy = by * 2] { return copy; }) == 20);
}

TEST_CASE("each job has its own captures, also of the same lambda") {
  for (int by = 1; by <= 3; ++by) {
    CHECK(pool().map([by](int x) { return by * x; }, kInputs) == std::vector{by, 2 * by, 3 * by});
  }
}

TEST_CASE("function pointers") {
  CHECK(pool().map(square, kInputs) == std::vector{1, 4, 9});
  CHECK(pool().map(&square, kInputs) == std::vector{1, 4, 9});
  CHECK(pool().map(&cube, kInputs) == std::vector{1, 8, 27});
  CHECK(pool().map(&step<5>, kInputs) == std::vector{6, 7, 8});
  CHECK(pool().map(&Account::negative, kInputs) == std::vector{-1, -2, -3});
  int (*chosen)(int) = square;
  CHECK(pool().apply(chosen, 5) == 25);
  chosen = step<1>;
  CHECK(pool().apply(chosen, 5) == 6);
  CHECK(pool().apply(add, 2, 3) == 5);
}

TEST_CASE("a null function pointer is refused before anything is sent") {
  int (*none)(int) = nullptr;
  CHECK_THROWS_AS(pool().apply(none, 1), achilles::NotShippable);
}

TEST_CASE("achilles::fn names functions, member functions and members") {
  CHECK(pool().map(achilles::fn<&square>, kInputs) == std::vector{1, 4, 9});
  CHECK(pool().map(achilles::fn<&step<3>>, kInputs) == std::vector{4, 5, 6});
  const std::vector<Account> accounts{{1, "a"}, {2, "b"}};
  CHECK(pool().map(achilles::fn<&Account::doubled>, accounts) == std::vector{2, 4});
  CHECK(pool().map(achilles::fn<&Account::owner>, accounts) == std::vector<std::string>{"a", "b"});
  CHECK(pool().apply(achilles::fn<&Account::with_suffix>, accounts[0], "!") == "a!");
}

TEST_CASE("function objects") {
  CHECK(pool().map(Scale{3}, kInputs) == std::vector{3, 6, 9});
  CHECK(pool().apply(std::plus<>{}, 1, 2) == 3);
  CHECK(pool().map(std::negate<int>{}, kInputs) == std::vector{-1, -2, -3});
}

TEST_CASE("achilles::bind sends strings and tables along") {
  const std::string prefix = "item ";
  const auto label = [](const std::string& before, int x) { return before + std::to_string(x); };
  CHECK(pool().map(achilles::bind(label, prefix), kInputs) ==
        std::vector<std::string>{"item 1", "item 2", "item 3"});
  CHECK(pool().map(achilles::bind(label, "a literal "), std::vector{1}) ==
        std::vector<std::string>{"a literal 1"});
  const std::map<int, std::vector<double>> table{{1, {0.5}}, {2, {1, 2}}, {3, {}}};
  const auto look_up = [](const std::map<int, std::vector<double>>& t, double start, int x) {
    return std::accumulate(t.at(x).begin(), t.at(x).end(), start);
  };
  CHECK(pool().map(achilles::bind(look_up, table, 10), kInputs) == std::vector{10.5, 13.0, 10.0});
}

TEST_CASE("achilles::bind binds to everything else that can be called, also to itself") {
  CHECK(pool().map(achilles::bind(add, 100), kInputs) == std::vector{101, 102, 103});
  CHECK(pool().map(achilles::bind(achilles::fn<&add>, 100), kInputs) == std::vector{101, 102, 103});
  const Account account{5, "me"};
  CHECK(pool().apply(achilles::bind(achilles::fn<&Account::with_suffix>, account), "?") == "me?");
  const int factor = 2;
  const auto inner = achilles::bind([factor](const std::string& a, const std::string& b,
                                             int x) { return a + b + std::to_string(factor * x); },
                                    std::string("a"));
  CHECK(pool().map(achilles::bind(inner, std::string("b")), kInputs) ==
        std::vector<std::string>{"ab2", "ab4", "ab6"});
  CHECK(pool().apply(achilles::bind([] { return 1; })) == 1);
}

TEST_CASE("a large bound table is sent once per job, and arrives whole") {
  std::vector<double> table(1 << 20);
  std::iota(table.begin(), table.end(), 0.0);
  const auto look_up = [](const std::vector<double>& t, std::size_t i) { return t.at(i); };
  auto inputs = std::views::iota(std::size_t{0}, table.size()) |
                std::views::filter([](std::size_t i) { return i % 1024 == 0; });
  double expected = 0;
  for (const double value : pool().imap(achilles::bind(look_up, table), inputs)) {
    if (value != expected) FAIL(value << " came where " << expected << " was expected");
    expected += 1024;
  }
  CHECK(expected == static_cast<double>(table.size()));
}

TEST_CASE("functions of one tuple and functions of several arguments are told apart") {
  CHECK(pool().apply([](std::tuple<int, int> both) { return std::get<0>(both); },
                     std::tuple(1, 2)) == 1);
  CHECK(pool().apply([](int a, int b) { return a - b; }, 1, 2) == -1);
  CHECK(pool().apply([] { return std::string("no arguments"); }) == "no arguments");
}

TEST_CASE("a function runs in a task process, which knows of no later change here") {
  g_set_in_a_test = 1;
  const auto look = [](int) { return std::tuple(getpid(), g_set_in_a_test); };
  const auto pids = pool().task_pids();
  for (const auto& [pid, global] : pool().map(look, kInputs)) {
    CHECK(pid != getpid());
    CHECK(global == 0);
  }
}

TEST_CASE("this_task tells a function its item, worker and slot") {
  using achilles::this_task::active;
  CHECK_FALSE(active());
  CHECK_THROWS_AS(achilles::this_task::index(), std::logic_error);
  const auto ask = [](int) {
    namespace task = achilles::this_task;
    return std::tuple(task::active(), task::index(), task::worker(), task::slot(), task::attempt());
  };
  std::uint64_t expected = 0;
  std::set<std::uint32_t> slots;
  for (const auto& [is_active, index, worker, slot, attempt] :
       pool().imap(ask, std::views::iota(0, 500))) {
    CHECK(is_active);
    CHECK(index == expected++);
    CHECK(worker == "embedded");
    CHECK(attempt != 0);
    slots.insert(slot);
  }
  CHECK(expected == 500);
  CHECK(*slots.rbegin() < 2);
}
