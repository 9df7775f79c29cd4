// Accepted results that the user has not taken yet: handed over in input order, or as they came.
//
// Invariant: pieces do not overlap (OutstandingChunks saw to it). Pure; one owner.
#pragma once

#include <cstdint>
#include <deque>

#include "protocol/ascending_map.hpp"
#include "protocol/messages.hpp"

namespace achilles::client {

class ReorderBuffer {
 public:
  explicit ReorderBuffer(bool ordered) : ordered_(ordered) {}

  void add(protocol::ChunkResult piece);
  /// A piece can be taken now.
  bool ready() const;
  /// REQUIRES: ready().
  protocol::ChunkResult take();
  /// The item whose result comes next; where order does not matter, 0.
  protocol::ItemIndex next_index() const { return next_; }
  std::uint64_t bytes() const { return bytes_; }
  bool empty() const { return ordered_ ? by_index_.empty() : as_they_came_.empty(); }

 private:
  bool ordered_;
  protocol::ItemIndex next_ = 0;
  std::uint64_t bytes_ = 0;
  protocol::AscendingMap<protocol::ItemIndex, protocol::ChunkResult> by_index_;
  std::deque<protocol::ChunkResult> as_they_came_;
};

}  // namespace achilles::client
