// One job of a client: its unsent and outstanding chunks, its results, its credit.
//
// Pure; owned by the Session.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "client/core/chunk_sizer.hpp"
#include "client/core/events.hpp"
#include "client/core/outstanding_chunks.hpp"
#include "client/core/reorder_buffer.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"

namespace achilles::client {

class Job {
 public:
  Job(JobOpened opened, std::uint64_t result_bytes_max);

  const protocol::OpenJob& spec() const { return spec_; }

  /// What the broker is told at the beginning of a session.
  protocol::OpenJob opening() const;
  /// The session is over: forget what was sent, keep what is unfinished.
  void restart();
  /// One chunk, or several where their size is fixed.
  void add_chunks(protocol::Items items);
  void end_input() { input_ended_ = true; }
  void set_window(const protocol::JobWindow& window);
  /// Fails the job when its next chunk has more bytes than can be sent. True: just now.
  bool fail_if_too_large(std::uint64_t payload_bytes_max);
  /// Chunks that may be sent now; they count as outstanding from here on.
  std::vector<protocol::Chunk> take_sendable();
  /// True when the user has something new to take.
  bool accept(protocol::ChunkResult result);
  void fail(protocol::ErrorRecord error) { failure_ = std::move(error); }

  bool has_result() const { return ready_.ready(); }
  protocol::ChunkResult take_result() { return ready_.take(); }
  bool wants_input() const;
  std::uint64_t next_chunk_items() const { return sizer_.next_count(next_index_, slots_); }
  /// Chunks that may be added in one piece. REQUIRES: wants_input().
  std::uint64_t chunks_wanted() const;
  bool finished() const;
  const std::optional<protocol::ErrorRecord>& failure() const { return failure_; }

  /// The user waits from `now` on.
  void note_waiting(protocol::TimePoint now);
  void note_taken() { waiting_since_.reset(); }
  /// The credit to tell the broker now, if it is worth telling.
  std::optional<protocol::ResultCredit> credit_due(protocol::TimePoint now);
  /// When credit_due will have something to say if nothing else happens.
  std::optional<protocol::TimePoint> credit_deadline() const;

  std::uint64_t unread_bytes() const { return ready_.bytes(); }
  void check_invariants() const;

 private:
  bool has_room_for(const protocol::Chunk& chunk) const;
  std::uint64_t credit_total() const;
  std::optional<protocol::ItemIndex> wanted() const;
  bool wanted_is_news() const { return waiting_since_ && wanted() != told_wanted_; }

  protocol::OpenJob spec_;
  bool ordered_;
  ChunkSizer sizer_;
  ReorderBuffer ready_;
  std::uint64_t result_bytes_max_;

  protocol::ItemIndex next_index_ = 0;
  bool input_ended_ = false;
  std::deque<protocol::Chunk> unsent_;
  std::uint64_t resubmits_ = 0;  ///< So many at the front of unsent_ were sent in earlier sessions.
  OutstandingChunks outstanding_;

  std::uint64_t window_chunks_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::uint64_t window_chunks_peak_ =
      0;  ///< A window may shrink below what is outstanding already.
  std::uint64_t window_bytes_peak_ = 0;
  std::uint32_t slots_ = 1;

  std::uint64_t received_bytes_ = 0;  ///< credit_cost of all results of this session.
  std::uint64_t told_credit_ = 0;
  std::optional<protocol::ItemIndex> told_wanted_;
  std::optional<protocol::TimePoint> waiting_since_;
  std::optional<protocol::ErrorRecord> failure_;
};

}  // namespace achilles::client
