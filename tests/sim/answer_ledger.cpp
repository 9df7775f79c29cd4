#include "tests/sim/answer_ledger.hpp"

#include <algorithm>

namespace achilles::sim {

using protocol::AttemptId;

namespace {

std::string name_of(AttemptId id) {
  return "attempt " + std::to_string(id.value);
}

}  // namespace

void AnswerLedger::end_session() {
  in_session_ = told_bye_ = heard_bye_ = false;
  for (const auto& [id, attempt] : attempts_) former_.emplace(id, attempt);
  former_jobs_.merge(jobs_);
  attempts_.clear();
  jobs_.clear();
  closed_.clear();
  owed_ = running_ = running_bytes_ = largest_bytes_ = 0;
}

// ---- attempts -------------------------------------------------------------------------------

void AnswerLedger::add(AttemptId id, Attempt attempt) {
  ++owed_;
  if (attempt.runs()) ++running_, running_bytes_ += attempt.bytes;
  largest_bytes_ = std::max(largest_bytes_, attempt.bytes);
  attempts_.emplace(id, attempt);
}

void AnswerLedger::stops_running(const Attempt& attempt) {
  if (attempt.runs()) --running_, running_bytes_ -= attempt.bytes;
}

void AnswerLedger::end(AttemptId id) {
  const Attempt attempt = attempts_.take(id);
  stops_running(attempt);
  if (attempt.results_told == 0) --owed_;
}

std::vector<AttemptId> AnswerLedger::attempts_of(protocol::JobId job) const {
  std::vector<AttemptId> ids;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt.job == job) ids.push_back(id);
  }
  return ids;
}

std::optional<protocol::TimePoint> AnswerLedger::unaccepted_since() const {
  std::optional<protocol::TimePoint> oldest;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt.sent) oldest = std::min(oldest.value_or(*attempt.sent), *attempt.sent);
  }
  return oldest;
}

void AnswerLedger::heard_end(AttemptId id, bool done_only) {
  const auto at = attempts_.find(id);
  if (at == attempts_.end() || (done_only && at->second.runs())) return;
  closed_.insert(id);
  end(id);
}

// ---- what it hears --------------------------------------------------------------------------

std::optional<std::string> AnswerLedger::heard(const protocol::Message& message) {
  if (const auto* welcome = std::get_if<protocol::Welcome>(&message)) {
    if (welcome->incarnation == incarnation_) in_session_ = true;
    return std::nullopt;
  }
  heard_bye_ = heard_bye_ || std::holds_alternative<protocol::Bye>(message);
  if (!in_session_) return std::nullopt;
  if (const auto* open = std::get_if<protocol::OpenJob>(&message)) {
    jobs_[open->job] = open->program;
  } else if (const auto* close = std::get_if<protocol::CloseJob>(&message)) {
    jobs_.erase(close->job);
    for (const AttemptId id : attempts_of(close->job)) {
      closed_.insert(id);
      end(id);
    }
  } else if (const auto* assign = std::get_if<protocol::Assign>(&message)) {
    return assigned(*assign);
  } else if (const auto* grant = std::get_if<protocol::Grant>(&message)) {
    if (const auto at = attempts_.find(grant->attempt); at != attempts_.end()) ++at->second.grants;
  } else if (const auto* accepted = std::get_if<protocol::Accepted>(&message)) {
    for (const AttemptId id : accepted->attempts) heard_end(id, true);
  } else if (const auto* revoke = std::get_if<protocol::Revoke>(&message)) {
    for (const AttemptId id : revoke->attempts) heard_end(id, false);
  }
  return std::nullopt;
}

std::optional<std::string> AnswerLedger::assigned(const protocol::Assign& assign) {
  for (const auto& assignment : assign.chunks) {
    if (!jobs_.contains(assignment.job)) return name_of(assignment.attempt) + " is of no open job";
    if (attempts_.contains(assignment.attempt)) {
      return name_of(assignment.attempt) + " was assigned twice";
    }
    add(assignment.attempt, {.job = assignment.job, .bytes = assignment.chunk.items.bytes()});
  }
  // A chunk larger than the window goes alone; a job whose user waits, or of which nothing else is
  // under way, gets one chunk past the window. Inputs of clients that are away do not count, and
  // who is away is not known here.
  const std::uint64_t past = jobs_.size() + 1;
  const bool too_much = running_bytes_ > window_bytes_ + past * largest_bytes_;
  if (running_ > window_chunks_ + past || (too_much && counts_bytes_)) {
    return "the worker got more than its window: " + std::to_string(running_) + " chunks with " +
           std::to_string(running_bytes_) + " bytes";
  }
  return std::nullopt;
}

// ---- what it says ---------------------------------------------------------------------------

std::optional<std::string> AnswerLedger::answered(AttemptId id) {
  const auto at = attempts_.find(id);
  if (at != attempts_.end() && at->second.results_told == 0) {
    end(id);
    return std::nullopt;
  }
  if (closed_.contains(id)) return std::nullopt;
  return "the worker answered " + name_of(id) + ", which it was not asked or had answered before";
}

std::optional<std::string> AnswerLedger::told_result(AttemptId id, protocol::TimePoint now) {
  const auto at = attempts_.find(id);
  if (at == attempts_.end() && closed_.contains(id)) return std::nullopt;
  if (at == attempts_.end() ||
      at->second.results_told >= at->second.grants + (at->second.listed ? 0 : 1)) {
    return "the worker sent the result of " + name_of(id) + ", which it was not asked for";
  }
  stops_running(at->second);
  if (at->second.results_told++ == 0) {
    --owed_;
    at->second.sent = now;
  }
  return std::nullopt;
}

std::optional<std::string> AnswerLedger::told_holding(const protocol::Holding& holding) {
  for (const auto& held : holding.attempts) {
    const auto former = former_.find(held.attempt);
    if (former == former_.end() || former->second.job != held.job) {
      return "the worker says that it holds " + name_of(held.attempt) + ", which it was not given";
    }
    add(held.attempt, {.job = held.job,
                       .bytes = former->second.bytes,
                       .announced = held.result_cost > 0,
                       .listed = true});
    if (const auto job = former_jobs_.find(held.job); job != former_jobs_.end()) {
      jobs_.insert(*job);
    }
  }
  if (!holding.last) return std::nullopt;
  former_.clear();
  former_jobs_.clear();
  return std::nullopt;
}

std::optional<std::string> AnswerLedger::told(const protocol::Message& message,
                                              protocol::TimePoint now) {
  if (const auto* hello = std::get_if<protocol::Hello>(&message)) {
    end_session();
    incarnation_ = hello->incarnation;
  } else if (std::holds_alternative<protocol::Bye>(message)) {
    told_bye_ = true;
  } else if (const auto* state = std::get_if<protocol::WorkerState>(&message)) {
    window_chunks_ = state->window_chunks;
    window_bytes_ = state->window_bytes;
  } else if (const auto* holding = std::get_if<protocol::Holding>(&message)) {
    return told_holding(*holding);
  } else if (const auto* results = std::get_if<protocol::Results>(&message)) {
    for (const auto& result : results->chunks) {
      if (auto fault = told_result(result.attempt, now)) return fault;
    }
  } else if (const auto* crashed = std::get_if<protocol::Crashed>(&message)) {
    return answered(crashed->attempt);
  } else if (const auto* returned = std::get_if<protocol::Returned>(&message)) {
    for (const AttemptId id : returned->attempts) {
      if (auto fault = answered(id)) return fault;
    }
  } else if (const auto* ready = std::get_if<protocol::ResultReady>(&message)) {
    const auto at = attempts_.find(ready->attempt);
    if (at == attempts_.end() || !at->second.runs()) {
      return "the worker announced the result of " + name_of(ready->attempt) + " out of turn";
    }
    stops_running(at->second);
    at->second.announced = true;
  } else if (const auto* refused = std::get_if<protocol::ProgramRefused>(&message)) {
    for (const auto& [job, program] : jobs_) {
      if (program != refused->program) continue;
      for (const AttemptId id : attempts_of(job)) end(id);
    }
  }
  return std::nullopt;
}

}  // namespace achilles::sim
