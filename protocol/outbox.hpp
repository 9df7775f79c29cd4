// Outbox: the sending side of one connection. Small messages leave at once; a large one leaves in
// parts, of which only so many are under way at a time, so that whatever comes next soon has its
// turn.
//
// Pure: no socket, no clock. One owner, no locking. Payloads are referred to, not copied.
//
// Invariants:
//  1. Messages about the same job, or the same attempt, leave in the order in which they were
//     added. Others overtake large ones.
//  2. At most kPartsInFlightBytes of parts are not acknowledged.
//  3. At most kMaxStreams messages are half sent, of at most 2 × message_bytes_max in all, or one.
//     They take turns, a part each.
//  4. Each message that waits is in the line of each of its concerns; it may leave when it is the
//     first in all of them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/concerns.hpp"
#include "protocol/limits.hpp"
#include "protocol/messages.hpp"

namespace achilles::protocol {

class Outbox {
 public:
  /// Forgets everything. Streams, and what is counted of them, begin anew.
  void begin(std::uint64_t message_bytes_max);
  /// In its turn, in parts where it is large.
  void add(const Message& message);
  /// Whole, at once.
  void add_whole(const Message& message);
  /// When everything before it was sent and taken. There is one at most.
  void add_last(const Message& message);
  /// What of the job waits is dropped, half-sent messages too.
  void drop(JobId job);
  /// Forgets what waits, for a connection on which nothing else will be said.
  void clear();

  /// What to hand to the connection now, if there is something.
  std::optional<Frames> next();
  /// The receiver has taken so many bytes of parts in all. Answers what is wrong with that, if it
  /// cannot be.
  std::optional<std::string> taken(std::uint64_t total_bytes);

  /// Results wait, are half sent, or not taken yet.
  bool holds_results() const { return results_ > 0 || (results_sent_ && in_flight() > 0); }
  /// What was added last waits.
  bool holds_last() const { return last_.has_value(); }
  /// Bytes of messages that wait or are half sent.
  std::uint64_t waiting_bytes() const { return waiting_bytes_; }

 private:
  using Number = std::uint64_t;  ///< Of a waiting message, in order of their coming.
  struct Waiting {
    Frames frames;
    std::uint64_t bytes = 0;
    std::vector<Concern> concerns;
    std::size_t behind = 0;  ///< In how many lines others are before it.
    bool in_parts = false;
    bool results = false;
    std::uint64_t stream = 0;  ///< 0: no part was sent.
    std::uint64_t sent_bytes = 0;
    std::size_t frame = 0;
    std::size_t frame_offset = 0;
  };

  template <class Batch>
  bool add_by_job(const Message& message);
  void file(const Message& message);
  bool held_back(const Concern& concern) const { return lines_.contains(concern); }
  /// They are first in all their lines: out with them, and with those that waited for them alone.
  void release(std::set<Number> released);
  /// Out of all tables; those that may go now are added.
  void remove(Number number, std::set<Number>& released);
  void begin_streams();
  std::optional<Frames> next_part();
  std::uint64_t in_flight() const { return sent_bytes_ - taken_bytes_; }

  std::uint64_t message_bytes_max_ = max_message_bytes(0);
  std::deque<Frames> ready_;
  std::optional<Frames> last_;
  std::map<Number, Waiting> waiting_;
  std::map<Concern, std::deque<Number>> lines_;
  std::deque<Number> unbegun_;  ///< Large ones that may go, but for their number and size.
  std::deque<Number> streams_;  ///< Half sent, the next one first.
  Number last_number_ = 0;
  std::uint64_t last_stream_ = 0;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t streams_bytes_ = 0;  ///< Of `streams_`, their sent parts included.
  std::size_t results_ = 0;
  bool results_sent_ = false;     ///< In parts, since begin().
  std::uint64_t sent_bytes_ = 0;  ///< Of all parts since begin().
  std::uint64_t taken_bytes_ = 0;
};

}  // namespace achilles::protocol
