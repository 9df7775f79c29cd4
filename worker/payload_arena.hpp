// PayloadArena: payloads in memory that a worker and a task process share, read where they lie.
//
// Each direction of a task channel has one. The *lender* copies a payload in and says where it is;
// the *borrower* reads it in place and gives it back when the last Bytes that looks into it is
// gone. So a payload is copied once, where a socket copies it twice and wakes both ends each time
// its buffer is full: 1 MiB to a task process and back took 0.63 ms with the socket and takes
// 0.18 ms so. (4 MiB: with a half of it twice as long, with four times of it no shorter.)
//
// The lender never waits: what finds no room goes through the socket. It takes the lowest room
// that is free, so that few pages are used, again and again, while they are in the caches; fresh
// pages cost more than the socket does.
//
// Invariants: a unit is the lender's, or lent; only the lender lends, only the borrower gives back.
// Lending is for one thread at a time, borrowing too. The Bytes may die on any thread, and after
// the arena.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "protocol/bytes.hpp"

namespace achilles::worker {

class PayloadArena {
 public:
  /// What lies in shared memory. All zeros at first.
  struct Memory {
    static constexpr std::size_t kUnits = 64;  ///< One for each bit.
    static constexpr std::size_t kUnitBytes = 64 << 10;
    alignas(4096) std::atomic<std::uint64_t> returned;  ///< Units given back since last looked at.
    alignas(4096) std::byte units[kUnits][kUnitBytes];
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "it is shared between processes");

  /// Kept alive by this arena and by all Bytes borrowed of it.
  explicit PayloadArena(std::shared_ptr<Memory> memory) : memory_(std::move(memory)) {}

  /// The lender's: copies the payload in and answers its first unit; nothing when there is no room.
  std::optional<std::uint32_t> lend(std::span<const std::byte> payload);
  /// The borrower's: what was lent. Nothing when no payload of this size can begin there.
  std::optional<protocol::Bytes> borrow(std::uint32_t first_unit, std::size_t size) const;

 private:
  std::shared_ptr<Memory> memory_;
  std::uint64_t lent_ = 0;  ///< The lender's: a bit for each unit.
};

}  // namespace achilles::worker
