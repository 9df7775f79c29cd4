#include "worker/core/attempt_table.hpp"

#include <utility>

#include "worker/core/job_table.hpp"

namespace achilles::worker {

Attempt* AttemptTable::find(protocol::AttemptId id) {
  const auto found = attempts_.find(id);
  return found == attempts_.end() ? nullptr : &found->second;
}

Attempt* AttemptTable::add(protocol::Assignment assignment, Job& job) {
  const auto [place, is_new] = attempts_.try_emplace(assignment.attempt);
  if (!is_new) return nullptr;
  Attempt& attempt = place->second;
  attempt.items = assignment.chunk.items.count();
  attempt.bytes = assignment.chunk.items.bytes();
  attempt.assignment = std::move(assignment);
  attempt.order = ++last_order_;
  attempt.job = &job;
  job.attempts.push_back(attempt);
  return &attempt;
}

void AttemptTable::abandon(Attempt& attempt) {
  attempt.job->attempts.erase(attempt);
  attempt.job = nullptr;
  attempt.assignment.chunk.items = {};  // Nobody will run it again.
}

void AttemptTable::erase(Attempt& attempt) {
  if (attempt.job != nullptr) attempt.job->attempts.erase(attempt);
  attempts_.erase(attempt.id());
}

void AttemptQueue::push_back(Attempt& attempt) {
  attempt.place = Attempt::Place::kQueued;
  chain_of(attempt).push_back(attempt);
}

void AttemptQueue::put_back(Attempt& attempt) {
  attempt.place = Attempt::Place::kQueued;
  if (attempt.granted) return granted_.push_front(attempt);
  // Only what was put back as well can be older, so the way is short.
  Attempt* younger = plain_.front();
  while (younger != nullptr && younger->order < attempt.order)
    younger = PlaceChain::after(*younger);
  plain_.insert_before(younger, attempt);
}

void AttemptQueue::erase(Attempt& attempt) {
  chain_of(attempt).erase(attempt);
  attempt.place = Attempt::Place::kNowhere;
}

void AttemptQueue::grant(Attempt& attempt) {
  if (attempt.granted) return;
  plain_.erase(attempt);
  attempt.granted = true;
  granted_.push_back(attempt);
}

Attempt* AttemptQueue::front(bool only_granted) const {
  if (!granted_.empty()) return granted_.front();
  return only_granted ? nullptr : plain_.front();
}

std::size_t AttemptQueue::size(bool only_granted) const {
  return granted_.size() + (only_granted ? 0 : plain_.size());
}

void AttemptQueue::take_grant_back(Attempt& attempt) {
  if (!attempt.granted) return;
  erase(attempt);
  attempt.granted = false;
  put_back(attempt);
}

void Attempt::finish(protocol::ChunkResult done, std::uint64_t cost) {
  assignment.chunk.items = {};
  result = std::move(done);
  result_cost = cost;
}

void KeptResults::put(Attempt& attempt) {
  attempt.place = place_;
  chain_.push_back(attempt);
  bytes_ += attempt.result_cost;
}

void KeptResults::take(Attempt& attempt) {
  chain_.erase(attempt);
  bytes_ -= attempt.result_cost;
  attempt.place = Attempt::Place::kNowhere;
}

}  // namespace achilles::worker
