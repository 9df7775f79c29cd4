// Accepted results that the user has not taken yet: handed over in input order, or as they came.
//
// With thousands of workers thousands of results wait for an earlier one, in no order at all: they
// are found by the one question that is asked of them, who comes next, which costs the same for
// any number of them.
//
// Invariants: pieces do not overlap (OutstandingChunks saw to it); where order matters, those that
// are ready follow each other without a gap, and none of the early ones follows them.
// Pure; one owner.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>

#include "protocol/messages.hpp"

namespace achilles::client {

class ReorderBuffer {
 public:
  explicit ReorderBuffer(bool ordered) : ordered_(ordered) {}

  void add(protocol::ChunkResult piece);
  /// A piece can be taken now.
  bool ready() const { return !ready_.empty(); }
  /// REQUIRES: ready().
  protocol::ChunkResult take();
  /// The item whose result comes next; where order does not matter, 0.
  protocol::ItemIndex next_index() const { return next_; }
  std::uint64_t bytes() const { return bytes_; }
  bool empty() const { return ready_.empty() && early_.empty(); }

 private:
  void make_ready(protocol::ChunkResult piece);

  bool ordered_;
  protocol::ItemIndex next_ = 0;
  protocol::ItemIndex ready_to_ = 0;  ///< Where order matters: behind the last that is ready.
  std::uint64_t bytes_ = 0;
  std::deque<protocol::ChunkResult> ready_;
  std::unordered_map<protocol::ItemIndex, protocol::ChunkResult> early_;  ///< By the first item.
};

}  // namespace achilles::client
