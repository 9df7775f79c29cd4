#include "broker/core/worker_table.hpp"

#include <algorithm>

#include "broker/core/peer_table.hpp"
#include "protocol/mutant.hpp"

namespace achilles::broker {

using protocol::AttemptId;
using protocol::mutant;
using protocol::Mutant;
using protocol::ProgramId;
using protocol::WorkerId;

bool Worker::has_room() const {
  if (slots == 0 || draining || suspect) return false;
  const bool full = running >= window_chunks || running_bytes >= window_bytes;
  if (full && !mutant(Mutant::kWorkerWindowIgnored)) return false;
  if (running < kChunksPerSlotMin * slots) return true;
  return budget_ns < kAheadNsPerSlot * slots && running < kAheadChunksPerSlotMax * slots;
}

Load Worker::load_now() const {
  if (slots == 0) return {};
  const std::uint64_t chunks_per_slot = (running << 16) / slots;
  if (running < slots) return {false, chunks_per_slot, UINT64_MAX - (slots - running)};
  return {true, running_ns / slots, chunks_per_slot};
}

Worker* WorkerTable::find(WorkerId id) {
  const auto at = workers_.find(id);
  return at == workers_.end() ? nullptr : &at->second;
}

const Worker* WorkerTable::find(WorkerId id) const {
  const auto at = workers_.find(id);
  return at == workers_.end() ? nullptr : &at->second;
}

Worker& WorkerTable::add(WorkerId id, PeerId peer) {
  Worker& worker = workers_[id];
  worker.id = id;
  worker.peer = peer;
  return worker;
}

void WorkerTable::remove(WorkerId id) {
  if (Worker* worker = find(id)) {
    if (worker->listed) candidates_.erase({worker->load, id});
    holding_.erase(id);
    workers_.erase(id);
  }
}

void WorkerTable::take(Worker& worker, AttemptId id, const Attempt& attempt) {
  worker.attempts.insert(worker.attempts.end(), id);
  ++worker.running;
  worker.running_bytes += attempt.bytes();
  worker.running_ns += attempt.estimated_ns;
  worker.budget_ns += std::min(attempt.estimated_ns, kAheadNsPerSlot);
}

void WorkerTable::announce(Worker& worker, const Attempt& attempt) {
  --worker.running;
  worker.running_bytes -= attempt.bytes();
  worker.running_ns -= attempt.estimated_ns;
  worker.budget_ns -= std::min(attempt.estimated_ns, kAheadNsPerSlot);
  worker.held_bytes += attempt.announced_bytes;
  if (worker.held_bytes > 0) holding_.insert(worker.id);
}

void WorkerTable::release(Worker& worker, AttemptId id, const Attempt& attempt) {
  worker.attempts.erase(id);
  if (attempt.announced) {
    worker.held_bytes -= attempt.announced_bytes;
    if (worker.held_bytes == 0) holding_.erase(worker.id);
    return;
  }
  --worker.running;
  worker.running_bytes -= attempt.bytes();
  worker.running_ns -= attempt.estimated_ns;
  worker.budget_ns -= std::min(attempt.estimated_ns, kAheadNsPerSlot);
}

void WorkerTable::relist(Worker& worker) {
  if (worker.listed) candidates_.erase({worker.load, worker.id});
  worker.listed = worker.has_room();
  worker.load = worker.load_now();
  if (worker.listed) candidates_.insert({worker.load, worker.id});
}

Worker* WorkerTable::best_for(const ProgramId& program) {
  for (const auto& [load, id] : candidates_) {
    Worker* worker = find(id);
    if (worker->takes(program)) return worker;
  }
  return nullptr;
}

Worker* WorkerTable::best_holding(const ProgramId& program) {
  Worker* best = nullptr;
  for (const WorkerId id : holding_) {
    Worker* worker = find(id);
    if (!worker->takes(program)) continue;
    if (best == nullptr || worker->load_now() < best->load_now()) best = worker;
  }
  return best;
}

std::uint32_t WorkerTable::slots() const {
  std::uint64_t total = 0;
  for (const auto& [id, worker] : workers_) {
    if (!worker.draining) total += worker.slots;
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(total, UINT32_MAX));
}

void WorkerTable::check(const AttemptTable& attempts) const {
  std::size_t listed = 0;
  std::size_t holding = 0;
  for (const auto& [id, worker] : workers_) {
    Worker sums;
    for (const AttemptId attempt_id : worker.attempts) {
      const Attempt* attempt = attempts.find(attempt_id);
      require(attempt != nullptr && attempt->worker == id, "a worker's attempt is not its own");
      const std::uint64_t budget = std::min(attempt->estimated_ns, kAheadNsPerSlot);
      sums.running += attempt->announced ? 0 : 1;
      sums.running_bytes += attempt->announced ? 0 : attempt->bytes();
      sums.running_ns += attempt->announced ? 0 : attempt->estimated_ns;
      sums.budget_ns += attempt->announced ? 0 : budget;
      sums.held_bytes += attempt->announced ? attempt->announced_bytes : 0;
    }
    require(sums.running == worker.running, "worker.running is not the number of running attempts");
    require(sums.running_bytes == worker.running_bytes, "worker.running_bytes is not their sum");
    require(sums.running_ns == worker.running_ns, "worker.running_ns is not their sum");
    require(sums.budget_ns == worker.budget_ns, "worker.budget_ns is not their sum");
    require(sums.held_bytes == worker.held_bytes, "worker.held_bytes is not its results' sum");
    require(holding_.contains(id) == (worker.held_bytes > 0), "holding() misses a worker");
    holding += worker.held_bytes > 0 ? 1 : 0;
    require(candidates_.contains({worker.load, id}) == worker.listed, "a candidate is misfiled");
    listed += worker.listed ? 1 : 0;
  }
  require(listed == candidates_.size(), "a candidate is gone");
  require(holding == holding_.size(), "a worker that holds results is gone");
}

}  // namespace achilles::broker
