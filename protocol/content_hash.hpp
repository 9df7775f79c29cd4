// ContentHash: a program's name, the BLAKE2b-256 hash of its bytes, fed piece by piece.
//
// One owner, no locking. Takes about a second for a gigabyte: hash beside a loop, not in it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "protocol/ids.hpp"

namespace achilles::protocol {

class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(ContentHash&&) noexcept;
  ContentHash& operator=(ContentHash&&) noexcept;

  void update(std::span<const std::byte> bytes);
  /// Call once, last.
  ProgramId finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

ProgramId hash_of(std::span<const std::byte> bytes);

}  // namespace achilles::protocol
