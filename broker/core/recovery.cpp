// What goes on across sessions: the broker was started again, or a worker or a client was away.
//
// Nothing here needs what the broker knew before. Workers say what they hold (HOLDING), clients say
// which jobs they keep (KEEP_JOBS) and submit again what is unfinished; where both meet, the
// attempt goes on, and nothing is run twice.
#include <algorithm>
#include <iterator>
#include <utility>

#include "broker/core/state.hpp"
#include "protocol/mutant.hpp"

namespace achilles::broker {

using protocol::AttemptId;
using protocol::Chunk;
using protocol::ItemIndex;
using protocol::JobId;
using protocol::mutant;
using protocol::Mutant;
using protocol::RejectReason;

// ---- workers --------------------------------------------------------------------------------

void Scheduler::State::on_holding(Peer& peer, const protocol::Holding& holding) {
  Worker& worker = worker_of(peer);
  for (const auto& held : holding.attempts) {
    if (held.count == 0 || held.first > UINT64_MAX - held.count) {
      reject(peer, RejectReason::kOutOfOrder,
             "HOLDING: attempt " + std::to_string(held.attempt.value) + " has " +
                 std::to_string(held.count) + " items from " + std::to_string(held.first) + ".");
      worker.revoked.push_back(held.attempt);
      continue;
    }
    claim(worker, held);
  }
  if (holding.last) end_awaiting(worker);
  touch(worker);
}

void Scheduler::State::await(Worker& worker) {
  worker.awaited = true;
  worker.suspect = false;
  worker.outbox.clear();
  worker.grants.clear();
  worker.accepted.clear();
  worker.revoked.clear();
  worker.recalled.clear();
  worker.refused.clear();
  for (const JobId id : std::exchange(worker.jobs, {})) jobs.find(id)->workers.erase(worker.id);
  worker.last_job.reset();
  programs.forget(worker.id);
  touch(worker);
}

void Scheduler::State::end_awaiting(Worker& worker) {
  worker.awaited = false;
  slots_changed = true;
  std::vector<AttemptId> lost;
  for (const AttemptId id : worker.attempts) {
    if (attempts.find(id)->session != worker.session) lost.push_back(id);
  }
  for (const AttemptId id : lost) {
    mutant(Mutant::kMissingNotQueuedAgain) ? void(release(id)) : requeue(id);
  }
}

Job* Scheduler::State::claimed_job(Worker& worker, JobId id) {
  Job* job = jobs.find(id);
  if (job == nullptr) {
    Client* client = clients.find(id.client);
    if (client != nullptr && client->greeted && !client->kept.contains(id)) {
      send(worker.peer, protocol::CloseJob{id});
      return nullptr;
    }
    if (client == nullptr) client = &clients.wait_for(id.client, last_call + options.client_grace);
    client->jobs.insert(id);
    job = &jobs.add(id);
    story.tell(last_call, id, "worker " + worker.name + " has chunks of it");
  }
  if (worker.jobs.insert(id).second) job->workers.insert(worker.id);
  return job;
}

void Scheduler::State::claim(Worker& worker, const protocol::HeldAttempt& held) {
  if (Attempt* known = attempts.find(held.attempt)) {
    const bool same = known->worker == worker.id && known->job == held.job &&
                      known->chunk.first == held.first && known->count() == held.count;
    if (!same) return worker.revoked.push_back(held.attempt);
    return confirm(worker, held.attempt, *known, held.result_cost);
  }
  Job* job = claimed_job(worker, held.job);
  if (job == nullptr) return;
  if (job->has_queued(held.first, held.count)) {
    return add_claim(worker, *job, held, job->take_queued(held.first), false);
  }
  if (may_come(*job)) {
    if (!displace(*job, held)) return worker.revoked.push_back(held.attempt);
    Chunk chunk{held.first, {}};
    chunk.items.layout.count = held.count;
    return add_claim(worker, *job, held, std::move(chunk), true);
  }
  // Whoever has the result first is the one that counts.
  const auto other = job->assigned.find(held.first);
  if (held.result_cost > 0 && other != job->assigned.end()) {
    const Attempt& running = *attempts.find(other->second);
    if (running.at_work() && running.count() == held.count) {
      Chunk chunk = running.chunk;
      drop_second(*job, held.first);
      revoke(*workers.find(running.worker), other->second);
      return add_claim(worker, *job, held, std::move(chunk), false);
    }
  }
  if (!mutant(Mutant::kUnwantedClaimsKept)) worker.revoked.push_back(held.attempt);
}

void Scheduler::State::confirm(Worker& worker, AttemptId id, Attempt& attempt, std::uint64_t cost) {
  attempt.session = worker.session;
  attempt.recalled = false;
  Job& job = *jobs.find(attempt.job);
  if (worker.jobs.insert(job.id()).second) job.workers.insert(worker.id);
  if (attempt.delivered) return;  // That it was accepted, or lost, is still to be heard.
  job.reserved_bytes -= std::exchange(attempt.reserved_bytes, 0);
  if (std::exchange(attempt.granted, false)) --job.granted_attempts;
  if (cost > 0 && attempt.at_work()) {
    announce(job, id, attempt, cost);
  } else if (attempt.announced && !attempt.unsubmitted &&
             job.waiting.emplace(attempt.chunk.first, id).second) {
    job.announced_bytes += attempt.announced_bytes;
  }
  touch(job);
}

bool Scheduler::State::displace(Job& job, const protocol::HeldAttempt& held) {
  std::vector<AttemptId> others;
  const ItemIndex end = held.first + held.count;
  auto at = job.assigned.lower_bound(end);
  while (at != job.assigned.begin()) {
    --at;
    const Attempt& other = *attempts.find(at->second);
    if (other.end() <= held.first) break;
    if (!other.unsubmitted || other.announced || held.result_cost == 0) return false;
    others.push_back(at->second);
  }
  if (job.overlaps_queued(held.first, held.count)) return false;
  for (const AttemptId id : others) revoke(*workers.find(attempts.find(id)->worker), id);
  return true;
}

void Scheduler::State::add_claim(Worker& worker, Job& job, const protocol::HeldAttempt& held,
                                 Chunk chunk, bool unsubmitted) {
  const bool done = held.result_cost > 0;
  Attempt& attempt = attempts.add(held.attempt, {.job = job.id(),
                                                 .worker = worker.id,
                                                 .chunk = std::move(chunk),
                                                 .session = worker.session,
                                                 .assigned = last_call,
                                                 .estimated_ns = job.estimate_ns(held.count),
                                                 .unsubmitted = unsubmitted});
  workers.take(worker, held.attempt, attempt);
  job.assigned.emplace(held.first, held.attempt);
  job.assigned_bytes += attempt.bytes();
  job.assigned_items += attempt.count();
  if (unsubmitted) ++job.unsubmitted_attempts;
  if (done) announce(job, held.attempt, attempt, held.result_cost);
  touch(job);
}

void Scheduler::State::revoke(Worker& worker, AttemptId id) {
  const Attempt* attempt = attempts.find(id);
  // What its HOLDING has not named yet is judged when it does. Were it revoked now, the HOLDING
  // might be on its way, name what the worker then drops, and be taken for a claim.
  if (attempt == nullptr || attempt->session == worker.session) {
    worker.revoked.push_back(id);
    touch(worker);
  }
  if (attempt != nullptr) release(id);
}

// ---- clients --------------------------------------------------------------------------------

void Scheduler::State::on_keep_jobs(Peer& peer, const protocol::KeepJobs& keep) {
  Client& client = *clients.find({peer.number});
  if (client.greeted) {
    return reject(peer, RejectReason::kOutOfOrder,
                  "KEEP_JOBS again: it is the first message of a session.");
  }
  std::set<JobId> kept;
  for (const JobId id : keep.jobs) {
    if (id.client != client.id) {
      return reject(peer, RejectReason::kOutOfOrder,
                    "KEEP_JOBS names job " + to_string(id) + ", which is another client's.");
    }
    kept.insert(id);
  }
  std::vector<JobId> over;
  for (const JobId id : client.jobs) {
    if (!kept.contains(id)) over.push_back(id);
  }
  if (mutant(Mutant::kKeepJobsIgnored)) over.clear();
  for (const JobId id : over) close_job(*jobs.find(id));
  for (const JobId id : kept) {
    const Job* job = jobs.find(id);
    if (job != nullptr && job->opened) continue;
    // Those beyond are refused when they are opened.
    if (client.kept.size() < options.client_jobs_max) client.kept.insert(id);
  }
  client.greeted = true;
}

void Scheduler::State::lose_client(Client& client, protocol::TimePoint away_until) {
  clients.wait_for(client.id, away_until);
  for (const JobId id : client.jobs) suspend(*jobs.find(id));
  for (auto& [id, program] : programs.all()) ask_again(id, program, client.id);
}

void Scheduler::State::suspend(Job& job) {
  if (!job.opened) return;
  story.tell(last_call, job.id(),
             "its client is away; the queue (" + std::to_string(job.queued.size()) +
                 " chunks) is left to it");
  job.opened = false;
  job.resubmits_left = 0;
  ready.remove(job.id());
  job.clear_queued();
  while (!job.seconds.empty()) drop_second(job, job.seconds.begin()->first);
  for (const auto& [first, id] : job.assigned) {
    if (!attempts.find(id)->unsubmitted) unsubmit(job, id);
  }
  // What was delivered may never have arrived. The workers have kept it.
  for (const auto& [delivery, id] : std::exchange(job.delivered, {})) {
    Attempt& attempt = *attempts.find(id);
    if (overlaps_assigned(job, attempt)) {
      // The client had submitted the items anew, against all rules.
      revoke(*workers.find(attempt.worker), id);
      continue;
    }
    attempt.delivered = false;
    attempt.announced = true;
    attempt.unsubmitted = true;
    ++job.unsubmitted_attempts;
    workers.take_back(*workers.find(attempt.worker), attempt);
    job.assigned.emplace(attempt.chunk.first, id);
    job.assigned_items += attempt.count();
  }
  job.credit_total = 0;
  job.delivered_bytes = 0;
  job.wanted.reset();
}

bool Scheduler::State::overlaps_assigned(const Job& job, const Attempt& attempt) const {
  const auto next = job.assigned.lower_bound(attempt.end());
  if (next == job.assigned.begin()) return false;
  return attempts.find(std::prev(next)->second)->end() > attempt.chunk.first;
}

void Scheduler::State::unsubmit(Job& job, AttemptId id) {
  Attempt& attempt = *attempts.find(id);
  Worker& worker = *workers.find(attempt.worker);
  job.reserved_bytes -= std::exchange(attempt.reserved_bytes, 0);
  if (std::exchange(attempt.granted, false)) --job.granted_attempts;
  if (job.waiting.erase(attempt.chunk.first) > 0) job.announced_bytes -= attempt.announced_bytes;
  job.assigned_bytes -= attempt.bytes();
  workers.drop_inputs(worker, attempt);
  attempt.drop_inputs();
  attempt.unsubmitted = true;
  ++job.unsubmitted_attempts;
  touch(worker);
}

void Scheduler::State::resume(Job& job, const protocol::OpenJob& open) {
  const bool was_known = std::exchange(job.known, true);
  job.open = open;
  job.open.resubmits = 0;  // What workers are told has no past.
  job.opened = true;
  job.resubmits_left = open.resubmits;
  // Counted before the limit was known: here, too, the death that decides is still to come.
  for (auto& [item, deaths] : job.deaths) {
    deaths.count = std::min(deaths.count, job.crash_limit() - 1);
  }
  if (!was_known) {
    programs.open_job(open.program, job.id());
    forget_refused(job);
  }
  story.tell(last_call, job.id(),
             open.resubmits == 0 ? "its client opened it"
                                 : "its client opened it again, with " +
                                       std::to_string(open.resubmits) + " chunks from before");
  // From before a start of this broker, or from another one: workers that hold chunks of the job
  // may not be here yet.
  const bool may_be_held = !was_known && open.resubmits > 0;
  if (may_be_held && !mutant(Mutant::kChunksNotWithheld)) {
    job.withheld_until = last_call + 3 * options.heartbeat_interval;
    withheld.insert({*job.withheld_until, job.id()});
  }
  if (open.resubmits == 0) end_recovery(job);
}

void Scheduler::State::forget_refused(Job& job) {
  std::vector<AttemptId> refused;
  for (const auto& [first, id] : job.assigned) {
    const Worker& worker = *workers.find(attempts.find(id)->worker);
    if (worker.refused.contains(job.open.program)) refused.push_back(id);
  }
  for (const AttemptId id : refused) release(id);
}

void Scheduler::State::resubmit(Job& job, Chunk&& chunk) {
  --job.resubmits_left;
  const ItemIndex end = chunk.first + chunk.items.count();
  std::vector<AttemptId> overlapping;
  auto at = job.assigned.lower_bound(end);
  while (at != job.assigned.begin()) {
    --at;
    if (attempts.find(at->second)->end() <= chunk.first) break;
    overlapping.push_back(at->second);
  }
  // From the last to the first: the chunk is cut at its end again and again.
  std::uint64_t left = chunk.items.count();
  for (const AttemptId id : overlapping) {
    const Attempt& attempt = *attempts.find(id);
    if (attempt.chunk.first < chunk.first || attempt.end() > chunk.first + left) {
      revoke(*workers.find(attempt.worker), id);
      continue;
    }
    const std::uint64_t from = attempt.chunk.first - chunk.first;
    const std::uint64_t to = from + attempt.count();
    if (to < left) job.enqueue({attempt.end(), slice(chunk.items, to, left - to)});
    adopt(job, id, {attempt.chunk.first, slice(chunk.items, from, attempt.count())});
    left = from;
  }
  if (left == chunk.items.count()) {
    job.enqueue(std::move(chunk));
  } else if (left > 0) {
    job.enqueue({chunk.first, slice(chunk.items, 0, left)});
  }
  if (job.resubmits_left == 0) end_recovery(job);
}

void Scheduler::State::adopt(Job& job, AttemptId id, Chunk chunk) {
  Attempt& attempt = *attempts.find(id);
  Worker& worker = *workers.find(attempt.worker);
  attempt.unsubmitted = false;
  --job.unsubmitted_attempts;
  attempt.chunk = std::move(chunk);
  job.assigned_bytes += attempt.bytes();
  workers.add_inputs(worker, attempt);
  if (attempt.announced) {
    job.waiting.emplace(attempt.chunk.first, id);
    job.announced_bytes += attempt.announced_bytes;
  }
  touch(worker);
  touch(job);
}

void Scheduler::State::end_recovery(Job& job) {
  std::vector<AttemptId> done;
  if (job.unsubmitted_attempts > 0 && !mutant(Mutant::kUnsubmittedKept)) {
    for (const auto& [first, id] : job.assigned) {
      if (attempts.find(id)->unsubmitted) done.push_back(id);
    }
  }
  for (const AttemptId id : done) revoke(*workers.find(attempts.find(id)->worker), id);
}

void Scheduler::State::stop_withholding() {
  while (!withheld.empty() && withheld.begin()->first <= last_call) {
    Job& job = *jobs.find(withheld.begin()->second);
    withheld.erase(withheld.begin());
    job.withheld_until.reset();
    touch(job);
  }
}

}  // namespace achilles::broker
