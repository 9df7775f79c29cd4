#include "broker/core/worker_table.hpp"

#include <algorithm>
#include <utility>

#include "broker/core/peer_table.hpp"
#include "protocol/mutant.hpp"

namespace achilles::broker {

using protocol::AttemptId;
using protocol::mutant;
using protocol::Mutant;
using protocol::ProgramId;
using protocol::WorkerId;

namespace {

std::uint64_t window_bytes_of(const Attempt& attempt) {
  return std::min(attempt.bytes(), kWindowBytesPerChunkMax);
}

}  // namespace

bool Worker::has_room() const {
  if (!active()) return false;
  const bool full = running >= window_chunks || window_bytes_filled >= window_bytes;
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

Worker& WorkerTable::add(WorkerId id, PeerId peer) {
  Worker& worker = workers_.get(id);
  worker.id = id;
  worker.peer = peer;
  return worker;
}

void WorkerTable::remove(WorkerId id) {
  if (Worker* worker = find(id)) {
    slots_ -= counted_slots(*worker);
    if (worker->listed) candidates_.erase({worker->load, id});
    holding_.erase(id);
    if (worker->quarantined_until) quarantined_.erase({*worker->quarantined_until, id});
    workers_.remove(id);
  }
}

void WorkerTable::set_slots(Worker& worker, std::uint32_t slots, bool draining) {
  slots_ -= counted_slots(worker);
  worker.slots = slots;
  worker.draining = draining;
  slots_ += counted_slots(worker);
}

void WorkerTable::begin_work(Worker& worker, const Attempt& attempt) {
  ++worker.running;
  worker.window_bytes_filled += window_bytes_of(attempt);
  worker.running_ns += attempt.estimated_ns;
  worker.budget_ns += std::min(attempt.estimated_ns, kAheadNsPerSlot);
}

void WorkerTable::end_work(Worker& worker, const Attempt& attempt) {
  --worker.running;
  worker.window_bytes_filled -= window_bytes_of(attempt);
  worker.running_ns -= attempt.estimated_ns;
  worker.budget_ns -= std::min(attempt.estimated_ns, kAheadNsPerSlot);
}

void WorkerTable::change_held(Worker& worker, std::uint64_t bytes) {
  worker.held_bytes = bytes;
  if (bytes > 0) holding_.insert(worker.id);
  if (bytes == 0) holding_.erase(worker.id);
}

void WorkerTable::take(Worker& worker, AttemptId id, const Attempt& attempt) {
  worker.attempts.insert(id);
  if (attempt.at_work()) begin_work(worker, attempt);
  if (attempt.held()) change_held(worker, worker.held_bytes + attempt.announced_bytes);
}

void WorkerTable::announce(Worker& worker, const Attempt& attempt) {
  end_work(worker, attempt);
  change_held(worker, worker.held_bytes + attempt.announced_bytes);
}

void WorkerTable::deliver(Worker& worker, const Attempt& attempt) {
  if (attempt.at_work()) end_work(worker, attempt);
  if (attempt.held()) change_held(worker, worker.held_bytes - attempt.announced_bytes);
  ++worker.unaccepted;
}

void WorkerTable::take_back(Worker& worker, const Attempt& attempt) {
  --worker.unaccepted;
  change_held(worker, worker.held_bytes + attempt.announced_bytes);
}

void WorkerTable::add_inputs(Worker& worker, const Attempt& attempt) {
  if (attempt.at_work()) worker.window_bytes_filled += window_bytes_of(attempt);
}

void WorkerTable::drop_inputs(Worker& worker, const Attempt& attempt) {
  if (attempt.at_work()) worker.window_bytes_filled -= window_bytes_of(attempt);
}

void WorkerTable::release(Worker& worker, AttemptId id, const Attempt& attempt) {
  worker.attempts.erase(id);
  if (attempt.at_work()) end_work(worker, attempt);
  if (attempt.held()) change_held(worker, worker.held_bytes - attempt.announced_bytes);
  if (attempt.delivered) --worker.unaccepted;
}

void WorkerTable::relist(Worker& worker) {
  const bool has_room = worker.has_room();
  const Load load = worker.load_now();
  if (has_room == worker.listed && load == worker.load) return;
  const std::pair former(worker.load, worker.id);
  const bool was_listed = std::exchange(worker.listed, has_room);
  worker.load = load;
  if (was_listed && has_room) {
    // The same node at another place: this is done twice a chunk.
    auto node = candidates_.extract(former);
    node.key().first = load;
    candidates_.insert(std::move(node));
  } else if (was_listed) {
    candidates_.erase(former);
  } else if (has_room) {
    candidates_.emplace(std::pair(load, worker.id), &worker);
  }
}

Worker* WorkerTable::best_for(const ProgramId& program, const std::vector<WorkerId>& but_not) {
  for (const auto& [place, worker] : candidates_) {
    if (std::ranges::find(but_not, worker->id) != but_not.end()) continue;
    if (worker->takes(program)) return worker;
  }
  return nullptr;
}

Worker* WorkerTable::idle_for(const ProgramId& program, const std::vector<WorkerId>& but_not) {
  for (const auto& [place, worker] : candidates_) {
    if (worker->load.slots_busy) return nullptr;
    if (std::ranges::find(but_not, worker->id) != but_not.end()) continue;
    if (worker->held_bytes == 0 && worker->takes(program)) return worker;
  }
  return nullptr;
}

std::uint64_t WorkerTable::idle_slots() const {
  std::uint64_t idle = 0;
  for (const auto& [place, worker] : candidates_) {
    if (worker->load.slots_busy) break;
    if (worker->running < worker->slots) idle += worker->slots - worker->running;
  }
  return idle;
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

protocol::Duration WorkerTable::quarantine(Worker& worker, protocol::TimePoint now) {
  const protocol::Duration time =
      std::min(kQuarantineMax, kQuarantine * (1U << std::min(worker.quarantines++, 10U)));
  if (worker.quarantined_until) quarantined_.erase({*worker.quarantined_until, worker.id});
  worker.quarantined_until = now + time;
  quarantined_.insert({now + time, worker.id});
  return time;
}

std::optional<protocol::TimePoint> WorkerTable::next_release() const {
  if (quarantined_.empty()) return std::nullopt;
  return quarantined_.begin()->first;
}

Worker* WorkerTable::release_from_quarantine(protocol::TimePoint now) {
  if (quarantined_.empty() || quarantined_.begin()->first > now) return nullptr;
  Worker* worker = find(quarantined_.begin()->second);
  quarantined_.erase(quarantined_.begin());
  worker->quarantined_until.reset();
  return worker;
}

std::uint32_t WorkerTable::slots() const {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(slots_, UINT32_MAX));
}

void WorkerTable::check(const AttemptTable& attempts) const {
  std::size_t listed = 0;
  std::size_t holding = 0;
  std::uint64_t slots = 0;
  for (const auto& [id, worker] : workers_) {
    Worker sums;
    for (const AttemptId attempt_id : worker.attempts) {
      const Attempt* attempt = attempts.find(attempt_id);
      require(attempt != nullptr && attempt->worker == id, "a worker's attempt is not its own");
      const std::uint64_t budget = std::min(attempt->estimated_ns, kAheadNsPerSlot);
      sums.running += attempt->at_work() ? 1 : 0;
      sums.window_bytes_filled += attempt->at_work() ? window_bytes_of(*attempt) : 0;
      sums.running_ns += attempt->at_work() ? attempt->estimated_ns : 0;
      sums.budget_ns += attempt->at_work() ? budget : 0;
      sums.held_bytes += attempt->held() ? attempt->announced_bytes : 0;
      sums.unaccepted += attempt->delivered ? 1 : 0;
    }
    require(sums.running == worker.running, "worker.running is not the number of running attempts");
    require(sums.window_bytes_filled == worker.window_bytes_filled,
            "worker.window_bytes_filled is not their sum");
    require(sums.running_ns == worker.running_ns, "worker.running_ns is not their sum");
    require(sums.budget_ns == worker.budget_ns, "worker.budget_ns is not their sum");
    require(sums.unaccepted == worker.unaccepted, "worker.unaccepted is not their number");
    require(sums.held_bytes == worker.held_bytes, "worker.held_bytes is not its results' sum");
    require(holding_.contains(id) == (worker.held_bytes > 0), "holding() misses a worker");
    holding += worker.held_bytes > 0 ? 1 : 0;
    require(candidates_.contains({worker.load, id}) == worker.listed, "a candidate is misfiled");
    listed += worker.listed ? 1 : 0;
    slots += counted_slots(worker);
  }
  require(listed == candidates_.size(), "a candidate is gone");
  require(slots == slots_, "slots_ is not the workers' sum");
  require(holding == holding_.size(), "a worker that holds results is gone");
}

}  // namespace achilles::broker
