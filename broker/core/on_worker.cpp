// What workers say.
#include <algorithm>
#include <utility>

#include "broker/core/state.hpp"
#include "protocol/limits.hpp"
#include "protocol/mutant.hpp"

namespace achilles::broker {

using protocol::AttemptId;
using protocol::ErrorKind;
using protocol::mutant;
using protocol::Mutant;
using protocol::RejectReason;
using protocol::WorkerId;

namespace {

/// How long a job waits for a worker that can run its program to come back, when all others refuse
/// it.
constexpr std::chrono::seconds kRefusalGrace{30};

constexpr std::size_t kRefusalBytesMax = 1024;
/// Programs that a worker refuses in one session. Those of closed jobs make room.
constexpr std::size_t kRefusalsMax = 1024;
/// Of each death of a task process, as it is told to the client.
constexpr std::size_t kDeathBytesMax = 256;
constexpr std::size_t kDeathsToldMax = 16;
/// After so many deaths and no success in between a worker is quarantined.
constexpr std::uint32_t kCrashesToQuarantine = 5;

bool errors_fit(const protocol::ChunkResult& result) {
  for (std::size_t i = 0; i < result.errors.size(); ++i) {
    const auto index = result.errors[i].index;
    if (index < result.first || index - result.first >= result.items.count()) return false;
    if (i > 0 && index <= result.errors[i - 1].index) return false;
  }
  return true;
}

}  // namespace

Worker& Scheduler::State::worker_of(const Peer& peer) {
  return *workers.find(WorkerId{peer.number});
}

Attempt* Scheduler::State::attempt_of(const Worker& worker, AttemptId id) {
  Attempt* attempt = attempts.find(id);
  if (attempt != nullptr && attempt->worker == worker.id) return attempt;
  ++stale_messages;  // Of a closed job, of a former session, or taken away from it: ordinary.
  return nullptr;
}

void Scheduler::State::detach(Job& job, Attempt& attempt) {
  job.assigned.erase(attempt.chunk.first);
  job.assigned_bytes -= attempt.bytes();
  job.assigned_items -= attempt.count();
  const std::uint64_t reserved = std::exchange(attempt.reserved_bytes, 0);
  if (!mutant(Mutant::kAllowanceNotReleased)) job.reserved_bytes -= reserved;
  if (attempt.unsubmitted) --job.unsubmitted_attempts;
  if (std::exchange(attempt.granted, false)) --job.granted_attempts;
  if (job.waiting.erase(attempt.chunk.first) > 0) job.announced_bytes -= attempt.announced_bytes;
}

Attempt Scheduler::State::release(AttemptId id) {
  Attempt attempt = attempts.take(id);
  Worker& worker = *workers.find(attempt.worker);
  workers.release(worker, id, attempt);
  touch(worker);
  Job& job = *jobs.find(attempt.job);
  if (attempt.delivered) {
    job.delivered.erase(attempt.delivery);
  } else if (attempt.second) {
    job.seconds.erase(attempt.chunk.first);
  } else {
    detach(job, attempt);
    touch(job);
  }
  return attempt;
}

void Scheduler::State::requeue(AttemptId id, bool recalled) {
  Attempt attempt = release(id);
  if (attempt.delivered || attempt.unsubmitted) return;  // Its client has the inputs.
  if (attempt.second) return;                            // The first one goes on.
  Job& job = *jobs.find(attempt.job);
  const auto second = job.seconds.find(attempt.chunk.first);
  if (second != job.seconds.end() && !mutant(Mutant::kSecondForgotten)) {
    return take_first_place(job, second->second);
  }
  story.tell(last_call, job.id(),
             "the chunk from item " + std::to_string(attempt.chunk.first) +
                 " on is queued again: its worker " +
                 (recalled ? "had not begun it" : "does not have it any more"));
  job.enqueue(std::move(attempt.chunk));
  if (!recalled) ++job.requeued_chunks;
}

void Scheduler::State::announce(Job& job, AttemptId id, Attempt& attempt, std::uint64_t cost) {
  cost = std::min(cost, kAnnouncedBytesMax);
  settle_race(job, id, attempt);
  Worker& worker = *workers.find(attempt.worker);
  attempt.announced_bytes = cost;
  workers.announce(worker, attempt);
  attempt.announced = true;
  job.reserved_bytes -= std::exchange(attempt.reserved_bytes, 0);
  if (attempt.granted) {
    // The GRANT crossed with this announcement: the result is on its way.
    attempt.reserved_bytes = cost;
    job.reserved_bytes += cost;
  } else if (!attempt.unsubmitted) {
    job.waiting.emplace(attempt.chunk.first, id);
    job.announced_bytes += cost;
  }
  touch(worker);
  touch(job);
}

void Scheduler::State::deliver(Job& job, AttemptId id, Attempt& attempt,
                               protocol::ChunkResult&& result) {
  settle_race(job, id, attempt);
  Worker& worker = *workers.find(attempt.worker);
  workers.deliver(worker, attempt);
  detach(job, attempt);
  attempt.delivered = true;
  attempt.announced_bytes = credit_cost(result);
  attempt.drop_inputs();
  attempt.delivery = ++job.deliveries;
  job.delivered.emplace(attempt.delivery, id);
  touch(worker);
  touch(job);
  send_result(job, std::move(result));
}

void Scheduler::State::send_result(Job& job, protocol::ChunkResult&& result) {
  job.done_items += result.items.count();
  job.delivered_bytes += credit_cost(result);
  if (!job.deaths.empty()) {
    const auto from = job.deaths.lower_bound(result.first);
    job.deaths.erase(from, job.deaths.lower_bound(result.first + result.items.count()));
  }
  Client& client = *clients.find(job.id().client);
  if (client.outbox.empty()) clients_with_results.push_back(client.id);
  client.outbox.push_back(std::move(result));
}

void Scheduler::State::on_worker_state(Peer& peer, const protocol::WorkerState& state) {
  Worker& worker = worker_of(peer);
  workers.set_slots(worker, std::min(state.slots, kSlotsPerWorkerMax), state.draining);
  worker.window_chunks = state.window_chunks;
  worker.window_bytes = state.window_bytes;
  slots_changed = true;
  touch(worker);
}

void Scheduler::State::on_results(Peer& peer, protocol::Results&& results) {
  Worker& worker = worker_of(peer);
  for (auto& result : results.chunks) on_result(peer, worker, std::move(result));
}

void Scheduler::State::note_success(Worker& worker) {
  ++worker.done_chunks;
  worker.crashes_in_a_row = 0;
  worker.quarantines = 0;
}

void Scheduler::State::on_result(Peer& peer, Worker& worker, protocol::ChunkResult&& result) {
  const AttemptId id = result.attempt;
  Attempt* attempt = attempt_of(worker, id);
  if (attempt == nullptr) {
    // The worker keeps it until it is told otherwise.
    worker.revoked.push_back(id);
    return touch(worker);
  }
  if (attempt->delivered) return;  // It came twice.
  if (result.job != attempt->job || result.first != attempt->chunk.first ||
      result.items.count() != attempt->count() || !errors_fit(result)) {
    reject(peer, RejectReason::kOutOfOrder,
           "RESULTS: the result of attempt " + std::to_string(id.value) + " has " +
               std::to_string(result.items.count()) + " items from " +
               std::to_string(result.first) + "; assigned were " +
               std::to_string(attempt->count()) + " from " + std::to_string(attempt->chunk.first) +
               ".");
    worker.revoked.push_back(id);
    return requeue(id);
  }
  Job& job = *jobs.find(attempt->job);
  const std::uint64_t cost = credit_cost(result);
  if (attempt->at_work()) {
    job.learn(attempt->count(), result.busy_ns, cost);
    note_success(worker);
  }
  if (attempt->unsubmitted) {
    // The client is away. The worker keeps the result until it is asked for it again.
    if (attempt->at_work()) announce(job, id, *attempt, cost);
    return;
  }
  deliver(job, id, *attempt, std::move(result));
}

void Scheduler::State::on_result_ready(Peer& peer, const protocol::ResultReady& ready_result) {
  Worker& worker = worker_of(peer);
  Attempt* attempt = attempt_of(worker, ready_result.attempt);
  if (attempt == nullptr) {
    worker.revoked.push_back(ready_result.attempt);
    return touch(worker);
  }
  if (!attempt->at_work()) return;
  Job& job = *jobs.find(attempt->job);
  job.learn(attempt->count(), ready_result.busy_ns, ready_result.bytes);
  note_success(worker);
  const bool held_before = worker.held_bytes > 0;
  announce(job, ready_result.attempt, *attempt, ready_result.bytes);
  if (held_before) return;
  // From now on the worker may begin nothing that is not granted: see to it that each job goes on.
  for (const auto id : worker.jobs) touch(*jobs.find(id));
}

void Scheduler::State::on_crashed(Peer& peer, protocol::Crashed&& crashed) {
  Worker& worker = worker_of(peer);
  const Attempt* attempt = attempt_of(worker, crashed.attempt);
  if (attempt == nullptr || attempt->delivered) return;
  const protocol::ItemIndex first = attempt->chunk.first;
  if (crashed.item < first || crashed.item - first >= attempt->count()) {
    reject(peer, RejectReason::kOutOfOrder,
           "CRASHED: item " + std::to_string(crashed.item) + " is not of attempt " +
               std::to_string(crashed.attempt.value) + ".");
    requeue(crashed.attempt);
    return;
  }
  note_crash(worker, jobs.find(attempt->job)->open.program);
  if (!attempt->second) drop_second(*jobs.find(attempt->job), first);
  const Attempt died = release(crashed.attempt);
  const protocol::Chunk& chunk = died.chunk;
  Job& job = *jobs.find(died.job);
  if (crashed.error.worker.empty()) crashed.error.worker = worker.name;
  if (crashed.error.host.empty()) crashed.error.host = worker.host;
  const auto guilty = mutant(Mutant::kCrashCountsAgainstFirst) ? first : crashed.item;
  Deaths& deaths = job.deaths[guilty];
  if (std::ranges::find(deaths.workers, worker.id) == deaths.workers.end()) {
    deaths.workers.push_back(worker.id);
  }
  if (deaths.told.size() == kDeathsToldMax) deaths.told.erase(deaths.told.begin());
  deaths.told.push_back(clipped(crashed.error.detail, kDeathBytesMax) + " at worker " +
                        crashed.error.worker + " on " + crashed.error.host + ", pid " +
                        std::to_string(crashed.error.pid));
  story.tell(
      last_call, job.id(),
      "a task process died on item " + std::to_string(crashed.item) + ": " + deaths.told.back());
  if (died.unsubmitted || died.second) {
    // The client has the inputs, and submits them again; or the first attempt goes on. The death
    // that decides is one that the client can be told of at once.
    if (deaths.count + 1 < job.crash_limit()) ++deaths.count;
    return;
  }
  const std::uint64_t before = crashed.item - first;
  const std::uint64_t after = chunk.items.count() - before - 1;
  if (before > 0) job.enqueue({first, slice(chunk.items, 0, before)});
  if (after > 0 && !mutant(Mutant::kRestOfCrashedForgotten)) {
    job.enqueue({crashed.item + 1, slice(chunk.items, before + 1, after)});
  }
  if (++deaths.count < job.crash_limit()) {
    job.enqueue({crashed.item, slice(chunk.items, before, 1)});
    ++job.requeued_chunks;
    return;
  }
  crashed.error.kind = ErrorKind::kTaskCrashed;
  crashed.error.attempts = deaths.count;
  crashed.error.deaths = std::move(deaths.told);
  protocol::ChunkResult result;
  result.job = job.id();
  result.attempt = crashed.attempt;
  result.first = crashed.item;
  result.items.layout.count = 1;
  result.errors.push_back({crashed.item, std::move(crashed.error)});
  send_result(job, std::move(result));
}

void Scheduler::State::note_crash(Worker& worker, const protocol::ProgramId& program) {
  ++worker.crashes;
  ++worker.crashes_in_a_row;
  if (worker.crashes_in_a_row < kCrashesToQuarantine || worker.quarantined_until) return;
  // Only where others fare better: a function that crashes everywhere is no worker's fault. Who
  // cannot run the program is no better.
  const bool others_work = std::ranges::any_of(workers.all(), [&](const auto& entry) {
    const Worker& other = entry.second;
    return other.id != worker.id && other.slots > 0 && !other.draining && !other.suspect &&
           !other.awaited && other.crashes_in_a_row == 0 && other.done_chunks > 0 &&
           !other.refused.contains(program);
  });
  if (!others_work) return;
  const auto time = workers.quarantine(worker, last_call);
  note(Note::Level::kWarning,
       "Worker " + worker.name + "@" + worker.host + " gets no work for " +
           std::to_string(time / std::chrono::seconds(1)) + " s: its last " +
           std::to_string(worker.crashes_in_a_row) +
           " task processes died, those of other workers do not. Check that machine: memory, "
           "libraries, processor.");
  touch(worker);
}

void Scheduler::State::on_returned(Peer& peer, const protocol::Returned& returned) {
  const Worker& worker = worker_of(peer);
  for (const AttemptId id : returned.attempts) {
    const Attempt* attempt = attempt_of(worker, id);
    if (attempt == nullptr || !attempt->at_work()) continue;
    mutant(Mutant::kReturnedChunksForgotten) ? void(release(id)) : requeue(id, attempt->recalled);
  }
}

void Scheduler::State::on_program_refused(Peer& peer, const protocol::ProgramRefused& refused) {
  Worker& worker = worker_of(peer);
  const bool may_come = std::ranges::any_of(worker.attempts, [&](const AttemptId id) {
    return !jobs.find(attempts.find(id)->job)->known;
  });
  // Of a job that was closed meanwhile; or of one that its client has not opened again yet.
  if (programs.find(refused.program) == nullptr && !may_come) return;
  if (worker.refused.size() >= kRefusalsMax) {
    std::erase_if(worker.refused, [&](const auto& entry) {
      const Program* program = programs.find(entry.first);
      return program == nullptr || program->jobs.empty();
    });
  }
  worker.refused[refused.program] = clipped(refused.reason, kRefusalBytesMax);
  note(Note::Level::kWarning, peer.title() + " cannot run program " + to_string(refused.program) +
                                  ": " + worker.refused[refused.program]);
  std::vector<AttemptId> returned;
  for (const AttemptId id : worker.attempts) {
    const Job& job = *jobs.find(attempts.find(id)->job);
    if (job.known && job.open.program == refused.program) returned.push_back(id);
  }
  for (const AttemptId id : returned) requeue(id);
  touch(worker);
  check_refusals(refused.program);
}

void Scheduler::State::check_refusals(const protocol::ProgramId& program_id) {
  std::string reasons;
  for (const auto& [id, worker] : workers.all()) {
    if (worker.draining) continue;
    if (worker.awaited) return;
    const auto refused = worker.refused.find(program_id);
    if (refused == worker.refused.end()) return;
    if (!reasons.empty()) reasons += "; ";
    reasons += "worker " + worker.name + ": " + refused->second;
  }
  const Program* program = programs.find(program_id);
  if (reasons.empty() || program == nullptr) return;
  const auto failing = program->jobs;
  for (const auto id : failing) {
    if (!jobs.find(id)->opened) continue;  // Its client will open it again, or is gone.
    fail_job(*jobs.find(id), ErrorKind::kProgramRefused,
             "No connected worker can run the program: " + reasons);
  }
}

void Scheduler::State::on_need_program(Peer& peer, const protocol::NeedProgram& need) {
  Program* program = programs.find(need.program);
  if (program == nullptr) return;  // Its jobs were closed meanwhile: so the worker was told.
  if (need.offset % protocol::kPartBytes != 0 || need.offset >= protocol::kMaxProgramBytes ||
      (program->total_bytes != 0 && need.offset >= program->total_bytes)) {
    reject(peer, RejectReason::kOutOfOrder,
           "NEED_PROGRAM: no part begins at byte " + std::to_string(need.offset) + ".");
    return;
  }
  if (const auto part = program->parts.find(need.offset); part != program->parts.end()) {
    send(peer.id,
         protocol::ProgramPart{need.program, program->total_bytes, need.offset, part->second});
    return;
  }
  if (program->jobs.empty()) return;  // The same, of one that is kept for the next job.
  const bool asked = program->waits.contains(need.offset);
  program->waits[need.offset].workers.insert(worker_of(peer).id);
  if (!asked) ask_for_part(need.program, *program, need.offset);
}

void Scheduler::State::end_worker(WorkerId id) {
  Worker& worker = *workers.find(id);
  const auto held = worker.attempts;
  for (const AttemptId attempt : held) {
    mutant(Mutant::kLostWorkersChunksForgotten) ? void(release(attempt)) : requeue(attempt);
  }
  for (const auto job : worker.jobs) jobs.find(job)->workers.erase(id);
  programs.forget(id);
  workers.remove(id);
  slots_changed = true;
  if (!workers.all().empty() && !jobs.all().empty() && !refusals_due) {
    refusals_due = last_call + kRefusalGrace;
  }
}

}  // namespace achilles::broker
