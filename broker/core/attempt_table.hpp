// Attempts: the chunks that are at workers, by the number that fences their news.
//
// Invariants (checked across the tables by Scheduler::check_invariants):
//  1. An attempt is in here, in its worker's `attempts` and in its job's `assigned`, or in none.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "protocol/messages.hpp"

namespace achilles::broker {

struct Attempt {
  protocol::JobId job;
  protocol::WorkerId worker;
  protocol::Chunk chunk;
  std::uint64_t reserved_bytes = 0;  ///< Of the job's result credit.
  std::uint64_t estimated_ns = 0;    ///< What it was thought to take when it was assigned.
  bool granted = false;              ///< A GRANT was sent for it.
  bool announced = false;            ///< It is done; its result waits at the worker.
  std::uint64_t announced_bytes = 0;

  std::uint64_t count() const { return chunk.items.count(); }
  std::uint64_t bytes() const { return chunk.items.bytes(); }
};

class AttemptTable {
 public:
  Attempt* find(protocol::AttemptId id) {
    const auto at = attempts_.find(id);
    return at == attempts_.end() ? nullptr : &at->second;
  }
  const Attempt* find(protocol::AttemptId id) const {
    const auto at = attempts_.find(id);
    return at == attempts_.end() ? nullptr : &at->second;
  }
  protocol::AttemptId add(Attempt attempt) {
    const protocol::AttemptId id{++last_};
    attempts_.emplace(id, std::move(attempt));
    return id;
  }
  /// REQUIRES: it is there.
  Attempt take(protocol::AttemptId id) {
    auto node = attempts_.extract(id);
    return std::move(node.mapped());
  }
  std::size_t size() const { return attempts_.size(); }

 private:
  std::unordered_map<protocol::AttemptId, Attempt> attempts_;
  std::uint64_t last_ = 0;
};

}  // namespace achilles::broker
