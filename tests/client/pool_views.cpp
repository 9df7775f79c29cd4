// Functions that take views of their items: where these lie, and who gets owners as ever.
#include <achilles/pool.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using achilles::fn;

achilles::Pool& pool() {
  static achilles::Pool the_pool = achilles::Pool::local(2);
  return the_pool;
}

using Numbers = std::vector<std::uint64_t>;

std::uint64_t sum_of(std::span<const std::uint64_t> numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
}

/// Whether the address lies in what the task process shares with its worker.
bool is_shared(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto begin = std::stoull(line, nullptr, 16);
    const auto end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    if (begin <= at && at < end) return line.find("memfd:achilles-task ") != std::string::npos;
  }
  return false;
}

std::vector<Numbers> blocks(std::size_t count, std::size_t size) {
  std::vector<Numbers> result(count, Numbers(size));
  for (std::size_t i = 0; i < count; ++i) std::iota(result[i].begin(), result[i].end(), i);
  return result;
}

}  // namespace

TEST_CASE("a function that takes a view looks at its item where it lies") {
  const auto numbers = blocks(4, 1 << 17);
  const std::vector<std::string> texts{std::string(1 << 20, 'a'), std::string(100'000, 'b')};
  CHECK(pool().map([](std::span<const std::uint64_t> item) { return is_shared(item.data()); },
                   numbers, {.chunksize = 1}) == std::vector<bool>(4, true));
  CHECK(pool().map([](std::string_view item) { return is_shared(item.data()); }, texts,
                   {.chunksize = 1}) == std::vector<bool>(2, true));
  // An owner is a copy.
  CHECK(pool().map([](const std::string& item) { return is_shared(item.data()); }, texts,
                   {.chunksize = 1}) == std::vector<bool>(2, false));
}

TEST_CASE("views arrive whole, of small items and large, through every kind of callable") {
  for (const std::size_t size : {0U, 1U, 3U, 1000U, 50'000U}) {
    const auto numbers = blocks(20, size);
    std::vector<std::uint64_t> sums;
    for (const auto& block : numbers) sums.push_back(sum_of(block));
    CHECK(pool().map(&sum_of, numbers) == sums);
    CHECK(pool().map(fn<&sum_of>, numbers) == sums);
    CHECK(pool().map([](const std::span<const std::uint64_t>& item) { return sum_of(item); },
                     numbers) == sums);
    const auto scaled = achilles::bind(
        [](const Numbers& factors, std::span<const std::uint64_t> item) {
          return factors.at(0) * sum_of(item);
        },
        Numbers{1});
    CHECK(pool().map(scaled, numbers) == sums);
  }
}

TEST_CASE("a function may take its view however it takes a value") {
  const std::vector<std::string> texts{"abc", ""};
  const std::vector<std::size_t> sizes{3, 0};
  CHECK(pool().map([](std::string_view&& text) { return text.size(); }, texts) == sizes);
  CHECK(pool().map([](const std::string_view& text) { return text.size(); }, texts) == sizes);
  CHECK(pool().map([](const std::string_view text) { return text.size(); }, texts) == sizes);
}

TEST_CASE("a function may return a part of the view it got") {
  const auto head = [](std::string_view text) { return text.substr(0, 2); };
  CHECK(pool().map(head, std::vector<std::string>{"abc", "x", ""}) ==
        std::vector<std::string>{"ab", "x", ""});
  const auto tail = [](std::span<const std::uint64_t> item) { return item.last(1); };
  CHECK(pool().map(tail, blocks(2, 10)) == std::vector<Numbers>{{9}, {10}});
}

TEST_CASE("numbers that do not lie on their boundary are copied to one") {
  const auto aligned = [](std::span<const double> item) {
    return reinterpret_cast<std::uintptr_t>(item.data()) % alignof(double) == 0 &&
           std::ranges::all_of(item, [](double x) { return x == 0.5; });
  };
  for (std::size_t count = 1; count < 200; count += 9) {
    const std::vector<std::vector<double>> items(count, std::vector<double>(count % 7, 0.5));
    CHECK(pool().map(aligned, items) == std::vector<bool>(count, true));
  }
}

TEST_CASE("generic functions get owners") {
  const auto is_owner = [](const auto& item) {
    return std::is_same_v<decltype(item), const std::string&>;
  };
  CHECK(pool().map(is_owner, std::vector<std::string>{"a"}) == std::vector<bool>{true});
  struct Overloaded {
    bool operator()(const std::string&) const { return true; }
    bool operator()(std::string_view) const { return false; }
  };
  CHECK(pool().map(Overloaded{}, std::vector<std::string>{"a"}) == std::vector<bool>{true});
}
