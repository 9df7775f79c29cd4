#include "client/core/reorder_buffer.hpp"

#include <utility>

#include "protocol/mutant.hpp"

namespace achilles::client {

using protocol::mutant;
using protocol::Mutant;

void ReorderBuffer::add(protocol::ChunkResult piece) {
  bytes_ += protocol::credit_cost(piece);
  const bool waits = ordered_ && piece.first != ready_to_ && !mutant(Mutant::kResultsOutOfOrder);
  if (waits) {
    const auto first = piece.first;
    early_.emplace(first, std::move(piece));
    return;
  }
  make_ready(std::move(piece));
  for (auto next = early_.find(ready_to_); next != early_.end(); next = early_.find(ready_to_)) {
    make_ready(std::move(next->second));
    early_.erase(next);
  }
}

void ReorderBuffer::make_ready(protocol::ChunkResult piece) {
  ready_to_ = piece.first + piece.items.count();
  ready_.push_back(std::move(piece));
}

protocol::ChunkResult ReorderBuffer::take() {
  protocol::ChunkResult piece = std::move(ready_.front());
  ready_.pop_front();
  if (ordered_) next_ = piece.first + piece.items.count();
  bytes_ -= protocol::credit_cost(piece);
  return piece;
}

}  // namespace achilles::client
