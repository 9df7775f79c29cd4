// Items: encoded values with their layout, as chunks carry them.
#pragma once

#include <cstdint>

#include "achilles/protocol/items.hpp"
#include "protocol/bytes.hpp"

namespace achilles::protocol {

/// Invariant once decoded: payload.size() == layout.total_bytes().
struct Items {
  ItemLayout layout;
  Bytes payload;

  std::uint64_t count() const { return layout.count; }
  std::uint64_t bytes() const { return payload.size(); }
  bool operator==(const Items&) const = default;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("layout", self.layout);
    visit("payload", self.payload);
  }
};

/// Items [from, from + count) of `items`, sharing its bytes. REQUIRES: from + count <=
/// items.count().
Items slice(const Items& items, std::uint64_t from, std::uint64_t count);

}  // namespace achilles::protocol
