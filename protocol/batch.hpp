// Batches: many small things in one message, few enough that a message stays small.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "protocol/limits.hpp"

namespace achilles::protocol {

/// Calls `send(std::vector<Element>)` for one batch of `all` after another, each within
/// kBatchChunks and kBatchBytes, or a single element. `bytes_of(element)` tells an element's size.
template <class Element, class BytesOf, class Send>
void send_batched(std::vector<Element>&& all, BytesOf&& bytes_of, Send&& send) {
  const auto part = [&all](std::size_t begin, std::size_t end) {
    const auto from = std::make_move_iterator(all.begin());
    return std::vector<Element>(from + static_cast<std::ptrdiff_t>(begin),
                                from + static_cast<std::ptrdiff_t>(end));
  };
  std::size_t begin = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::uint64_t more = bytes_of(all[i]);
    if (i > begin && (i - begin >= kBatchChunks || bytes + more > kBatchBytes)) {
      send(part(begin, i));
      begin = i;
      bytes = 0;
    }
    bytes += more;
  }
  // Nearly always it is one batch, and goes as it lies.
  if (begin > 0) return send(part(begin, all.size()));
  if (!all.empty()) send(std::move(all));
}

}  // namespace achilles::protocol
