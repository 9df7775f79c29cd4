// What must hold across the tables after every entrance.
#include <algorithm>

#include "broker/core/state.hpp"

namespace achilles::broker {

using protocol::Role;

void Scheduler::State::check_invariants() const {
  peers.check();
  liveness.check(peers);
  workers.check(attempts);
  programs.check();
  clients.check();

  std::size_t attempts_of_workers = 0;
  for (const auto& [id, worker] : workers.all()) {
    const Peer* peer = peers.find(Role::kWorker, id.value);
    require(peer != nullptr && peer->id == worker.peer, "a worker has no peer");
    require(peer->suspect == worker.suspect, "a worker and its peer differ in being suspect");
    require(peer->session == worker.session, "a worker is in another session than its peer");
    attempts_of_workers += worker.attempts.size();
    require(!worker.last_job || worker.jobs.contains(*worker.last_job),
            "a worker's last job is one that it was not told of");
    for (const auto job : worker.jobs) {
      const Job* known = jobs.find(job);
      require(known != nullptr && known->workers.contains(id), "a worker knows a closed job");
    }
  }
  require(attempts_of_workers == attempts.size(), "an attempt belongs to no worker");

  std::size_t attempts_of_jobs = 0;
  std::size_t jobs_of_clients = 0;
  std::size_t jobs_withheld = 0;
  for (const auto& [id, client] : clients.all()) {
    const Peer* peer = peers.find(Role::kClient, id.value);
    require(peer != nullptr ? peer->id == client.peer : !client.present(), "a client has no peer");
    jobs_of_clients += client.jobs.size();
    for (const auto job : client.jobs) require(jobs.find(job) != nullptr, "a client's job is gone");
  }
  require(jobs_of_clients == jobs.all().size(), "a job belongs to no client");
  for (const auto& [id, job] : jobs.all()) {
    check_job(job);
    attempts_of_jobs += job.assigned.size() + job.seconds.size() + job.delivered.size();
    require(job.known || !job.opened, "an open job is not known");
    require(!job.withheld_until || withheld.contains({*job.withheld_until, id}),
            "a job is withheld by half");
    jobs_withheld += job.withheld_until ? 1 : 0;
    if (!job.known) continue;
    const Program* program = programs.find(job.open.program);
    require(program != nullptr && program->jobs.contains(id), "an open job's program is gone");
  }
  require(attempts_of_jobs == attempts.size(), "an attempt belongs to no job");
  require(jobs_withheld == withheld.size(), "a job that is withheld is gone");
  for (const auto id : ready.jobs()) {
    const Job* job = jobs.find(id);
    require(job != nullptr, "a closed job is in the ready queue");
  }
}

void Scheduler::State::check_job(const Job& job) const {
  Job sums;
  protocol::ItemIndex free_from = 0;
  auto queued = job.queued.begin();
  auto assigned = job.assigned.begin();
  // Both maps merged by first item: every unfinished item is in one place only.
  while (queued != job.queued.end() || assigned != job.assigned.end()) {
    const bool take_queued = assigned == job.assigned.end() ||
                             (queued != job.queued.end() && queued->first < assigned->first);
    const Attempt* attempt = take_queued ? nullptr : attempts.find(assigned->second);
    require(take_queued || attempt != nullptr, "an assigned chunk has no attempt");
    const protocol::Chunk& chunk = take_queued ? queued->second : attempt->chunk;
    require(chunk.first == (take_queued ? queued->first : assigned->first), "a chunk is misfiled");
    require(chunk.items.count() > 0, "a chunk has no items");
    require(chunk.first >= free_from, "an item is in two places");
    free_from = chunk.first + chunk.items.count();
    if (take_queued) {
      sums.queued_bytes += chunk.items.bytes();
      sums.queued_items += chunk.items.count();
      ++queued;
      continue;
    }
    require(attempt->job == job.id(), "an attempt is another job's");
    const Worker* worker = workers.find(attempt->worker);
    require(worker != nullptr && worker->attempts.contains(assigned->second),
            "a worker misses its attempt");
    require(!attempt->delivered, "a delivered attempt counts as assigned");
    if (attempt->unsubmitted) {
      require(may_come(job), "an attempt was not submitted, and its client has nothing to submit");
      require(attempt->bytes() == 0 && attempt->reserved_bytes == 0 && !attempt->granted,
              "an unsubmitted attempt has inputs, credit or a grant");
      ++sums.unsubmitted_attempts;
    }
    const bool waits = attempt->announced && !attempt->granted && !attempt->unsubmitted;
    require(waits == job.waiting.contains(chunk.first),
            "job.waiting is not the announced attempts");
    sums.assigned_bytes += chunk.items.bytes();
    sums.assigned_items += chunk.items.count();
    sums.reserved_bytes += attempt->reserved_bytes;
    sums.announced_bytes += waits ? attempt->announced_bytes : 0;
    sums.granted_attempts += attempt->granted ? 1 : 0;
    ++assigned;
  }
  require(sums.queued_bytes == job.queued_bytes, "job.queued_bytes is not its chunks' sum");
  require(sums.queued_items == job.queued_items, "job.queued_items is not its chunks' sum");
  require(sums.assigned_bytes == job.assigned_bytes, "job.assigned_bytes is not its attempts' sum");
  require(sums.assigned_items == job.assigned_items, "job.assigned_items is not its attempts' sum");
  require(sums.reserved_bytes == job.reserved_bytes, "job.reserved_bytes is not its attempts' sum");
  require(sums.announced_bytes == job.announced_bytes, "job.announced_bytes is not their sum");
  require(sums.unsubmitted_attempts == job.unsubmitted_attempts,
          "job.unsubmitted_attempts is not their number");
  require(job.opened || job.queued.empty(), "a chunk of a job is queued that is not open");
  for (const auto& [first, id] : job.seconds) check_second(job, first, id);
  for (const auto& [delivery, id] : job.delivered) {
    const Attempt* attempt = attempts.find(id);
    require(attempt != nullptr && attempt->delivered && attempt->delivery == delivery &&
                attempt->job == job.id(),
            "a delivered attempt is gone");
  }
  require(sums.granted_attempts == job.granted_attempts,
          "job.granted_attempts is not their number");
  require(std::ranges::all_of(job.waiting,
                              [&](const auto& entry) {
                                const auto at = job.assigned.find(entry.first);
                                return at != job.assigned.end() && at->second == entry.second;
                              }),
          "job.waiting names an attempt that is gone");
}

void Scheduler::State::check_second(const Job& job, protocol::ItemIndex at,
                                    protocol::AttemptId id) const {
  const Attempt* second = attempts.find(id);
  require(
      second != nullptr && second->second && second->job == job.id() && second->chunk.first == at,
      "a second attempt is misfiled");
  const auto entry = job.assigned.find(at);
  require(entry != job.assigned.end(), "there is a second attempt without a first");
  const Attempt& first = *attempts.find(entry->second);
  require(!first.second && first.count() == second->count() && first.worker != second->worker,
          "two attempts at a chunk do not belong together");
  require(first.at_work() && !first.unsubmitted && second->at_work() && !second->granted &&
              second->reserved_bytes == 0,
          "of two attempts at a chunk one is done, or the second has credit");
}

}  // namespace achilles::broker
