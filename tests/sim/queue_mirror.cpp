#include "tests/sim/queue_mirror.hpp"

#include <algorithm>

namespace achilles::sim {

using broker::PeerId;
using protocol::AttemptId;
using protocol::JobId;

void QueueMirror::heard(const broker::Event& event) {
  if (const auto* received = std::get_if<broker::MessageReceived>(&event)) {
    // From now on, until all of this turn is told, it is not clear who is a stranger.
    if (std::holds_alternative<protocol::Hello>(received->message)) unsure_ = true;
    // What a stranger says has no effect.
    if (sessions_.contains(received->peer)) heard_message(received->peer, received->message);
  }
}

void QueueMirror::heard_message(PeerId peer, const protocol::Message& message) {
  if (const auto* open = std::get_if<protocol::OpenJob>(&message)) {
    forget_job(open->job);
    queues_[open->job] = {peer, open->program, {}, open->resubmits, {}, {}};
  } else if (const auto* close = std::get_if<protocol::CloseJob>(&message)) {
    forget_job(close->job);
  } else if (const auto* submit = std::get_if<protocol::Submit>(&message)) {
    const auto queue = queues_.find(submit->job);
    if (queue == queues_.end()) return;
    for (const auto& chunk : submit->chunks) {
      // A worker may have what is submitted again.
      if (queue->second.resubmits_left > 0) {
        --queue->second.resubmits_left;
      } else {
        queue->second.chunks.insert(chunk.first);
      }
    }
  } else if (const auto* credit = std::get_if<protocol::ResultCredit>(&message)) {
    const auto queue = queues_.find(credit->job);
    if (queue != queues_.end()) queue->second.wanted = credit->wanted;
  } else if (const auto* results = std::get_if<protocol::Results>(&message)) {
    for (const auto& result : results->chunks) attempts_.erase(result.attempt);
  } else if (const auto* crashed = std::get_if<protocol::Crashed>(&message)) {
    heard_crash(*crashed, peer);
  } else if (const auto* holding = std::get_if<protocol::Holding>(&message)) {
    // What it has may be taken from another worker.
    unsure_ = true;
    for (const auto& held : holding->attempts) {
      const auto queue = queues_.find(held.job);
      if (queue != queues_.end()) queue->second.chunks.erase(held.first);
    }
  } else if (const auto* returned = std::get_if<protocol::Returned>(&message)) {
    for (const AttemptId id : returned->attempts) requeue(id, peer);
  } else if (const auto* refused = std::get_if<protocol::ProgramRefused>(&message)) {
    std::vector<AttemptId> back;
    for (const auto& [id, attempt] : attempts_) {
      if (queues_.at(attempt.job).program == refused->program) back.push_back(id);
    }
    for (const AttemptId id : back) requeue(id, peer);
  }
}

void QueueMirror::heard_crash(const protocol::Crashed& crashed, PeerId peer) {
  const auto at = attempts_.find(crashed.attempt);
  if (at == attempts_.end() || at->second.worker != peer) return;
  const Attempt attempt = attempts_.take(crashed.attempt);
  if (unsure_) return;
  if (attempt.is_second) return;
  Queue& queue = queues_.at(attempt.job);
  // Whether the guilty item comes again is not known here.
  if (crashed.item > attempt.first) queue.chunks.insert(attempt.first);
  if (crashed.item + 1 < attempt.first + attempt.count) queue.chunks.insert(crashed.item + 1);
}

void QueueMirror::told(const broker::Command& command) {
  if (const auto* send = std::get_if<broker::SendMessage>(&command)) {
    told_message(send->peer, send->message);
  } else if (const auto* forget = std::get_if<broker::ForgetPeer>(&command)) {
    end_session(forget->peer);
    sessions_.erase(forget->peer);
  }
}

void QueueMirror::told_message(PeerId peer, const protocol::Message& message) {
  if (const auto* assign = std::get_if<protocol::Assign>(&message)) {
    for (const auto& assignment : assign->chunks) assigned(peer, assignment);
  } else if (const auto* welcome = std::get_if<protocol::Welcome>(&message)) {
    const auto [session, is_new] = sessions_.emplace(peer, welcome->session);
    if (is_new || session->second == welcome->session) return;
    end_session(peer);
    session->second = welcome->session;
  } else if (const auto* revoke = std::get_if<protocol::Revoke>(&message)) {
    for (const AttemptId id : revoke->attempts) attempts_.erase(id);
  } else if (const auto* failed = std::get_if<protocol::JobFailed>(&message)) {
    forget_job(failed->job);
  }
}

void QueueMirror::assigned(PeerId peer, const protocol::Assignment& assignment) {
  const auto at = queues_.find(assignment.job);
  if (at == queues_.end()) return;
  Queue& queue = at->second;
  const protocol::Chunk& chunk = assignment.chunk;
  const bool is_second = assignment.result_allowance == 0;
  attempts_.emplace(assignment.attempt,
                    {assignment.job, peer, chunk.first, chunk.items.count(), {}, is_second});
  if (is_second) return begin_second(assignment);
  queue.chunks.erase(chunk.first);
  if (queue.wanted && *queue.wanted >= chunk.first &&
      *queue.wanted - chunk.first < chunk.items.count()) {
    return;
  }
  if (!queue.highest) handed_out_.push_back(assignment.job);
  queue.highest = std::max(queue.highest.value_or(0), chunk.first);
}

std::optional<std::string> QueueMirror::fault() {
  std::optional<std::string> fault;
  for (const JobId id : handed_out_) {
    const auto at = queues_.find(id);
    if (at == queues_.end()) continue;
    Queue& queue = at->second;
    if (!fault && !queue.chunks.empty() && *queue.chunks.begin() < *queue.highest) {
      fault = "the chunk at item " + std::to_string(*queue.highest) + " of job " + to_string(id) +
              " was handed out while the one at item " + std::to_string(*queue.chunks.begin()) +
              " waits in the queue";
    }
    queue.highest.reset();
  }
  handed_out_.clear();
  unsure_ = false;
  return fault;
}

std::uint64_t QueueMirror::chunks() const {
  std::uint64_t count = attempts_.size();
  for (const auto& [id, queue] : queues_) count += queue.chunks.size();
  return count;
}

void QueueMirror::requeue(AttemptId id, PeerId peer) {
  const auto at = attempts_.find(id);
  if (at == attempts_.end() || at->second.worker != peer) return;
  const Attempt attempt = attempts_.take(id);
  if (attempt.is_second) return;
  if (attempt.second) {
    // It takes the first one's place. Where its session was replaced, it may do so still.
    const auto second = attempts_.find(*attempt.second);
    if (second != attempts_.end()) second->second.is_second = false;
  } else if (!unsure_) {
    queues_.at(attempt.job).chunks.insert(attempt.first);
  }
}

void QueueMirror::begin_second(const protocol::Assignment& assignment) {
  for (auto& [id, attempt] : attempts_) {
    const bool first = attempt.job == assignment.job && attempt.first == assignment.chunk.first &&
                       id != assignment.attempt && !attempt.is_second;
    if (first) attempt.second = assignment.attempt;
  }
}

void QueueMirror::forget_job(JobId id) {
  if (queues_.erase(id) == 0) return;
  std::vector<AttemptId> its;
  for (const auto& [attempt_id, attempt] : attempts_) {
    if (attempt.job == id) its.push_back(attempt_id);
  }
  for (const AttemptId attempt_id : its) attempts_.erase(attempt_id);
}

void QueueMirror::end_session(PeerId peer) {
  std::vector<JobId> jobs;
  for (const auto& [id, queue] : queues_) {
    if (queue.client == peer) jobs.push_back(id);
  }
  for (const JobId id : jobs) forget_job(id);
  std::vector<AttemptId> held;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt.worker == peer) held.push_back(id);
  }
  // They are the worker's own still if its session was replaced, which takes a HELLO.
  for (const AttemptId id : held) requeue(id, peer);
}

}  // namespace achilles::sim
