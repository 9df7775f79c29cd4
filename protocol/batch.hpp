// Batches: many small things in one message, few enough that a message stays small.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "protocol/limits.hpp"

namespace achilles::protocol {

/// Calls `send(std::vector<Element>)` for one batch of `all` after another, each within
/// kBatchChunks and kBatchBytes, or a single element. `bytes_of(element)` tells an element's size.
template <class Element, class BytesOf, class Send>
void send_batched(std::vector<Element>&& all, BytesOf&& bytes_of, Send&& send) {
  std::vector<Element> batch;
  batch.reserve(std::min<std::size_t>(all.size(), kBatchChunks));
  std::uint64_t bytes = 0;
  for (auto& element : all) {
    const std::uint64_t more = bytes_of(element);
    if (!batch.empty() && (batch.size() >= kBatchChunks || bytes + more > kBatchBytes)) {
      send(std::exchange(batch, {}));
      bytes = 0;
    }
    bytes += more;
    batch.push_back(std::move(element));
  }
  if (!batch.empty()) send(std::move(batch));
  all.clear();
}

}  // namespace achilles::protocol
