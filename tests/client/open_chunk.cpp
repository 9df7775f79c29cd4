// When the chunk that is being filled is handed over, and how many of them together.
#include <achilles/detail/job_handle.hpp>
#include <chrono>
#include <cstddef>
#include <vector>

#include "tests/support/catch.hpp"

using achilles::detail::OpenChunk;
using namespace std::chrono_literals;

namespace {

struct Filled : OpenChunk {
  Filled(std::uint64_t chunk_items, std::uint64_t chunks) { want(chunk_items, chunks); }

  void add(std::uint64_t count, std::size_t bytes = 8) {
    const std::vector<std::byte> item(bytes);
    for (std::uint64_t i = 0; i < count; ++i) items.append(item);
  }
  /// Items until it is full; then it is handed over, after so long.
  std::uint64_t fill(std::chrono::nanoseconds takes, std::uint64_t chunk_items = 1,
                     std::uint64_t chunks = 1000) {
    opened_at = {};
    while (!full()) add(1);
    const std::uint64_t count = items.count();
    learn_pace(opened_at + takes);
    items.take();
    want(chunk_items, chunks);
    return count;
  }
};

}  // namespace

TEST_CASE("a first chunk is handed over alone; while they come fast, twice as many each time") {
  Filled open(1, 1000);
  for (const std::uint64_t count : {1, 2, 4, 8, 16, 32, 64, 64}) CHECK(open.fill(1us) == count);
  CHECK(open.fill(641us) == 64);
  CHECK(open.fill(10us) == 1);
  CHECK(open.fill(11us) == 2);
  CHECK(open.fill(1us) == 4);
}

TEST_CASE("no more chunks come together than are wanted, and of large ones but one") {
  Filled open(1, 1000);
  for (int i = 0; i < 5; ++i) open.fill(1us);
  open.want(1, 3);
  CHECK(open.fill(1us, 20) == 3);
  for (int i = 0; i < 3; ++i) open.fill(1us, 20);
  CHECK(open.fill(1us, 20) == 60);
  CHECK(open.fill(1us, 65) == 60);
  CHECK(open.fill(1us, 65) == 65);
}

TEST_CASE("when a result is ready, whole chunks are handed over at once") {
  Filled open(10, 1000);
  for (int i = 0; i < 3; ++i) open.fill(1us, 10);
  CHECK(open.chunks_at_once == 6);
  open.result_ready = true;
  CHECK(open.fill(1us, 10) == 10);
  open.add(15);
  CHECK_FALSE(open.full());
  open.add(5);
  CHECK(open.full());
}

TEST_CASE("chunks that have many bytes together are handed over, whole ones first") {
  Filled open(2, 1000);
  for (int i = 0; i < 5; ++i) open.fill(1us, 2);
  open.add(3, OpenChunk::kBytesAtOnceMax / 3);
  CHECK_FALSE(open.full());
  open.add(1, 8);
  CHECK(open.full());
  open.items.take();
  open.add(1, OpenChunk::kBytesMax);
  CHECK(open.full());
}
