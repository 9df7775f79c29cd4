// However many inputs there are, and whether or not the consumer keeps up, memory stays bounded.
#include <malloc.h>

#include <achilles/pool.hpp>
#include <fstream>
#include <ranges>
#include <string>
#include <thread>

#include "tests/client/pool_test_support.hpp"
#include "tests/support/catch.hpp"

using namespace pool_test;

namespace {

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// Stops like a consumer that is busy with something else, until what can come has come. A little
/// growth is no result's: heartbeats allocate, and sanitizers keep what was freed.
void stop_until_nothing_grows() {
  constexpr std::uint64_t kNoGrowth = 64U << 10;
  for (auto before = resident_bytes();;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto after = resident_bytes();
    if (after <= before + kNoGrowth) return;
    before = after;
  }
}

constexpr std::uint64_t kAllowedGrowth = 32U << 20;

}  // namespace

TEST_CASE("twenty million lazy inputs in constant memory") {
  const auto pool = achilles::Pool::local(2);
  pool.apply([](int x) { return x; }, 1);
  const auto before = resident_bytes();
  std::uint64_t highest = before;
  constexpr std::uint64_t kItems = 20'000'000;
  std::uint64_t sum = 0;
  std::uint64_t count = 0;
  for (const std::uint64_t y : pool.imap_unordered([](std::uint64_t x) { return 2 * x; },
                                                   std::views::iota(std::uint64_t{0}, kItems))) {
    sum += y;
    if (++count == kItems / 4) stop_until_nothing_grows();
    if (count % 100'000 == 0) highest = std::max(highest, resident_bytes());
  }
  CHECK(count == kItems);
  CHECK(sum == kItems * (kItems - 1));
  CHECK(highest - before < kAllowedGrowth);
}

TEST_CASE("large results wait at the tasks, not here, while the consumer is busy") {
  const auto pool = achilles::Pool::local(2);
  const auto before = resident_bytes();
  std::uint64_t highest = before;
  int count = 0;
  const auto large = [](int x) { return std::string(100'000, static_cast<char>('a' + x % 26)); };
  for (const auto& text : pool.imap(large, std::views::iota(0, 3000))) {
    if (text.size() != 100'000 || text[0] != 'a' + count % 26) FAIL("wrong at " << count);
    if (++count % 1000 == 500) stop_until_nothing_grows();
    if (count % 20 == 0) {
      malloc_trim(0);  // What was freed and the allocator keeps is nobody's result.
      highest = std::max(highest, resident_bytes());
    }
  }
  CHECK(count == 3000);
  // 8 MiB wait here and 8 MiB with the worker's core; as much may be on its way. All of it together
  // would be 286 MiB.
  CHECK(highest - before < kAllowedGrowth);
}
