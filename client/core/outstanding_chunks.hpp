// The chunks of a job whose results are not all accepted: their inputs, kept until then, and which
// items are still missing.
//
// This is where "exactly once" is decided. Results come for runs of items: a whole chunk, or a part
// of one that was cut at a guilty item, possibly twice (an attempt believed lost may answer late).
// Invariants: chunks do not overlap; a chunk leaves when none of its items is missing.
// Pure; one owner.
#pragma once

#include <cstdint>
#include <vector>

#include "protocol/ascending_map.hpp"
#include "protocol/messages.hpp"

namespace achilles::client {

class OutstandingChunks {
 public:
  void add(protocol::Chunk chunk);

  /// What is new in a run of results.
  struct Accepted {
    std::vector<protocol::ChunkResult> pieces;  ///< Disjoint, in order, all missing before.
    std::uint64_t finished_chunks = 0;
    std::uint64_t finished_bytes = 0;  ///< Input bytes of the finished chunks.
  };
  Accepted accept(protocol::ChunkResult result);

  bool empty() const { return chunks_.empty(); }
  std::uint64_t count() const { return chunks_.size(); }
  std::uint64_t bytes() const { return bytes_; }

  /// The unfinished inputs, cut to the items that are missing: for a broker that lost everything.
  std::vector<protocol::Chunk> missing() const;

 private:
  struct Range {
    protocol::ItemIndex begin = 0;
    protocol::ItemIndex end = 0;
  };
  struct Entry {
    protocol::Chunk chunk;
    std::vector<Range> missing;  // Ordered, disjoint. Empty: all of its items.

    protocol::ItemIndex end() const { return chunk.first + chunk.items.count(); }
  };
  /// False: nothing of the entry is missing any more.
  static bool accept_into(Entry& entry, const protocol::ChunkResult& result, Accepted& accepted);
  void finish(const Entry& entry, Accepted& accepted);

  protocol::AscendingMap<protocol::ItemIndex, Entry> chunks_;  // By the first item.
  std::uint64_t bytes_ = 0;
};

/// Items [begin, end) of a chunk's results, with their errors. REQUIRES: within the result.
protocol::ChunkResult slice(const protocol::ChunkResult& result, protocol::ItemIndex begin,
                            protocol::ItemIndex end);

}  // namespace achilles::client
