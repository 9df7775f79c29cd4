#include "tests/sim/answer_ledger.hpp"

#include <algorithm>

namespace achilles::sim {

using protocol::AttemptId;

namespace {

std::string name_of(AttemptId id) {
  return "attempt " + std::to_string(id.value);
}

}  // namespace

void AnswerLedger::forget_session() {
  in_session_ = told_bye_ = heard_bye_ = false;
  jobs_.clear();
  attempts_.clear();
  closed_.clear();
  running_ = running_bytes_ = largest_bytes_ = 0;
}

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
    std::erase_if(attempts_, [&](const auto& entry) {
      const Attempt& attempt = entry.second;
      if (attempt.job != close->job) return false;
      closed_.insert(entry.first);
      if (!attempt.announced) --running_, running_bytes_ -= attempt.bytes;
      return true;
    });
  } else if (const auto* assign = std::get_if<protocol::Assign>(&message)) {
    return assigned(*assign);
  }
  return std::nullopt;
}

std::optional<std::string> AnswerLedger::assigned(const protocol::Assign& assign) {
  for (const auto& assignment : assign.chunks) {
    if (!jobs_.contains(assignment.job)) return name_of(assignment.attempt) + " is of no open job";
    const std::uint64_t bytes = assignment.chunk.items.bytes();
    if (!attempts_.emplace(assignment.attempt, Attempt{assignment.job, bytes, false}).second) {
      return name_of(assignment.attempt) + " was assigned twice";
    }
    ++running_;
    running_bytes_ += bytes;
    largest_bytes_ = std::max(largest_bytes_, bytes);
  }
  // A chunk larger than the window goes alone; a job whose user waits, or of which nothing else is
  // under way, gets one chunk past the window.
  const std::uint64_t past = jobs_.size() + 1;
  if (running_ > window_chunks_ + past || running_bytes_ > window_bytes_ + past * largest_bytes_) {
    return "the worker got more than its window: " + std::to_string(running_) + " chunks with " +
           std::to_string(running_bytes_) + " bytes";
  }
  return std::nullopt;
}

std::optional<std::string> AnswerLedger::answered(AttemptId id) {
  const auto at = attempts_.find(id);
  if (at == attempts_.end()) {
    if (closed_.erase(id) > 0) return std::nullopt;
    return "the worker answered " + name_of(id) + ", which it was not asked or had answered before";
  }
  if (!at->second.announced) --running_, running_bytes_ -= at->second.bytes;
  attempts_.erase(at);
  return std::nullopt;
}

std::optional<std::string> AnswerLedger::told(const protocol::Message& message) {
  if (const auto* hello = std::get_if<protocol::Hello>(&message)) {
    forget_session();
    incarnation_ = hello->incarnation;
  } else if (std::holds_alternative<protocol::Bye>(message)) {
    told_bye_ = true;
  } else if (const auto* state = std::get_if<protocol::WorkerState>(&message)) {
    window_chunks_ = state->window_chunks;
    window_bytes_ = state->window_bytes;
  } else if (const auto* results = std::get_if<protocol::Results>(&message)) {
    for (const auto& result : results->chunks) {
      if (auto fault = answered(result.attempt)) return fault;
    }
  } else if (const auto* crashed = std::get_if<protocol::Crashed>(&message)) {
    return answered(crashed->attempt);
  } else if (const auto* returned = std::get_if<protocol::Returned>(&message)) {
    for (const AttemptId id : returned->attempts) {
      if (auto fault = answered(id)) return fault;
    }
  } else if (const auto* ready = std::get_if<protocol::ResultReady>(&message)) {
    const auto at = attempts_.find(ready->attempt);
    if (at == attempts_.end() || at->second.announced) {
      return "the worker announced the result of " + name_of(ready->attempt) + " out of turn";
    }
    at->second.announced = true;
    --running_;
    running_bytes_ -= at->second.bytes;
  } else if (const auto* refused = std::get_if<protocol::ProgramRefused>(&message)) {
    std::erase_if(attempts_, [&](const auto& entry) {
      const auto job = jobs_.find(entry.second.job);
      if (job == jobs_.end() || job->second != refused->program) return false;
      if (!entry.second.announced) --running_, running_bytes_ -= entry.second.bytes;
      return true;
    });
  }
  return std::nullopt;
}

}  // namespace achilles::sim
