#include "worker/payload_arena.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using achilles::protocol::Bytes;
using achilles::worker::PayloadArena;
using Memory = PayloadArena::Memory;

constexpr std::size_t kUnit = Memory::kUnitBytes;

std::vector<std::byte> payload(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + seed);
  return bytes;
}

/// Both ends of one direction.
struct Ends {
  std::shared_ptr<Memory> memory = std::make_shared<Memory>();
  PayloadArena lender{memory};
  PayloadArena borrower{memory};
};

}  // namespace

TEST_CASE("a payload is read where it was put") {
  Ends ends;
  for (const std::size_t size : {std::size_t{25}, kUnit - 1, kUnit, kUnit + 1, 10 * kUnit}) {
    const auto bytes = payload(size, 3);
    const auto unit = ends.lender.lend(bytes);
    REQUIRE(unit);
    const auto borrowed = ends.borrower.borrow(*unit, size);
    REQUIRE(borrowed);
    CHECK(*borrowed == Bytes::copy(bytes));
    CHECK(borrowed->data() == ends.memory->units[*unit]);
  }
}

TEST_CASE("what was given back is lent again, the lowest first") {
  Ends ends;
  const auto three = payload(3 * kUnit, 1);
  const auto one = payload(kUnit, 2);
  CHECK(ends.lender.lend(three) == 0);
  CHECK(ends.lender.lend(one) == 3);
  Bytes borrowed = *ends.borrower.borrow(0, three.size());
  Bytes part = borrowed.slice(kUnit, 100);
  borrowed = {};
  CHECK(ends.lender.lend(one) == 4);  // The slice still looks into it.
  part = {};
  CHECK(ends.lender.lend(one) == 0);
  CHECK(ends.lender.lend(three) == 5);
}

TEST_CASE("a full arena lends nothing until something is given back, and never a gap too small") {
  Ends ends;
  std::vector<Bytes> held;
  const auto one = payload(kUnit, 9);
  for (std::size_t unit = 0; unit < Memory::kUnits; ++unit) {
    REQUIRE(ends.lender.lend(one) == unit);
    held.push_back(*ends.borrower.borrow(static_cast<std::uint32_t>(unit), kUnit));
  }
  CHECK_FALSE(ends.lender.lend(one));
  held[10] = held[12] = held[63] = {};
  CHECK_FALSE(ends.lender.lend(payload(2 * kUnit, 1)));
  held[11] = {};
  CHECK(ends.lender.lend(payload(2 * kUnit + 1, 1)) == 10);
  CHECK(ends.lender.lend(one) == 63);
  CHECK_FALSE(ends.lender.lend(one));
  held.clear();
  CHECK_FALSE(ends.lender.lend(payload(Memory::kUnits * kUnit, 1)));  // 10 to 12 and 63 are lent.
  for (const std::uint32_t unit : {10U, 63U}) {
    CHECK(ends.borrower.borrow(unit, unit == 10 ? 2 * kUnit + 1 : kUnit));
  }
  CHECK(ends.lender.lend(payload(Memory::kUnits * kUnit, 1)) == 0);
}

TEST_CASE("nothing is borrowed where it cannot be, nor lent what is too large or nothing") {
  Ends ends;
  CHECK_FALSE(ends.borrower.borrow(0, 0));
  CHECK_FALSE(ends.borrower.borrow(64, 1));
  CHECK_FALSE(ends.borrower.borrow(63, kUnit + 1));
  CHECK_FALSE(ends.borrower.borrow(0xFFFFFFFF, 1));
  CHECK_FALSE(ends.borrower.borrow(0, Memory::kUnits * kUnit + 1));
  CHECK_FALSE(ends.lender.lend({}));
  CHECK_FALSE(ends.lender.lend(payload(Memory::kUnits * kUnit + 1, 0)));
}

TEST_CASE("what is borrowed outlives the arena") {
  Bytes kept;
  {
    Ends ends;
    kept = *ends.borrower.borrow(*ends.lender.lend(payload(1000, 5)), 1000);
  }
  CHECK(kept == Bytes::copy(payload(1000, 5)));
}

TEST_CASE("payloads of any size come and go, dropped on other threads, and none is written over") {
  Ends ends;
  std::mt19937 random(7);
  struct Held {
    Bytes bytes;
    std::size_t size;
    unsigned seed;
  };
  std::vector<Held> held;
  const auto right = [](const Held& one) {
    return one.bytes == Bytes::own(payload(one.size, one.seed));
  };
  int lent = 0;
  for (unsigned turn = 0; turn < 2000; ++turn) {
    const std::size_t size = 25 + random() % (random() % 4 == 0 ? 12 * kUnit : kUnit);
    if (const auto unit = ends.lender.lend(payload(size, turn))) {
      held.push_back({*ends.borrower.borrow(*unit, size), size, turn});
      ++lent;
    }
    while (!held.empty() && (held.size() > 40 || random() % 8 != 0)) {
      std::swap(held[random() % held.size()], held.back());
      if (turn % 16 == 0) {
        std::thread([&, one = std::exchange(held.back().bytes, {})] {
          if (!(one == Bytes::own(payload(held.back().size, held.back().seed)))) std::abort();
        }).join();
      } else if (!right(held.back())) {
        FAIL("written over");
      }
      held.pop_back();
      if (random() % 3 == 0) break;
    }
  }
  CHECK(lent > 1000);
  for (const auto& one : held) CHECK(right(one));
}
