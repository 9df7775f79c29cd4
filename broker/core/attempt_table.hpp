// Attempts: the chunks that workers hold, by the number that fences their news.
//
// An attempt is begun by ASSIGN, and lasts until its worker answers otherwise than with a result,
// or the client has accepted the result. One that outlived a session (the client's, or the whole
// broker) is *unsubmitted* until its client submits the chunk again: then it goes on as if nothing
// had been.
//
// Invariants (checked across the tables by Scheduler::check_invariants):
//  1. An attempt is in here, in its worker's `attempts` and in its job's `assigned`, or in its
//     `seconds`, or, once its result is on its way to the client, in `delivered`; or in none.
//  2. The broker has no inputs of unsubmitted and of delivered attempts.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <unordered_map>

#include "protocol/limits.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"

namespace achilles::broker {

/// No result is larger, whatever its worker says: sums of these do not overflow.
inline constexpr std::uint64_t kAnnouncedBytesMax = 4 * protocol::kMaxPayloadBytes;

struct Attempt {
  protocol::JobId job;
  protocol::WorkerId worker;
  protocol::Chunk chunk;
  protocol::SessionId session;       ///< The worker's, when it was last known to hold it.
  std::uint64_t reserved_bytes = 0;  ///< Of the job's result credit.
  protocol::TimePoint assigned;      ///< To this worker, or claimed by it.
  std::uint64_t estimated_ns = 0;    ///< What it was thought to take when it was assigned.
  bool granted = false;              ///< A GRANT was sent for it.
  bool announced = false;            ///< It is done; its result waits at the worker.
  bool delivered = false;            ///< Its result was sent to the client, which has to accept it.
  bool unsubmitted = false;          ///< The client has not submitted its chunk in this session.
  bool second = false;               ///< Another attempt at the chunk is the first.
  bool recalled = false;             ///< Its worker was asked to return it if it is not begun.
  std::uint64_t announced_bytes = 0;
  std::uint64_t delivery = 0;  ///< Its key in its job's `delivered`.

  std::uint64_t count() const { return chunk.items.count(); }
  std::uint64_t bytes() const { return chunk.items.bytes(); }
  protocol::ItemIndex end() const { return chunk.first + count(); }
  /// It waits for its turn at the worker, or runs.
  bool at_work() const { return !announced && !delivered; }
  bool held() const { return announced && !delivered; }
  /// Nobody needs its inputs here any more, but its items are still told by them.
  void drop_inputs() {
    const std::uint64_t items = count();
    chunk.items = {};
    chunk.items.layout.count = items;
  }
};

class AttemptTable {
 public:
  /// Numbers of different boots are far apart: workers hold attempts of earlier ones.
  explicit AttemptTable(protocol::BootId boot) : last_((boot.value & 0xFFFFFF) << 32) {}

  Attempt* find(protocol::AttemptId id) {
    const auto at = attempts_.find(id);
    return at == attempts_.end() ? nullptr : &at->second;
  }
  const Attempt* find(protocol::AttemptId id) const {
    const auto at = attempts_.find(id);
    return at == attempts_.end() ? nullptr : &at->second;
  }
  protocol::AttemptId add(Attempt attempt) {
    // A worker may have claimed any number.
    while (attempts_.contains({++last_})) {
    }
    const protocol::AttemptId id{last_};
    attempts_.emplace(id, std::move(attempt));
    return id;
  }
  /// One that a worker holds of an earlier session. REQUIRES: it is not there.
  Attempt& add(protocol::AttemptId id, Attempt attempt) {
    return attempts_.emplace(id, std::move(attempt)).first->second;
  }
  /// REQUIRES: it is there.
  Attempt take(protocol::AttemptId id) {
    auto node = attempts_.extract(id);
    return std::move(node.mapped());
  }
  std::size_t size() const { return attempts_.size(); }

 private:
  /// Entries come and go by the million: their memory is used again and again.
  std::pmr::unsynchronized_pool_resource memory_;
  std::pmr::unordered_map<protocol::AttemptId, Attempt> attempts_{
      &memory_};  ///< Looked up, never walked.
  std::uint64_t last_ = 0;
};

}  // namespace achilles::broker
