// A fuzz target's input, read as numbers and bytes. Beyond its end there are zeros.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <span>

#include "protocol/bytes.hpp"

namespace achilles::fuzz {

inline void require(bool held, std::source_location at = std::source_location::current()) {
  if (held) return;
  std::fprintf(stderr, "%s:%u does not hold\n", at.file_name(), at.line());
  std::abort();
}

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }
  std::uint64_t u8() {
    if (rest_.empty()) return 0;
    const std::uint8_t byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }
  std::uint64_t u16() {
    const std::uint64_t low = u8();
    return low | u8() << 8;
  }
  /// Small, or up to 2^63 where its highest bit is set.
  std::uint64_t size() {
    const std::uint64_t value = u16();
    return value < 1 << 15 ? value : (value & 0x7FFF) << (u8() % 49);
  }
  /// A copy of its own: reading past its end is found by the sanitizer.
  protocol::Bytes bytes(std::uint64_t size) {
    const auto taken = rest_.first(std::min<std::size_t>(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return protocol::Bytes::copy(std::as_bytes(taken));
  }

 private:
  std::span<const std::uint8_t> rest_;
};

}  // namespace achilles::fuzz
