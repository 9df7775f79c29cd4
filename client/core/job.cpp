#include "client/core/job.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "protocol/mutant.hpp"

namespace achilles::client {

using protocol::mutant;
using protocol::Mutant;

namespace {

/// A wait this long for an item that the broker was not told of may be a wait for credit: tell it.
/// Shorter waits are the ordinary course of things and not worth a message each.
constexpr protocol::Duration kTellWantedAfter = std::chrono::milliseconds(5);

}  // namespace

Job::Job(JobOpened opened, std::uint64_t result_bytes_max)
    : spec_(std::move(opened.spec)),
      ordered_(opened.ordered),
      sizer_(opened.chunksize, opened.item_count),
      ready_(opened.ordered),
      result_bytes_max_(result_bytes_max) {}

protocol::OpenJob Job::opening() const {
  protocol::OpenJob open = spec_;
  open.resubmits = resubmits_;
  return open;
}

void Job::restart() {
  std::deque<protocol::Chunk> again;
  for (auto& chunk : outstanding_.missing()) {
    if (!mutant(Mutant::kUnfinishedForgotten)) again.push_back(std::move(chunk));
  }
  resubmits_ += again.size();
  std::move(unsent_.begin(), unsent_.end(), std::back_inserter(again));
  unsent_ = std::move(again);
  outstanding_ = {};
  window_chunks_ = 0;
  window_bytes_ = 0;
  received_bytes_ = 0;
  told_credit_ = 0;
  told_wanted_.reset();
}

void Job::add_chunks(protocol::Items items) {
  const std::uint64_t count = items.count();
  const std::uint64_t each = sizer_.fixed_count();
  if (each == 0 || count <= each) {
    unsent_.push_back({next_index_, std::move(items)});
  } else {
    for (std::uint64_t from = 0; from < count; from += each) {
      unsent_.push_back(
          {next_index_ + from, protocol::slice(items, from, std::min(each, count - from))});
    }
  }
  next_index_ += count;
}

void Job::set_window(const protocol::JobWindow& window) {
  window_chunks_ = window.chunks;
  window_bytes_ = window.bytes;
  window_chunks_peak_ = std::max(window_chunks_peak_, window_chunks_);
  window_bytes_peak_ = std::max(window_bytes_peak_, window_bytes_);
  slots_ = std::max(window.slots, 1U);
}

bool Job::fail_if_too_large(std::uint64_t payload_bytes_max) {
  if (failure_ || unsent_.empty()) return false;
  const protocol::Chunk& next = unsent_.front();
  if (next.items.bytes() <= payload_bytes_max) return false;
  protocol::ErrorRecord error;
  error.kind = protocol::ErrorKind::kJobRefused;
  error.detail = "the chunk at item " + std::to_string(next.first) + " takes " +
                 std::to_string(next.items.bytes()) + " bytes, at most " +
                 std::to_string(payload_bytes_max) +
                 " can be sent to this broker: make its items smaller, use a smaller chunksize, or "
                 "start the broker with a larger --max-payload-mib";
  fail(std::move(error));
  return true;
}

bool Job::has_room_for(const protocol::Chunk& chunk) const {
  return outstanding_.count() < window_chunks_ &&
         (outstanding_.empty() || outstanding_.bytes() + chunk.items.bytes() <= window_bytes_);
}

std::vector<protocol::Chunk> Job::take_sendable() {
  std::vector<protocol::Chunk> chunks;
  while (!unsent_.empty() &&
         (has_room_for(unsent_.front()) || mutant(Mutant::kClientWindowIgnored))) {
    outstanding_.add(unsent_.front());
    chunks.push_back(std::move(unsent_.front()));
    unsent_.pop_front();
    if (resubmits_ > 0) --resubmits_;
  }
  return chunks;
}

bool Job::accept(protocol::ChunkResult result) {
  received_bytes_ += protocol::credit_cost(result);
  const auto busy = protocol::Duration(static_cast<protocol::Duration::rep>(result.busy_ns));
  const auto items = result.items.count();
  const auto bytes = result.items.bytes();
  auto accepted = outstanding_.accept(std::move(result));
  if (accepted.pieces.empty()) return false;
  sizer_.note_result(items, busy, bytes);
  for (auto& piece : accepted.pieces) ready_.add(std::move(piece));
  return true;
}

bool Job::wants_input() const {
  return !input_ended_ && unsent_.empty() && outstanding_.count() < window_chunks_ &&
         outstanding_.count() < sizer_.max_chunks_under_way(slots_) &&
         (outstanding_.empty() || outstanding_.bytes() < window_bytes_);
}

std::uint64_t Job::chunks_wanted() const {
  return sizer_.fixed_count() == 0 ? 1 : window_chunks_ - outstanding_.count();
}

bool Job::finished() const {
  return input_ended_ && unsent_.empty() && outstanding_.empty() && ready_.empty();
}

void Job::note_waiting(protocol::TimePoint now) {
  if (!waiting_since_) waiting_since_ = now;
}

std::optional<protocol::ItemIndex> Job::wanted() const {
  if (!ordered_ || mutant(Mutant::kWantedNotTold)) return std::nullopt;
  return ready_.next_index();
}

std::uint64_t Job::credit_total() const {
  const auto total = received_bytes_ + result_bytes_max_;
  if (mutant(Mutant::kUnreadNotCounted)) return total;
  return total - std::min(total, ready_.bytes());
}

std::optional<protocol::ResultCredit> Job::credit_due(protocol::TimePoint now) {
  const auto total = credit_total();
  const bool low = told_credit_ == 0 || total >= told_credit_ + result_bytes_max_ / 4;
  const bool starved = wanted_is_news() && (received_bytes_ >= told_credit_ ||
                                            now >= *waiting_since_ + kTellWantedAfter);
  if (!low && !starved) return std::nullopt;
  told_credit_ = std::max(told_credit_, total);
  told_wanted_ = wanted();
  return protocol::ResultCredit{spec_.job, told_credit_, told_wanted_};
}

std::optional<protocol::TimePoint> Job::credit_deadline() const {
  if (!wanted_is_news()) return std::nullopt;
  return *waiting_since_ + kTellWantedAfter;
}

void Job::check_invariants() const {
  if (outstanding_.count() > std::max<std::uint64_t>(window_chunks_peak_, 1)) {
    throw std::logic_error("more chunks outstanding than any window of the job allowed");
  }
  if (outstanding_.count() > 1 && outstanding_.bytes() > window_bytes_peak_) {
    throw std::logic_error("more bytes outstanding than any window of the job allowed");
  }
}

}  // namespace achilles::client
