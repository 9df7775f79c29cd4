// What a worker owes to its broker, worked out from what is said to it and by it alone: each
// attempt of a session is answered exactly once, no window is exceeded, and no job stays open for
// ever (PROTOCOL.md, sections 6, 8 and 10).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "protocol/messages.hpp"

namespace achilles::sim {

class AnswerLedger {
 public:
  /// What is wrong with it, if anything is.
  std::optional<std::string> heard(const protocol::Message& message);
  std::optional<std::string> told(const protocol::Message& message);
  /// The worker has handed over all that it had to say so far.
  void settled() { closed_.clear(); }

  /// It left of its own accord, in a session: then it owes nothing.
  bool said_farewell() const { return in_session_ && told_bye_ && !heard_bye_; }
  bool owes_nothing() const { return attempts_.empty(); }
  bool knows_no_job() const { return jobs_.empty(); }
  std::size_t owed() const { return attempts_.size(); }

 private:
  struct Attempt {
    protocol::JobId job;
    std::uint64_t bytes = 0;
    bool announced = false;
  };

  std::optional<std::string> assigned(const protocol::Assign& assign);
  std::optional<std::string> answered(protocol::AttemptId id);
  void forget_session();

  std::uint64_t incarnation_ = 0;
  bool in_session_ = false;
  bool told_bye_ = false;
  bool heard_bye_ = false;
  std::uint64_t window_chunks_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::map<protocol::JobId, protocol::ProgramId> jobs_;
  std::map<protocol::AttemptId, Attempt> attempts_;
  /// Of jobs that were closed in this turn: an answer may have been on its way out before.
  std::set<protocol::AttemptId> closed_;
  std::uint64_t running_ = 0;  ///< Not announced.
  std::uint64_t running_bytes_ = 0;
  std::uint64_t largest_bytes_ = 0;
};

}  // namespace achilles::sim
