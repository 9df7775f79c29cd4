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

Attempt Scheduler::State::release(AttemptId id) {
  Attempt attempt = attempts.take(id);
  Worker& worker = *workers.find(attempt.worker);
  workers.release(worker, id, attempt);
  touch(worker);
  Job& job = *jobs.find(attempt.job);
  job.assigned.erase(attempt.chunk.first);
  job.assigned_bytes -= attempt.bytes();
  job.assigned_items -= attempt.count();
  if (!mutant(Mutant::kAllowanceNotReleased)) job.reserved_bytes -= attempt.reserved_bytes;
  if (attempt.granted) --job.granted_attempts;
  if (job.waiting.erase(attempt.chunk.first) > 0) job.announced_bytes -= attempt.announced_bytes;
  touch(job);
  return attempt;
}

void Scheduler::State::requeue(AttemptId id) {
  Attempt attempt = release(id);
  Job& job = *jobs.find(attempt.job);
  job.enqueue(std::move(attempt.chunk));
  ++job.requeued_chunks;
}

void Scheduler::State::deliver(Job& job, protocol::ChunkResult&& result) {
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
  worker.slots = std::min(state.slots, kSlotsPerWorkerMax);
  worker.window_chunks = state.window_chunks;
  worker.window_bytes = state.window_bytes;
  worker.draining = state.draining;
  slots_changed = true;
  touch(worker);
}

void Scheduler::State::on_results(Peer& peer, protocol::Results&& results) {
  Worker& worker = worker_of(peer);
  for (auto& result : results.chunks) on_result(peer, worker, std::move(result));
}

void Scheduler::State::on_result(Peer& peer, Worker& worker, protocol::ChunkResult&& result) {
  Attempt* attempt = attempt_of(worker, result.attempt);
  if (attempt == nullptr) return;
  if (result.job != attempt->job || result.first != attempt->chunk.first ||
      result.items.count() != attempt->count() || !errors_fit(result)) {
    reject(peer, RejectReason::kOutOfOrder,
           "RESULTS: the result of attempt " + std::to_string(result.attempt.value) + " has " +
               std::to_string(result.items.count()) + " items from " +
               std::to_string(result.first) + "; assigned were " +
               std::to_string(attempt->count()) + " from " + std::to_string(attempt->chunk.first) +
               ".");
    requeue(result.attempt);
    return;
  }
  const Attempt done = release(result.attempt);
  Job& job = *jobs.find(done.job);
  if (!done.announced) job.learn(done.count(), result.busy_ns, credit_cost(result));
  ++worker.done_chunks;
  deliver(job, std::move(result));
}

void Scheduler::State::on_result_ready(Peer& peer, const protocol::ResultReady& ready_result) {
  Worker& worker = worker_of(peer);
  Attempt* attempt = attempt_of(worker, ready_result.attempt);
  if (attempt == nullptr || attempt->announced) return;
  Job& job = *jobs.find(attempt->job);
  job.learn(attempt->count(), ready_result.busy_ns, ready_result.bytes);
  const bool held_before = worker.held_bytes > 0;
  attempt->announced = true;
  attempt->announced_bytes = ready_result.bytes;
  workers.announce(worker, *attempt);
  job.reserved_bytes -= attempt->reserved_bytes;
  attempt->reserved_bytes = 0;
  if (attempt->granted) {
    // The GRANT crossed with this announcement: the result is on its way.
    attempt->reserved_bytes = ready_result.bytes;
    job.reserved_bytes += ready_result.bytes;
  } else {
    job.waiting.emplace(attempt->chunk.first, ready_result.attempt);
    job.announced_bytes += ready_result.bytes;
  }
  touch(worker);
  touch(job);
  if (held_before) return;
  // From now on the worker may begin nothing that is not granted: see to it that each job goes on.
  for (const auto id : worker.jobs) touch(*jobs.find(id));
}

void Scheduler::State::on_crashed(Peer& peer, protocol::Crashed&& crashed) {
  Worker& worker = worker_of(peer);
  const Attempt* attempt = attempt_of(worker, crashed.attempt);
  if (attempt == nullptr) return;
  const protocol::ItemIndex first = attempt->chunk.first;
  if (crashed.item < first || crashed.item - first >= attempt->count()) {
    reject(peer, RejectReason::kOutOfOrder,
           "CRASHED: item " + std::to_string(crashed.item) + " is not of attempt " +
               std::to_string(crashed.attempt.value) + ".");
    requeue(crashed.attempt);
    return;
  }
  ++worker.crashes;
  const Attempt died = release(crashed.attempt);
  const protocol::Chunk& chunk = died.chunk;
  Job& job = *jobs.find(died.job);
  const std::uint64_t before = crashed.item - first;
  const std::uint64_t after = chunk.items.count() - before - 1;
  if (before > 0) job.enqueue({first, slice(chunk.items, 0, before)});
  if (after > 0 && !mutant(Mutant::kRestOfCrashedForgotten))
    job.enqueue({crashed.item + 1, slice(chunk.items, before + 1, after)});
  const auto guilty = mutant(Mutant::kCrashCountsAgainstFirst) ? first : crashed.item;
  const std::uint32_t deaths = ++job.deaths[guilty];
  if (deaths < job.crash_limit()) {
    job.enqueue({crashed.item, slice(chunk.items, before, 1)});
    ++job.requeued_chunks;
    return;
  }
  crashed.error.kind = ErrorKind::kTaskCrashed;
  crashed.error.attempts = deaths;
  if (crashed.error.worker.empty()) crashed.error.worker = worker.name;
  if (crashed.error.host.empty()) crashed.error.host = worker.host;
  protocol::ChunkResult result;
  result.job = job.id();
  result.attempt = crashed.attempt;
  result.first = crashed.item;
  result.items.layout.count = 1;
  result.errors.push_back({crashed.item, std::move(crashed.error)});
  deliver(job, std::move(result));
}

void Scheduler::State::on_returned(Peer& peer, const protocol::Returned& returned) {
  const Worker& worker = worker_of(peer);
  for (const AttemptId id : returned.attempts) {
    if (attempt_of(worker, id) == nullptr) continue;
    mutant(Mutant::kReturnedChunksForgotten) ? void(release(id)) : requeue(id);
  }
}

void Scheduler::State::on_program_refused(Peer& peer, const protocol::ProgramRefused& refused) {
  if (programs.find(refused.program) == nullptr) return;  // Of a job that was closed meanwhile.
  Worker& worker = worker_of(peer);
  worker.refused[refused.program] = clipped(refused.reason, kRefusalBytesMax);
  note(Note::Level::kWarning, peer.title() + " cannot run program " + to_string(refused.program) +
                                  ": " + worker.refused[refused.program]);
  std::vector<AttemptId> returned;
  for (const AttemptId id : worker.attempts) {
    const Job& job = *jobs.find(attempts.find(id)->job);
    if (job.open.program == refused.program) returned.push_back(id);
  }
  for (const AttemptId id : returned) requeue(id);
  touch(worker);
  check_refusals(refused.program);
}

void Scheduler::State::check_refusals(const protocol::ProgramId& program_id) {
  std::string reasons;
  for (const auto& [id, worker] : workers.all()) {
    if (worker.draining) continue;
    const auto refused = worker.refused.find(program_id);
    if (refused == worker.refused.end()) return;
    if (!reasons.empty()) reasons += "; ";
    reasons += "worker " + worker.name + ": " + refused->second;
  }
  const Program* program = programs.find(program_id);
  if (reasons.empty() || program == nullptr) return;
  const auto failing = program->jobs;
  for (const auto id : failing) {
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
  const bool asked = program->waits.contains(need.offset);
  if (!asked && !ask_for_part(need.program, *program, need.offset)) return;
  program->waits[need.offset].workers.insert(worker_of(peer).id);
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
