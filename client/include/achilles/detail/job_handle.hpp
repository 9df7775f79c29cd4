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

/// A run of results.
struct ResultPiece {
  std::uint64_t first = 0;
  protocol::ItemLayout layout;
  std::span<const std::byte> payload;
  std::shared_ptr<const void> owner;
  std::vector<std::pair<std::uint64_t, RemoteError::Details>> errors;  ///< By index.
};

/// The chunk that is being filled.
struct OpenChunk {
  std::mutex mutex;
  protocol::ItemBuilder items;
  std::uint64_t items_max = 1;
  std::chrono::steady_clock::time_point opened_at;
  /// A result is ready: time to stop pulling input. A hint; written by whoever drives the Pool.
  std::atomic<bool> result_ready = false;

  static constexpr std::uint64_t kBytesMax = 256U << 10;
  /// With what a chunk may hold before it, an item must fit into one payload of the protocol.
  static constexpr std::uint64_t kItemBytesMax = (1ULL << 30) - kBytesMax;
  /// REQUIRES: mutex held.
  bool full() const { return items.count() >= items_max || items.bytes() >= kBytesMax; }
  /// The bytes appended to `items` since its last item are one more. Throws Error when they are too
  /// many. REQUIRES: mutex held.
  void end_item() {
    if (items.unfinished_bytes() > kItemBytesMax) throw_too_large(items.unfinished_bytes());
    items.end_item();
  }
  [[noreturn]] static void throw_too_large(std::uint64_t bytes);
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
