// The jobs that are open at this worker, and how long their items take.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "protocol/messages.hpp"
#include "worker/core/attempt_table.hpp"

namespace achilles::worker {

struct Program;

struct Job {
  protocol::OpenJob open;
  Program* program = nullptr;
  JobChain attempts;  ///< Wherever they are, in order of arrival.
  /// Moving average over the results so far.
  std::optional<double> item_ns;

  void note_pace(std::uint64_t busy_ns, std::uint64_t items);
  std::optional<std::int64_t> expected_ns(std::uint64_t items) const;
};

class JobTable {
 public:
  Job* find(protocol::JobId id);
  /// REQUIRES: not open yet.
  Job& add(protocol::OpenJob open, Program& program);
  /// REQUIRES: the job has no attempts.
  void erase(protocol::JobId id) { jobs_.erase(id); }
  std::map<protocol::JobId, Job>& all() { return jobs_; }
  const std::map<protocol::JobId, Job>& all() const { return jobs_; }

 private:
  std::map<protocol::JobId, Job> jobs_;
};

}  // namespace achilles::worker
