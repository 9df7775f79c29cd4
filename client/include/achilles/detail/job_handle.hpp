// JobHandle: one call of map, imap or apply, without its types.
//
// Thread ownership: used by the one thread that consumes the job; the open chunk is shared with the
// Pool's background thread, which closes it when it grows old.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "achilles/error.hpp"
#include "achilles/host/function_table.hpp"
#include "achilles/options.hpp"
#include "achilles/protocol/items.hpp"

namespace achilles::detail {

class Engine;

/// What a job calls.
struct JobRequest {
  const host::FunctionRecord* record = nullptr;
  std::vector<std::byte> context;       ///< What is bound to the function, encoded.
  std::span<const std::byte> captured;  ///< Where a pointer might hide.
  CallOptions options;
  bool ordered = true;
  std::optional<std::uint64_t> item_count;
};

/// A run of results; its payload is good until the next one is taken.
struct ResultPiece {
  std::uint64_t first = 0;
  protocol::ItemLayout layout;
  std::span<const std::byte> payload;
  std::vector<std::pair<std::uint64_t, RemoteError::Details>> errors;  ///< By index.
};

/// The chunk that is being filled; several, where the user chose a small chunksize and the input
/// comes fast: handing over a chunk takes longer than many an item.
struct OpenChunk {
  std::mutex mutex;
  protocol::ItemBuilder items;
  std::uint64_t items_max = 1;       ///< Of a chunk.
  std::uint64_t chunks_at_once = 1;  ///< So many are handed over together.
  std::uint64_t item_bytes_max = 0;  ///< Set before input is asked for.
  std::chrono::steady_clock::time_point opened_at;
  /// A result is ready: time to stop pulling input. A hint; written by whoever drives the Pool.
  std::atomic<bool> result_ready = false;

  static constexpr std::uint64_t kBytesMax = 256U << 10;
  static constexpr std::uint64_t kItemsAtOnceMax = 64;
  static constexpr std::uint64_t kBytesAtOnceMax = 16U << 10;
  /// An input that needs no longer for a chunk comes fast. Where it becomes slow all the same, the
  /// Pool's background thread hands over what is there.
  static constexpr std::chrono::microseconds kFast{10};
  /// Checks the item that is not ended yet: throws ItemTooLarge, and forgets it. False: it goes
  /// into a chunk of its own. REQUIRES: mutex held.
  bool fits(std::uint64_t index) {
    if (items.open_bytes() > item_bytes_max) [[unlikely]] {
      refuse_open_item(index);
    }
    return items.empty() || items.bytes() <= item_bytes_max;
  }
  /// Time to hand it over. REQUIRES: mutex held.
  bool full() const {
    if (items.bytes() >= kBytesMax) return true;
    if (items.count() < items_max) return false;
    if (chunks_at_once == 1 || items.count() >= items_max * chunks_at_once) return true;
    const bool enough =
        items.bytes() >= kBytesAtOnceMax || result_ready.load(std::memory_order_relaxed);
    return enough && items.count() % items_max == 0;
  }
  /// So many chunks of so many items are wanted next. REQUIRES: mutex held.
  void want(std::uint64_t chunk_items, std::uint64_t chunks);
  /// It is handed over: learns how fast the input comes. REQUIRES: mutex held, not empty.
  void learn_pace(std::chrono::steady_clock::time_point now);

 private:
  [[noreturn]] void refuse_open_item(std::uint64_t index);

  std::uint64_t pace_ = 1;  ///< Chunks that are likely to come fast.
};

class JobHandle {
 public:
  JobHandle(std::shared_ptr<Engine> engine, JobRequest request);
  /// Cancels what is left of the job.
  ~JobHandle();
  JobHandle(const JobHandle&) = delete;
  JobHandle& operator=(const JobHandle&) = delete;

  enum class Next { kResult, kInput, kEnd };
  /// Waits until a result can be taken, input is wanted, or all is done. Throws JobFailed,
  /// BrokerUnreachable, PoolClosed.
  Next wait();
  /// REQUIRES: wait() answered kResult.
  ResultPiece take();

  OpenChunk& open_chunk() { return *open_; }
  /// Hands the open chunk over, however full it is.
  void submit();
  void end_input();

  /// A failed item as the exception it becomes.
  [[noreturn]] static void throw_failure(const RemoteError::Details& details);

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::shared_ptr<OpenChunk> open_;
};

}  // namespace achilles::detail
