// settle: who gets what.
#include <algorithm>
#include <utility>

#include "broker/core/state.hpp"
#include "protocol/batch.hpp"
#include "protocol/mutant.hpp"

namespace achilles::broker {

using protocol::AttemptId;
using protocol::JobId;
using protocol::mutant;
using protocol::Mutant;

void Scheduler::State::settle() {
  tell_windows();
  for (const auto id : std::exchange(touched_workers, {})) {
    if (Worker* worker = workers.find(id)) {
      worker->touched = false;
      workers.relist(*worker);
      if (worker->has_news()) touch(*worker);  // For flush_workers.
    }
  }
  for (const auto id : std::exchange(touched_jobs, {})) {
    if (Job* job = jobs.find(id)) {
      job->touched = false;
      refresh(*job);
    }
  }
  place_chunks();
  arm_look();
  flush_workers();
  flush_clients();
}

void Scheduler::State::tell_windows() {
  if (!std::exchange(slots_changed, false)) return;
  const std::uint32_t slots = workers.slots();
  if (std::exchange(slots_told, slots) == slots) return;
  for (auto& [id, job] : jobs.all()) send_window(job);
}

void Scheduler::State::refresh(Job& job) {
  // What the client's user waits for goes before all credit.
  if (job.wanted && !mutant(Mutant::kWantedNotGranted)) {
    if (const auto id = job.assigned_at_or_before(*job.wanted)) {
      const Attempt& attempt = *attempts.find(*id);
      const bool submitted = !attempt.unsubmitted;
      if (submitted && !attempt.granted && job.wants(attempt.chunk)) grant(job, *id);
    }
  }
  // Results that wait at workers: in order, as far as the credit goes. One passes whatever its size
  // when no other is under way, so that no result is too large for a credit.
  while (!job.waiting.empty()) {
    const AttemptId id = job.waiting.begin()->second;
    const std::uint64_t bytes = attempts.find(id)->announced_bytes;
    const bool fits = job.delivered_bytes + job.reserved_bytes + bytes <= job.credit_total;
    const bool passes = job.granted_attempts == 0 && job.delivered_bytes < job.credit_total;
    if (!fits && !passes) break;
    grant(job, id);
  }
  // A worker that holds results back begins only what is granted. Were all of this job's chunks at
  // such workers, it would stand still behind results that may be another job's.
  if (job.granted_attempts == 0 && job.running_attempts() > 0 && workers.any_holding() &&
      job.delivered_bytes < job.credit_total) {
    const auto first_running = std::ranges::find_if(job.assigned, [&](const auto& entry) {
      const Attempt& attempt = *attempts.find(entry.second);
      return !attempt.announced && !attempt.unsubmitted;
    });
    const Attempt& attempt = *attempts.find(first_running->second);
    if (workers.find(attempt.worker)->held_bytes > 0) grant(job, first_running->second);
  }
  if (!job.queued.empty()) ready.add(job.id());
}

void Scheduler::State::grant(Job& job, AttemptId id) {
  Attempt& attempt = *attempts.find(id);
  attempt.granted = true;
  ++job.granted_attempts;
  if (job.waiting.erase(attempt.chunk.first) > 0) {
    job.announced_bytes -= attempt.announced_bytes;
    attempt.reserved_bytes = attempt.announced_bytes;
    job.reserved_bytes += attempt.reserved_bytes;
  }
  Worker& worker = *workers.find(attempt.worker);
  worker.grants.push_back(id);
  touch(worker);
}

bool Scheduler::State::may_run(const Job& job, const Job::Next& next) const {
  if (job.withheld_until) return false;
  return next.wanted || job.has_credit_for(job.allowance_bytes(next.chunk->items.count()));
}

Worker* Scheduler::State::worker_for(const Job& job, const Job::Next& next) {
  if (!job.deaths.empty() && next.chunk->items.count() == 1) {
    const auto at = job.deaths.find(next.chunk->first);
    if (at != job.deaths.end()) {
      if (Worker* other = workers.best_for(job.open.program, at->second.workers)) return other;
    }
  }
  return workers.best_for(job.open.program);
}

void Scheduler::State::place_chunks() {
  std::vector<JobId> set_aside;  // No worker with room takes their program.
  while (!ready.empty() && workers.any_room()) {
    Job& job = *jobs.find(ready.front());
    const Job::Next next = job.next_queued();
    if (next.chunk == nullptr || !may_run(job, next)) {
      ready.remove(job.id());  // Whatever changes this touches the job.
      continue;
    }
    Worker* worker = worker_for(job, next);
    if (worker == nullptr) {
      set_aside.push_back(job.id());
      ready.remove(job.id());
      continue;
    }
    assign(job, *worker, next);
    ready.rotate();
  }
  for (const JobId id : set_aside) ready.add(id);
  if (!ready.empty() && workers.any_holding()) place_urgent_chunks();
}

void Scheduler::State::place_urgent_chunks() {
  // Workers that hold results back may be full of chunks that they will not begin. A job that has
  // nothing under way, or whose user waits for a queued chunk, gets one chunk past their windows.
  for (const JobId id : ready.jobs()) {
    Job& job = *jobs.find(id);
    const Job::Next next = job.next_queued();
    if (next.chunk == nullptr || !may_run(job, next)) {
      ready.remove(id);
      continue;
    }
    if (!next.wanted && job.submitted_attempts() > 0) continue;
    if (Worker* worker = workers.best_holding(job.open.program)) {
      assign(job, *worker, {next.chunk, true});
    }
  }
}

void Scheduler::State::assign(Job& job, Worker& worker, const Job::Next& next) {
  protocol::Chunk chunk = job.take_queued(next.chunk->first);
  const std::uint64_t count = chunk.items.count();
  const std::uint64_t allowance = job.allowance_bytes(count);
  const protocol::ItemIndex first = chunk.first;
  job.assigned_bytes += chunk.items.bytes();
  job.assigned_items += count;
  job.reserved_bytes += allowance;
  const AttemptId id = hand_out(job, worker,
                                {.job = job.id(),
                                 .worker = worker.id,
                                 .chunk = std::move(chunk),
                                 .session = worker.session,
                                 .reserved_bytes = allowance,
                                 .assigned = last_call,
                                 .estimated_ns = job.estimate_ns(count)});
  job.assigned.emplace(first, id);
  const bool held_back = worker.held_bytes > 0 && job.granted_attempts == 0;
  if (next.wanted || (held_back && job.delivered_bytes < job.credit_total)) grant(job, id);
}

AttemptId Scheduler::State::hand_out(Job& job, Worker& worker, Attempt attempt) {
  if (worker.last_job != job.id() && worker.jobs.insert(job.id()).second) {
    job.workers.insert(worker.id);
    send(worker.peer, job.open);
  }
  worker.last_job = job.id();
  const std::uint64_t allowance = attempt.reserved_bytes;
  protocol::Chunk chunk = attempt.chunk;
  const AttemptId id = attempts.add(std::move(attempt));
  workers.take(worker, id, *attempts.find(id));
  workers.relist(worker);
  touch(worker);
  worker.outbox.push_back({job.id(), id, allowance, std::move(chunk)});
  return id;
}

void Scheduler::State::flush_workers() {
  for (const auto id : std::exchange(touched_workers, {})) {
    Worker* worker = workers.find(id);
    if (worker == nullptr) continue;
    worker->touched = false;
    workers.relist(*worker);
    flush(*worker);
  }
}

void Scheduler::State::flush(Worker& worker) {
  protocol::send_batched(
      std::exchange(worker.outbox, {}),
      [](const protocol::Assignment& a) {
        return a.chunk.items.bytes() + a.chunk.items.layout.sizes.size() * sizeof(std::uint32_t);
      },
      [&](std::vector<protocol::Assignment> batch) {
        send(worker.peer, protocol::Assign{std::move(batch)});
      });
  for (const AttemptId attempt : std::exchange(worker.grants, {})) {
    if (!mutant(Mutant::kGrantNotSent)) send(worker.peer, protocol::Grant{attempt});
  }
  // There are as many as peers have made: if they mean harm, more than one message can name.
  const auto size = [](AttemptId) { return sizeof(AttemptId); };
  protocol::send_batched(std::exchange(worker.accepted, {}), size, [&](std::vector<AttemptId> ids) {
    send(worker.peer, protocol::Accepted{std::move(ids)});
  });
  protocol::send_batched(std::exchange(worker.revoked, {}), size, [&](std::vector<AttemptId> ids) {
    send(worker.peer, protocol::Revoke{std::move(ids)});
  });
  protocol::send_batched(std::exchange(worker.recalled, {}), size, [&](std::vector<AttemptId> ids) {
    send(worker.peer, protocol::Recall{std::move(ids)});
  });
}

void Scheduler::State::flush_clients() {
  for (const auto id : std::exchange(clients_with_results, {})) {
    Client* client = clients.find(id);
    if (client == nullptr) continue;
    protocol::send_batched(std::exchange(client->outbox, {}), protocol::credit_cost,
                           [&](std::vector<protocol::ChunkResult> batch) {
                             send(client->peer, protocol::Results{std::move(batch)});
                           });
  }
}

}  // namespace achilles::broker
