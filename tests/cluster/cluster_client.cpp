// A program that uses the cluster of $ACHILLES_BROKER, for tests that look at it from outside, kill
// it, or replace its executable.
//
//   squares N             the sum of the squares of 0 … N-1
//   squares-later N PATH  the same, once the file is there
//   hold N FOLDER         N items, each held until FOLDER/go is there
//   stream N FOLDER       N items through a consumer that stalls half-way, until FOLDER/resume is
//   there
#include <achilles/pool.hpp>
#include <cstdint>
#include <iostream>
#include <ranges>
#include <string>

#include "tests/cluster/held_work.hpp"

using namespace achilles::tests;

namespace {

std::uint64_t sum_of_squares(const achilles::Pool& pool, std::uint64_t count) {
  std::uint64_t sum = 0;
  for (const auto y : pool.imap_unordered([](std::uint64_t x) { return x * x; },
                                          std::views::iota(std::uint64_t{0}, count))) {
    sum += y;
  }
  return sum;
}

void hold(int count, const std::string& folder) {
  achilles::Pool pool;
  const auto function = achilles::bind(achilles::fn<&held_square>, folder, 0);
  for (const int y : pool.imap(function, std::views::iota(0, count), {.chunksize = 1})) {
    std::cout << y << '\n';
  }
}

/// Says how much memory it took at most, before and after.
void stream(std::uint64_t count, const std::filesystem::path& folder) {
  achilles::Pool pool;
  sum_of_squares(pool, count / 20);
  std::cout << memory_of(getpid(), "VmHWM") << std::endl;
  wait_for_file(folder / kGo);
  std::uint64_t sum = 0;
  std::uint64_t seen = 0;
  for (const auto y : pool.imap_unordered([](std::uint64_t x) { return x + 1; },
                                          std::views::iota(std::uint64_t{0}, count))) {
    sum += y;
    if (++seen == count / 2) {
      touch(folder / "stalled");
      wait_for_file(folder / "resume");
    }
  }
  std::cout << memory_of(getpid(), "VmHWM") << '\n' << seen << '\n' << sum << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[1] : "";
  const std::uint64_t count = argc > 2 ? std::stoull(argv[2]) : 0;
  const std::string path = argc > 3 ? argv[3] : "";
  try {
    if (what == "squares-later") wait_for_file(path);
    if (what.starts_with("squares")) {
      std::cout << sum_of_squares(achilles::Pool{}, count) << '\n';
    } else if (what == "hold") {
      hold(static_cast<int>(count), path);
    } else if (what == "stream") {
      stream(count, path);
    } else {
      return 2;
    }
  } catch (const achilles::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
