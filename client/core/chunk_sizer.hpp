// How many items the next chunk of a job should hold.
//
// The user's chunksize, if there is one. Otherwise a few milliseconds of work by the measured time
// per item: one item a chunk until the first times are known; no more than give results of some
// hundred KiB together, as results have shown so far, so that many small pieces are under way and
// not few large ones; and, where the input's size is known, never more than a quarter of a slot's
// even share of what is left, so that the last chunks are small. Pure; one owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "protocol/time.hpp"

namespace achilles::client {

class ChunkSizer {
 public:
  ChunkSizer(std::uint64_t chunksize, std::optional<std::uint64_t> item_count)
      : chunksize_(chunksize), item_count_(item_count) {}

  /// A chunk closes when it holds this many bytes, whatever its count. Its results should have no
  /// more.
  static constexpr std::uint64_t kMaxChunkBytes = 256U << 10;
  /// And never more items than this, asked for or not: were all of them to fail, their errors must
  /// still fit into one message.
  static constexpr std::uint64_t kMaxChunkItems = 1U << 16;
  /// A chunk that travels alone wakes a dozen threads between its client and a far worker and back,
  /// 150 us of processor time in all: less than two per cent of this.
  static constexpr protocol::Duration kTargetTime = std::chrono::milliseconds(8);

  /// Items in the next chunk, at least 1.
  std::uint64_t next_count(std::uint64_t items_submitted, std::uint32_t slots) const;
  /// Items of each chunk, where the user chose that; 0: they were not told.
  std::uint64_t fixed_count() const { return std::min(chunksize_, kMaxChunkItems); }
  /// Chunks that may be under way: few until the first times are known.
  std::uint64_t max_chunks_under_way(std::uint32_t slots) const;
  void note_result(std::uint64_t items, protocol::Duration busy, std::uint64_t bytes);

 private:
  std::uint64_t chunksize_;
  std::optional<std::uint64_t> item_count_;
  double item_ns_ = -1;      // Moving average; negative while unknown.
  double result_bytes_ = 0;  // Of an item; likewise, but for that.
};

}  // namespace achilles::client
