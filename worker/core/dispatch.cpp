// What runs where: hands queued attempts to task processes, and starts and evicts these.
//
// Programs are served by the age of what waits for them. A program whose oldest attempt finds no
// slot holds up all younger work, topping up included, so that busy task processes of another
// program run dry and make room: programs share the slots in the order in which the broker assigned
// their chunks.
#include <algorithm>
#include <utility>

#include "protocol/mutant.hpp"
#include "worker/core/agent_state.hpp"

namespace achilles::worker {

using protocol::mutant;
using protocol::Mutant;

namespace {

/// Whether the task process may get another attempt beside what it holds.
bool has_room(const Task& task) {
  if (task.stage != Task::Stage::kReady) return false;
  // What it got now would be taken for a part of what is coming back.
  if (task.asked_back && !mutant(Mutant::kAskedBackGetMore)) return false;
  if (task.given.empty()) return true;
  if (task.stuck) return false;
  // One that still has to skip a closed job's chunk may be killed over it.
  return task.abandoned_count == 0 && task.unknown_count == 0 && task.expected_ns < kAheadNs &&
         task.given.size() < kAheadChunks && task.given_bytes < kAheadBytes;
}

bool fits(const Task& task, const Attempt& attempt, std::optional<std::int64_t> expected_ns) {
  if (task.given.empty()) return true;
  return expected_ns && task.expected_ns + *expected_ns <= kAheadNs &&
         task.given.size() < kAheadChunks && task.given_bytes + attempt.bytes <= kAheadBytes;
}

/// For a heap whose top is the task process that will be done first; among idle ones the one that
/// worked last, whose caches are warm.
bool done_later(const Task* a, const Task* b) {
  if (a->given.empty() != b->given.empty()) return b->given.empty();
  if (a->expected_ns != b->expected_ns) return a->expected_ns > b->expected_ns;
  if (a->given.empty() && a->used_order != b->used_order) return a->used_order < b->used_order;
  return a->id > b->id;
}

}  // namespace

void Agent::State::settle(Turn& turn) {
  // Without a broker, what is here goes on; results wait.
  if (link.in_session()) send_results(turn);
  if (draining) return leave_if_finished(turn);

  std::vector<std::pair<const Attempt*, Program*>> waiting;
  for (auto& [id, program] : programs.all()) {
    if (program.stage != Program::Stage::kReady) continue;
    if (const Attempt* first = program.queue.front(only_granted())) {
      waiting.emplace_back(first, &program);
    }
  }
  std::sort(waiting.begin(), waiting.end(), [](const auto& a, const auto& b) {
    if (a.first->granted != b.first->granted) return a.first->granted;
    return a.first->order < b.first->order;
  });
  for (const auto& [first, program] : waiting) {
    if (!fill(turn, *program)) break;
  }
  for (Task* task : given_to) {
    protocol::Assign assign{std::exchange(task->outbox, {})};
    const bool alone = tasks.in_use() == 1 && task->given.size() == 1;
    turn.out.push_back(SendToTask{task->id, std::move(assign), alone});
  }
  given_to.clear();
}

std::uint32_t Agent::State::free_slots() const {
  return options.slots > tasks.in_use() ? options.slots - tasks.in_use() : 0;
}

bool Agent::State::fill(Turn& turn, Program& program) {
  give_to_lanes(turn, program);
  start_tasks(turn, program);
  // While one of its task processes starts, more slots would not help it at once.
  return program.queue.size(only_granted()) == 0 || program.starting > 0 || free_slots() > 0;
}

void Agent::State::give_to_lanes(Turn& turn, Program& program) {
  lanes.clear();
  for (Task* task : program.tasks) {
    if (has_room(*task)) lanes.push_back(task);
  }
  std::make_heap(lanes.begin(), lanes.end(), done_later);
  while (!lanes.empty()) {
    Attempt* attempt = program.queue.front(only_granted());
    if (attempt == nullptr) return;
    std::pop_heap(lanes.begin(), lanes.end(), done_later);
    Task& task = *lanes.back();
    // A chunk of unknown pace is given alone.
    attempt->expected_ns =
        attempt->alone ? std::nullopt : attempt->job->expected_ns(attempt->items);
    const bool needs_slot = task.given.empty();
    if ((needs_slot && free_slots() == 0) || !fits(task, *attempt, attempt->expected_ns)) {
      lanes.pop_back();
      continue;
    }
    program.queue.erase(*attempt);
    give(turn, task, *attempt);
    if (has_room(task)) {
      std::push_heap(lanes.begin(), lanes.end(), done_later);
    } else {
      lanes.pop_back();
    }
  }
}

void Agent::State::give(Turn& turn, Task& task, Attempt& attempt) {
  const protocol::JobId& job = attempt.assignment.job;
  if (task.last_job != job) {
    if (task.known_jobs.insert(job).second) {
      turn.out.push_back(SendToTask{task.id, attempt.job->open});
    }
    task.last_job = job;
  }
  if (task.outbox.empty()) given_to.push_back(&task);
  task.outbox.push_back(attempt.assignment);
  tasks.give(task, attempt);
  watch_for_stuck(turn, task);
}

void Agent::State::start_tasks(Turn& turn, Program& program) {
  const std::size_t waiting = program.queue.size(only_granted());
  while (program.starting < waiting && free_slots() > 0) {
    evict_idle(turn, program);
    const Task& task = tasks.start(program, turn.now + kReadyWithin);
    tell(turn, task_name(task) + " is started for " + program_name(program));
    turn.out.push_back(StartTask{task.id, program.id});
  }
}

void Agent::State::evict_idle(Turn& turn, const Program& needed) {
  std::vector<Task*> idle;
  for (auto& [id, task] : tasks.all()) {
    if (task.idle() && task.program != &needed) idle.push_back(&task);
  }
  if (idle.size() <= options.warm_tasks_max) return;
  std::sort(idle.begin(), idle.end(),
            [](const Task* a, const Task* b) { return a->used_order < b->used_order; });
  const std::size_t excess = idle.size() - options.warm_tasks_max;
  for (std::size_t i = 0; i < excess; ++i) end_task(turn, *idle[i], false);
}

}  // namespace achilles::worker
