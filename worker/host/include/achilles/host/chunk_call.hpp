// ChunkCall: one chunk being worked on, as the host hands it to a function's thunk.
//
// A concrete class with inline members, because every item passes through it.
// Thread ownership: the host's main thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "achilles/protocol/items.hpp"

namespace achilles::host {

class ChunkCall {
 public:
  /// How far an item got when an exception escapes: says what kind of error it is.
  enum class Stage : std::uint8_t { kDecodeContext, kDecodeInput, kCall, kEncodeResult };

  /// What the host shares with its worker: what is being worked on, and whether this job is to be
  /// left undone. `skip_sequence` changes whenever the answer of `asked_to_skip` may have.
  struct Watch {
    std::atomic<std::uint64_t>* running_item = nullptr;
    const std::atomic<std::uint64_t>* skip_sequence = nullptr;
    std::function<bool()> asked_to_skip;
  };
  using OnFailure = std::function<void(std::uint64_t index, Stage stage)>;

  ChunkCall(std::span<const std::byte> context, std::shared_ptr<void>& state, std::uint64_t first,
            protocol::ItemCursor inputs, std::uint64_t results_bytes_max, Watch watch,
            OnFailure on_failure)
      : context_(context),
        state_(state),
        next_index_(first),
        inputs_(inputs),
        results_bytes_max_(results_bytes_max),
        watch_(std::move(watch)),
        on_failure_(std::move(on_failure)) {}
  ChunkCall(const ChunkCall&) = delete;
  ChunkCall& operator=(const ChunkCall&) = delete;

  /// What is bound to the job's function, encoded.
  std::span<const std::byte> context() const { return context_; }
  /// The job's decoded function, kept from chunk to chunk; empty before the first.
  std::shared_ptr<void>& state() { return state_; }

  /// Goes to the next item. False: there is none, or the job is to be left undone.
  bool begin_item() {
    if (inputs_.done() || skipped()) return false;
    input_ = inputs_.next();
    index_ = next_index_++;
    watch_.running_item->store(index_, std::memory_order_relaxed);
    return true;
  }
  std::span<const std::byte> input() const { return input_; }
  std::uint64_t index() const { return index_; }
  void enter(Stage stage) { stage_ = stage; }
  /// Where the item's result is appended.
  protocol::ItemBuilder& results() { return results_; }
  /// The item's result is complete. Throws when it is larger than a chunk's results may be.
  void end_item() {
    if (results_.bytes() > results_bytes_max_) throw_too_large();
    results_.end_item();
  }
  /// Makes the exception being handled the item's result. Call from inside a catch block.
  void fail_item() {
    results_.abandon_item();
    results_.end_item();
    on_failure_(index_, stage_);
  }

 private:
  bool skipped() {
    const auto sequence = watch_.skip_sequence->load(std::memory_order_acquire);
    if (sequence != seen_sequence_) {
      seen_sequence_ = sequence;
      skipped_ = watch_.asked_to_skip();
    }
    return skipped_;
  }
  [[noreturn]] void throw_too_large() const;

  std::span<const std::byte> context_;
  std::shared_ptr<void>& state_;
  std::uint64_t next_index_;
  std::uint64_t index_ = 0;
  protocol::ItemCursor inputs_;
  std::span<const std::byte> input_;
  protocol::ItemBuilder results_;
  std::uint64_t results_bytes_max_;
  Stage stage_ = Stage::kDecodeContext;
  Watch watch_;
  std::uint64_t seen_sequence_ = 0;
  bool skipped_ = false;
  OnFailure on_failure_;
};

}  // namespace achilles::host
