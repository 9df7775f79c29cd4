#include "worker/core/job_table.hpp"

#include <algorithm>
#include <utility>

namespace achilles::worker {

void Job::note_pace(std::uint64_t busy_ns, std::uint64_t items) {
  if (items == 0) return;
  // The time is the task process's word. Anything above a minute is "long" all the same.
  const double minute_ns = 60e9;
  const double sample =
      std::min(static_cast<double>(busy_ns) / static_cast<double>(items), minute_ns);
  // An eighth each: some ten results forget a slow start, and one odd item does not rule for long.
  item_ns = item_ns ? *item_ns + (sample - *item_ns) / 8 : sample;
}

std::optional<std::int64_t> Job::expected_ns(std::uint64_t items) const {
  if (!item_ns) return std::nullopt;
  const double hour_ns = 3600e9;
  const double expected = std::clamp(*item_ns * static_cast<double>(items), 1.0, hour_ns);
  return static_cast<std::int64_t>(expected);
}

Job* JobTable::find(protocol::JobId id) {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

Job& JobTable::add(protocol::OpenJob open, Program& program) {
  Job& job = jobs_[open.job];
  job.program = &program;
  job.open = std::move(open);
  return job;
}

}  // namespace achilles::worker
