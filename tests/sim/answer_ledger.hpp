// What a worker owes to its broker, worked out from what is said to it and by it alone: each
// attempt of a session is answered exactly once (a result again, when it is asked for again), what
// is held in a new session was given in an earlier one, no window is exceeded, and neither attempts
// nor jobs stay for ever (PROTOCOL.md, sections 6, 8 and 10).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "protocol/ascending_map.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"

namespace achilles::sim {

class AnswerLedger {
 public:
  /// Whether nothing happens by which inputs stop to count for the window.
  explicit AnswerLedger(bool counts_bytes) : counts_bytes_(counts_bytes) {}

  /// What is wrong with it, if anything is.
  std::optional<std::string> heard(const protocol::Message& message);
  std::optional<std::string> told(const protocol::Message& message, protocol::TimePoint now);
  /// Since when the oldest result that was sent waits to be accepted.
  std::optional<protocol::TimePoint> unaccepted_since() const;
  /// The worker has handed over all that it had to say so far.
  void settled() { closed_.clear(); }

  /// It left of its own accord, in a session: then nothing runs there.
  bool said_farewell() const { return in_session_ && told_bye_ && !heard_bye_; }
  /// All that it was given it has answered, or announced its result.
  bool runs_nothing() const { return running_ == 0; }
  /// Results that nobody has accepted are held too.
  bool holds_nothing() const { return attempts_.empty(); }
  bool knows_no_job() const { return jobs_.empty(); }
  std::size_t owed() const { return owed_; }

 private:
  struct Attempt {
    protocol::JobId job;
    std::uint64_t bytes = 0;
    bool announced = false;
    std::uint64_t grants = 0;
    std::uint64_t results_told = 0;
    bool listed = false;                        ///< In HOLDING: no result leaves without a GRANT.
    std::optional<protocol::TimePoint> sent{};  ///< The first time, not accepted yet.

    bool runs() const { return !announced && results_told == 0; }
  };
  using Attempts = protocol::AscendingMap<protocol::AttemptId, Attempt>;

  std::optional<std::string> assigned(const protocol::Assign& assign);
  std::optional<std::string> told_holding(const protocol::Holding& holding);
  std::optional<std::string> told_result(protocol::AttemptId id, protocol::TimePoint now);
  std::optional<std::string> answered(protocol::AttemptId id);
  void heard_end(protocol::AttemptId id, bool done_only);
  void add(protocol::AttemptId id, Attempt attempt);
  void stops_running(const Attempt& attempt);
  /// The attempt is nobody's business any more.
  void end(protocol::AttemptId id);
  std::vector<protocol::AttemptId> attempts_of(protocol::JobId job) const;
  void end_session();

  bool counts_bytes_;
  std::uint64_t incarnation_ = 0;
  bool in_session_ = false;
  bool told_bye_ = false;
  bool heard_bye_ = false;
  std::uint64_t window_chunks_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::map<protocol::JobId, protocol::ProgramId> jobs_;
  Attempts attempts_;
  /// Of former sessions, until HOLDING has told which of them are left.
  Attempts former_;
  std::map<protocol::JobId, protocol::ProgramId> former_jobs_;
  std::uint64_t owed_ = 0;  ///< Not answered.
  /// Closed or revoked in this turn: an answer may have been on its way out before.
  protocol::AscendingSet<protocol::AttemptId> closed_;
  std::uint64_t running_ = 0;  ///< Not announced.
  std::uint64_t running_bytes_ = 0;
  std::uint64_t largest_bytes_ = 0;
};

}  // namespace achilles::sim
