// Story: the last transitions of a core, for people who ask why.
//
// Bounded: the oldest lines are forgotten. Only what happens seldom is told (sessions, jobs,
// losses, refusals), never each chunk. One owner, no locking.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "protocol/ids.hpp"
#include "protocol/time.hpp"

namespace achilles::protocol {

class Story {
 public:
  static constexpr std::size_t kLinesMax = 512;

  void tell(TimePoint when, std::string what) { tell(when, std::nullopt, std::move(what)); }
  void tell(TimePoint when, std::optional<JobId> job, std::string what);

  /// "2.5 s ago: …", the oldest first: all lines, or those of a job.
  std::vector<std::string> lines(TimePoint now, std::optional<JobId> job = std::nullopt) const;
  /// For errors: `sentence`, then all lines, each on its own.
  std::string after(const std::string& sentence, TimePoint now) const;
  /// For the end of a sentence that people read: " (what came before: 2.5 s ago: …; 0.1 s ago: …)",
  /// the last few lines, each cut to a few words. With a job: no lines of other jobs. Empty when
  /// there are none.
  std::string tail(TimePoint now, std::optional<JobId> job = std::nullopt) const;

 private:
  struct Line {
    TimePoint when;
    std::optional<JobId> job;
    std::string what;
  };
  std::deque<Line> lines_;
};

/// "2.5 s".
std::string in_seconds(Duration duration);

}  // namespace achilles::protocol
