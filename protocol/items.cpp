#include "protocol/items.hpp"

#include <algorithm>

namespace achilles::protocol {

Items slice(const Items& items, std::uint64_t from, std::uint64_t count) {
  Items part;
  part.layout.count = count;
  if (items.layout.uniform()) {
    part.layout.stride = items.layout.stride;
  } else {
    const auto begin = items.layout.sizes.begin() + static_cast<std::ptrdiff_t>(from);
    part.layout.sizes.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  }
  part.payload = items.payload.slice(items.layout.bytes_before(from), part.layout.total_bytes());
  return part;
}

}  // namespace achilles::protocol
