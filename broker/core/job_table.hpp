// Jobs: what is queued, what is at workers, and how many bytes of results may still be under way.
//
// Result credit. `credit_total` is what the client takes in all; `delivered_bytes` was sent to it.
// An attempt reserves its allowance, so that its result may come unasked. A result that is larger
// is announced instead (`announced_bytes`) and reserves its true size when it is granted.
//
// A job whose client is away, or has come back and not opened it again, is not open: nothing of it
// is queued, and all its attempts are unsubmitted. Invariants:
//  1. Chunks in `queued` and `assigned` are keyed by their first item and never overlap.
//  2. `waiting` holds exactly the submitted attempts that are announced and not granted.
//  3. Unsubmitted attempts are there only while the job is not open, or while `resubmits_left`.
//  4. Each of `seconds` is at work elsewhere at the very chunk of a submitted attempt in `assigned`
//     that is at work too. It has no part in the sums, nor has it credit.
//  5. The sums (`queued_bytes`, `reserved_bytes`, …) equal those of the chunks and attempts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "protocol/ascending_map.hpp"
#include "protocol/limits.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"

namespace achilles::broker {

/// What results are thought to need while nothing is known of a job's results.
inline constexpr std::uint64_t kFirstAllowanceBytes = 16ULL << 10;
inline constexpr std::uint64_t kAllowanceBytesMin = 512;
inline constexpr std::uint64_t kAllowanceBytesMax = 1ULL << 20;
/// What a chunk of a job is thought to take while nothing is known: long, so that few are sent
/// ahead.
inline constexpr std::uint64_t kUnknownChunkNs = 1'000'000'000;

/// What a job may submit at least, and before its window is told: enough for a short job, which
/// then waits for one answer of the broker and not for two.
inline constexpr std::uint64_t kWindowChunksMin = 64;
inline constexpr std::uint64_t kFirstWindowBytes = 64ULL << 10;

/// Follows recent values: each new one counts an eighth.
class MovingAverage {
 public:
  void add(double value) {
    value_ = known_ ? value_ + (value - value_) / 8 : value;
    known_ = true;
  }
  bool known() const { return known_; }
  double value() const { return value_; }

 private:
  double value_ = 0;
  bool known_ = false;
};

/// Of task processes, on one item.
struct Deaths {
  std::uint32_t count = 0;
  std::vector<std::string> told;            ///< For people.
  std::vector<protocol::WorkerId> workers;  ///< Where; others are tried first.
};

struct Job {
  protocol::OpenJob open;
  bool known = false;   ///< `open` is what a client said. Else only its number is known.
  bool opened = false;  ///< In the client's present session.
  /// Its chunks wait for workers that may hold them already.
  std::optional<protocol::TimePoint> withheld_until;
  std::uint64_t resubmits_left = 0;  ///< So many chunks the client is to submit again first.
  protocol::AscendingMap<protocol::ItemIndex, protocol::Chunk> queued;
  protocol::AscendingMap<protocol::ItemIndex, protocol::AttemptId> assigned;
  std::map<protocol::ItemIndex, protocol::AttemptId> waiting;
  std::map<protocol::ItemIndex, protocol::AttemptId> seconds;
  /// Their results are to be accepted by the client. By the number of their delivery: they are
  /// accepted in the order in which they were delivered.
  protocol::AscendingMap<std::uint64_t, protocol::AttemptId> delivered;
  std::uint64_t deliveries = 0;          ///< So far.
  std::set<protocol::WorkerId> workers;  ///< Those that were told of the job.
  std::map<protocol::ItemIndex, Deaths> deaths;

  std::uint64_t queued_bytes = 0;
  std::uint64_t queued_items = 0;
  std::uint64_t assigned_bytes = 0;
  std::uint64_t assigned_items = 0;
  std::uint64_t done_items = 0;
  std::uint64_t requeued_chunks = 0;

  std::uint64_t credit_total = 0;
  std::uint64_t delivered_bytes = 0;
  std::uint64_t reserved_bytes = 0;
  std::uint64_t announced_bytes = 0;  ///< Of `waiting`.
  std::uint64_t granted_attempts = 0;
  std::uint64_t unsubmitted_attempts = 0;
  std::optional<protocol::ItemIndex> wanted;

  MovingAverage busy_ns_per_item;
  MovingAverage result_bytes_per_item;
  std::uint64_t window_chunks_max = 0;  ///< The largest window the client was ever told.
  std::uint64_t chunk_bytes_max = 0;    ///< The largest chunk so far.
  bool touched = false;  ///< Something changed: settle looks at its grants and at its queue.

  protocol::JobId id() const { return open.job; }
  std::uint32_t crash_limit() const {
    return open.crash_limit != 0 ? open.crash_limit : protocol::kDefaultCrashLimit;
  }
  /// Attempts at workers of chunks that the client has submitted.
  std::uint64_t submitted_attempts() const { return assigned.size() - unsubmitted_attempts; }
  std::uint64_t unfinished_chunks() const { return queued.size() + submitted_attempts(); }
  std::uint64_t unfinished_bytes() const { return queued_bytes + assigned_bytes; }
  std::uint64_t running_attempts() const { return submitted_attempts() - waiting.size(); }

  void enqueue(protocol::Chunk chunk);
  protocol::Chunk take_queued(protocol::ItemIndex first);
  void clear_queued();
  /// The queued chunk that consists of just these items.
  bool has_queued(protocol::ItemIndex first, std::uint64_t count) const;
  /// Whether any of the items is queued already. (For those at workers, ask find_assigned.)
  bool overlaps_queued(protocol::ItemIndex first, std::uint64_t count) const;
  /// The attempt with the greatest first item that is not above `item`, if there is one.
  std::optional<protocol::AttemptId> assigned_at_or_before(protocol::ItemIndex item) const;
  /// The queued chunk that should go next, and whether the client's user waits for it.
  struct Next {
    const protocol::Chunk* chunk = nullptr;
    bool wanted = false;
  };
  Next next_queued() const;
  bool wants(const protocol::Chunk& chunk) const;
  /// Of the first of the chunk's items on which a task process has died; null: of none.
  const Deaths* deaths_in(const protocol::Chunk& chunk) const;

  std::uint64_t allowance_bytes(std::uint64_t items) const;
  std::uint64_t estimate_ns(std::uint64_t items) const;
  /// Whether a chunk's result may be counted on to find room at the client.
  bool has_credit_for(std::uint64_t allowance) const;
  void learn(std::uint64_t items, std::uint64_t busy_ns, std::uint64_t result_cost);
};

class JobTable {
 public:
  Job* find(protocol::JobId id) {
    const auto at = jobs_.find(id);
    return at == jobs_.end() ? nullptr : &at->second;
  }
  const Job* find(protocol::JobId id) const {
    const auto at = jobs_.find(id);
    return at == jobs_.end() ? nullptr : &at->second;
  }
  Job& add(protocol::JobId id) {
    Job& job = jobs_[id];
    job.open.job = id;
    return job;
  }
  void remove(protocol::JobId id) { jobs_.erase(id); }
  std::map<protocol::JobId, Job>& all() { return jobs_; }
  const std::map<protocol::JobId, Job>& all() const { return jobs_; }

 private:
  std::map<protocol::JobId, Job> jobs_;
};

}  // namespace achilles::broker
