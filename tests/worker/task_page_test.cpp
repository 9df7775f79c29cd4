// Of each chunk, the host and its worker know the same: it was begun, or it was taken back.
#include "worker/task_page.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"

using namespace achilles::worker;

TEST_CASE("what the host has come to stays, the rest of what was given is left out") {
  TaskPage page{};
  CHECK(begin_chunk(page));
  CHECK(begin_chunk(page));
  CHECK(take_back_chunks(page, 5) == 2);
  for (int i = 3; i <= 5; ++i) CHECK_FALSE(begin_chunk(page));
  CHECK(begin_chunk(page));
  CHECK(take_back_chunks(page, 6) == 6);  // Nothing is left to take.
  CHECK(begin_chunk(page));
}

TEST_CASE("taken back twice, with more given in between") {
  TaskPage page{};
  CHECK(begin_chunk(page));
  CHECK(take_back_chunks(page, 3) == 1);
  CHECK(take_back_chunks(page, 6) == 1);
  for (int i = 2; i <= 6; ++i) CHECK_FALSE(begin_chunk(page));
  CHECK(begin_chunk(page));
}

TEST_CASE("while both are at it, no chunk is begun that was taken back, and none is lost") {
  constexpr std::uint64_t kChunks = 200'000;
  TaskPage page{};
  std::vector<char> begun(kChunks + 1);
  std::atomic<bool> done = false;
  std::thread host([&] {
    for (std::uint64_t chunk = 1; chunk <= kChunks; ++chunk) begun[chunk] = begin_chunk(page);
    done = true;
  });
  std::vector<char> taken(kChunks + 1);
  std::uint64_t given = 0;
  std::uint64_t taken_through = 0;
  while (!done) {
    given = std::min(kChunks, given + 7);
    const std::uint64_t come_to = take_back_chunks(page, given);
    // Those that were taken before it has come to by passing them over.
    for (auto chunk = std::max(come_to, taken_through) + 1; chunk <= given; ++chunk) {
      taken[chunk] = true;
    }
    taken_through = std::max(taken_through, given);
  }
  host.join();
  std::uint64_t disagreements = 0;
  for (std::uint64_t chunk = 1; chunk <= kChunks; ++chunk) {
    disagreements += begun[chunk] == taken[chunk] ? 1 : 0;
  }
  CHECK(disagreements == 0);
}
