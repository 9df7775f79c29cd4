#include "worker/payload_arena.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace achilles::worker {
namespace {

using Memory = PayloadArena::Memory;

std::size_t units_for(std::size_t bytes) {
  return (bytes + Memory::kUnitBytes - 1) / Memory::kUnitBytes;
}

/// The bits of `count` units from `first` on. REQUIRES: they are units.
std::uint64_t bits_of(std::size_t first, std::size_t count) {
  return (~std::uint64_t{0} >> (Memory::kUnits - count)) << first;
}

/// The lowest place where `count` bits of `free` follow one another; kUnits when there is none.
std::size_t find_run(std::uint64_t free, std::size_t count) {
  // Doubling: after each turn a bit says that `have` free ones begin with it.
  for (std::size_t have = 1; have < count && free != 0;) {
    const std::size_t more = std::min(have, count - have);
    free &= free >> more;
    have += more;
  }
  return static_cast<std::size_t>(std::countr_zero(free));
}

/// Gives the units back when the last Bytes that looks into them is gone.
class Borrowed {
 public:
  Borrowed(std::shared_ptr<Memory> memory, std::uint64_t units)
      : memory_(std::move(memory)), units_(units) {}
  ~Borrowed() { memory_->returned.fetch_or(units_, std::memory_order_release); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

 private:
  std::shared_ptr<Memory> memory_;
  std::uint64_t units_;
};

}  // namespace

std::optional<std::uint32_t> PayloadArena::lend(std::span<const std::byte> payload) {
  const std::size_t count = units_for(payload.size());
  if (count == 0 || count > Memory::kUnits) return std::nullopt;
  lent_ &= ~memory_->returned.exchange(0, std::memory_order_acquire);
  const std::size_t first = find_run(~lent_, count);
  if (first == Memory::kUnits) return std::nullopt;
  lent_ |= bits_of(first, count);
  std::memcpy(memory_->units[first], payload.data(), payload.size());
  return static_cast<std::uint32_t>(first);
}

std::optional<protocol::Bytes> PayloadArena::borrow(std::uint32_t first_unit,
                                                    std::size_t size) const {
  const std::size_t count = units_for(size);
  if (count == 0 || count > Memory::kUnits || first_unit > Memory::kUnits - count) {
    return std::nullopt;
  }
  const std::span<const std::byte> payload(memory_->units[first_unit], size);
  return protocol::Bytes(payload, std::make_shared<Borrowed>(memory_, bits_of(first_unit, count)));
}

}  // namespace achilles::worker
