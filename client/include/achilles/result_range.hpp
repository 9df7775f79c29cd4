// ResultRange: the results of a job as a lazy input range.
//
// Moving on pulls input, as far as the Pool has room, and waits for the next result. Leaving the
// range (break, an exception, its destruction) cancels what is left of the job.
//
// A failed item throws achilles::RemoteError when its result is looked at (*it); ++it then goes on
// with the next. An exception of the input range itself comes after the results of all items before
// it.
//
// Thread ownership: one thread at a time. It keeps the Pool's cluster alive: pool-less temporaries
// as in `for (auto y : Pool{}.imap(f, xs))` are safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "achilles/detail/job_handle.hpp"
#include "achilles/detail/registration.hpp"
#include "achilles/values.hpp"

namespace achilles {

/// A result with the position of its item in the input.
template <class R>
struct Indexed {
  std::uint64_t index;
  R value;
};

namespace detail {

/// Fills chunks from a range, and only as much as is asked for.
template <class A, class View>
class InputPump {
 public:
  explicit InputPump(View view) : view_(std::move(view)) {}

  /// Appends items until a chunk was handed over, a result is ready, or the input ends. An
  /// exception of the range ends the input and is kept.
  void pull(JobHandle& job) {
    try {
      if constexpr (kFlat) {
        pull_blocks(job);
      } else {
        pull_items(job);
      }
    } catch (...) {
      failure_ = std::current_exception();
      end(job);
    }
  }
  const std::exception_ptr& failure() const { return failure_; }

 private:
  using Iterator = std::ranges::iterator_t<View>;
  static constexpr bool kFlat = std::ranges::contiguous_range<View> &&
                                std::ranges::sized_range<View> && Scalar<A> &&
                                std::same_as<std::ranges::range_value_t<View>, A>;

  void end(JobHandle& job) {
    job.submit();
    job.end_input();
  }

  /// Numbers that lie one after another are taken a chunk at a time.
  void pull_blocks(JobHandle& job) {
    const auto size = static_cast<std::size_t>(std::ranges::size(view_));
    if (position_ < size) {
      auto& open = job.open_chunk();
      const std::lock_guard lock(open.mutex);
      const auto room = std::max<std::uint64_t>(OpenChunk::kBytesMax / sizeof(A), 1);
      const auto wanted = open.items_max * open.chunks_at_once;
      const auto count = std::min({wanted, room, std::uint64_t{size - position_}});
      open.opened_at = std::chrono::steady_clock::now();
      const std::span block(std::ranges::data(view_) + position_, count);
      open.items.append_block(std::as_bytes(block), sizeof(A), count);
      position_ += count;
    }
    if (position_ == size) return end(job);
    job.submit();
  }

  void pull_items(JobHandle& job) {
    auto& open = job.open_chunk();
    while (true) {
      // The range moves on only when its next item is wanted: a generator may take long.
      if (!at_) {
        at_.emplace(std::ranges::begin(view_));
      } else {
        ++*at_;
      }
      if (*at_ == std::ranges::end(view_)) return end(job);
      bool full = false;
      bool crowded = false;
      bool begun = false;
      {
        const std::lock_guard lock(open.mutex);
        append(open, **at_);
        crowded = !open.fits(index_++);
        if (!crowded) open.items.end_item();
        full = open.full();
        begun = open.items.count() < open.items_max;
      }
      if (crowded) {
        job.submit();  // Those before it; together they would be too large.
        const std::lock_guard lock(open.mutex);
        open.items.end_item();
      }
      if (full) return job.submit();
      if (begun && open.result_ready.load(std::memory_order_relaxed)) return;
    }
  }

  /// Its bytes only: whether it may go, and with the others, is seen then.
  template <class Reference>
  static void append(OpenChunk& open, Reference&& item) {
    if (open.items.empty()) open.opened_at = std::chrono::steady_clock::now();
    try {
      if constexpr (std::same_as<stored_t<Reference>, A>) {
        encode_value(open.items.buffer(), item);  // A itself, or a view of one.
      } else {
        encode_value(open.items.buffer(), static_cast<A>(std::forward<Reference>(item)));
      }
    } catch (...) {
      open.items.abandon_item();
      throw;
    }
  }

  View view_;
  std::optional<Iterator> at_;
  std::size_t position_ = 0;
  std::uint64_t index_ = 0;
  std::exception_ptr failure_;
};

/// What the results' consumer holds: the job, the input, and the result it stands at.
template <class R>
class ResultStream {
 public:
  using Result = R;
  using Pull = std::function<void(JobHandle&)>;
  using InputFailure = std::function<std::exception_ptr()>;

  ResultStream(std::shared_ptr<Engine> engine, JobRequest request, Pull pull, InputFailure failure)
      : job_(std::make_unique<JobHandle>(std::move(engine), std::move(request))),
        pull_(std::move(pull)),
        input_failure_(std::move(failure)) {}

  /// Goes to the next result; false at the end. Throws the input range's own exception in its
  /// place.
  bool advance() {
    current_.reset();
    if (job_ == nullptr) return false;
    while (!next_in_piece()) {
      switch (job_->wait()) {
        case JobHandle::Next::kResult:
          piece_ = job_->take();
          cursor_.emplace(piece_.layout, piece_.payload);
          next_index_ = piece_.first;
          next_error_ = 0;
          break;
        case JobHandle::Next::kInput:
          pull_(*job_);
          break;
        case JobHandle::Next::kEnd:
          job_.reset();
          if (auto failure = input_failure_()) std::rethrow_exception(failure);
          return false;
      }
    }
    return true;
  }

  /// The result it stands at; decoded at first sight. Throws RemoteError or TaskCrashed.
  Indexed<R>& current() {
    if (failure_ != nullptr) JobHandle::throw_failure(*failure_);
    if (!current_) current_.emplace(Indexed<R>{index_, decode_value<R>(bytes_)});
    return *current_;
  }
  std::uint64_t index() const { return index_; }

  /// Appends all results that are left. Throws what current() and advance() throw.
  void collect(std::vector<R>& values) {
    while (advance()) {
      values.push_back(std::move(current().value));
      if constexpr (FlatScalar<R>) collect_block(values);
    }
  }

 private:
  /// What is left of the piece, when it is numbers that lie one after another.
  void collect_block(std::vector<R>& values) {
    const bool all_well = next_error_ == piece_.errors.size();
    if (!all_well || !piece_.layout.uniform() || piece_.layout.stride != sizeof(R)) return;
    const auto bytes = cursor_->take_rest();
    const std::size_t before = values.size();
    const std::size_t count = bytes.size() / sizeof(R);
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(R) == 0) {
      // Copied into memory that was not set to zero first.
      const auto* numbers = reinterpret_cast<const R*>(bytes.data());
      values.insert(values.end(), numbers, numbers + count);
    } else {
      values.resize(before + count);
      std::memcpy(values.data() + before, bytes.data(), bytes.size());
    }
  }

  bool next_in_piece() {
    if (!cursor_ || cursor_->done()) return false;
    bytes_ = cursor_->next();
    index_ = next_index_++;
    failure_ = nullptr;
    if (next_error_ < piece_.errors.size() && piece_.errors[next_error_].first == index_) {
      failure_ = &piece_.errors[next_error_++].second;
    }
    return true;
  }

  std::unique_ptr<JobHandle> job_;
  Pull pull_;
  InputFailure input_failure_;
  ResultPiece piece_;
  std::optional<protocol::ItemCursor> cursor_;
  std::uint64_t next_index_ = 0;
  std::size_t next_error_ = 0;
  std::uint64_t index_ = 0;
  std::span<const std::byte> bytes_;
  const RemoteError::Details* failure_ = nullptr;
  std::optional<Indexed<R>> current_;
};

}  // namespace detail

template <class R, bool kIndexed = false>
class [[nodiscard("a range of results that is not looped over computes nothing")]] ResultRange
    : public std::ranges::view_interface<ResultRange<R, kIndexed>> {
 public:
  using Value = std::conditional_t<kIndexed, Indexed<R>, R>;

  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Value;

    explicit Iterator(std::shared_ptr<detail::ResultStream<R>> stream)
        : stream_(std::move(stream)), at_end_(!stream_->advance()) {}
    Iterator(Iterator&&) = default;
    Iterator& operator=(Iterator&&) = default;

    /// Throws RemoteError, or TaskCrashed, when the item failed.
    Value& operator*() const {
      if constexpr (kIndexed) {
        return stream_->current();
      } else {
        return stream_->current().value;
      }
    }
    /// Waits for the next result.
    Iterator& operator++() {
      at_end_ = !stream_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    /// Position of the item in the input; does not throw when the item failed.
    std::uint64_t index() const { return stream_->index(); }
    friend bool operator==(const Iterator& at, std::default_sentinel_t) { return at.at_end_; }

   private:
    std::shared_ptr<detail::ResultStream<R>> stream_;
    bool at_end_;
  };

  explicit ResultRange(std::shared_ptr<detail::ResultStream<R>> stream)
      : stream_(std::move(stream)) {}
  ResultRange(ResultRange&&) = default;
  ResultRange& operator=(ResultRange&&) = default;

  /// Waits for the first result. Once only: results are handed over once.
  Iterator begin() { return Iterator(stream_); }
  std::default_sentinel_t end() const { return {}; }

  /// The same results, each with its item's position: for (auto [index, value] : range.indexed()).
  ResultRange<R, true> indexed() && { return ResultRange<R, true>(std::move(stream_)); }

 private:
  std::shared_ptr<detail::ResultStream<R>> stream_;
};

}  // namespace achilles
