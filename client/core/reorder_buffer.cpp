#include "client/core/reorder_buffer.hpp"

#include <utility>

#include "protocol/mutant.hpp"

namespace achilles::client {

using protocol::mutant;
using protocol::Mutant;

void ReorderBuffer::add(protocol::ChunkResult piece) {
  bytes_ += protocol::credit_cost(piece);
  if (ordered_) {
    const auto first = piece.first;
    by_index_.emplace(first, std::move(piece));
  } else {
    as_they_came_.push_back(std::move(piece));
  }
}

bool ReorderBuffer::ready() const {
  if (!ordered_) return !as_they_came_.empty();
  if (by_index_.empty()) return false;
  return by_index_.begin()->first == next_ || mutant(Mutant::kResultsOutOfOrder);
}

protocol::ChunkResult ReorderBuffer::take() {
  protocol::ChunkResult piece;
  if (ordered_) {
    piece = by_index_.take(by_index_.begin()->first);
    next_ = piece.first + piece.items.count();
  } else {
    piece = std::move(as_they_came_.front());
    as_they_came_.pop_front();
  }
  bytes_ -= protocol::credit_cost(piece);
  return piece;
}

}  // namespace achilles::client
