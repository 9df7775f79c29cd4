#include "worker/core/task_table.hpp"

#include <algorithm>

#include "worker/core/program_table.hpp"

namespace achilles::worker {

Task* TaskTable::find(TaskId id) {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : &found->second;
}

Task& TaskTable::start(Program& program, protocol::TimePoint ready_by) {
  const TaskId id{++last_id_};
  Task& task = tasks_[id];
  task.id = id;
  task.program = &program;
  program.tasks.push_back(&task);
  ++program.starting;
  ++in_use_;
  set_deadline(task, ready_by);
  return task;
}

void TaskTable::ready(Task& task) {
  --task.program->starting;
  task.stage = Task::Stage::kReady;
  task.used_order = ++last_used_order_;
  recount(task, true);
  set_deadline(task, std::nullopt);
}

void TaskTable::ending(Task& task, bool killed) {
  const bool was_in_use = task.in_use();
  if (task.stage == Task::Stage::kStarting) --task.program->starting;
  task.stage = Task::Stage::kEnding;
  task.killed = task.killed || killed;
  task.asked_back = false;
  recount(task, was_in_use);
  set_deadline(task, std::nullopt);
}

void TaskTable::ask_back(Task& task, bool asked) {
  const bool was_in_use = task.in_use();
  task.asked_back = asked;
  recount(task, was_in_use);
}

void TaskTable::erase(Task& task) {
  ask_back(task, false);
  set_deadline(task, std::nullopt);
  if (task.stage == Task::Stage::kStarting) {
    --task.program->starting;
    --in_use_;
  }
  auto& siblings = task.program->tasks;
  siblings.erase(std::find(siblings.begin(), siblings.end(), &task));
  tasks_.erase(TaskId(task.id));
}

void TaskTable::give(Task& task, Attempt& attempt) {
  const bool was_in_use = task.in_use();
  attempt.place = Attempt::Place::kGiven;
  attempt.task = &task;
  attempt.turn = ++task.given_count;
  task.given.push_back(attempt);
  task.given_bytes += attempt.bytes;
  if (attempt.expected_ns) {
    task.expected_ns += *attempt.expected_ns;
  } else {
    ++task.unknown_count;
  }
  recount(task, was_in_use);
}

void TaskTable::take(Attempt& attempt) {
  Task& task = *attempt.task;
  task.given.erase(attempt);
  task.given_bytes -= attempt.bytes;
  if (attempt.expected_ns) {
    task.expected_ns -= *attempt.expected_ns;
  } else {
    --task.unknown_count;
  }
  if (attempt.abandoned()) --task.abandoned_count;
  if (task.given.empty()) task.used_order = ++last_used_order_;
  attempt.place = Attempt::Place::kNowhere;
  attempt.task = nullptr;
  recount(task, true);
}

void TaskTable::set_deadline(Task& task, std::optional<protocol::TimePoint> deadline) {
  if (task.deadline == deadline) return;
  if (task.deadline) deadlines_.erase({*task.deadline, task.id});
  task.deadline = deadline;
  if (deadline) deadlines_.emplace(*deadline, task.id);
}

std::optional<protocol::TimePoint> TaskTable::deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

Task* TaskTable::due(protocol::TimePoint now) {
  if (deadlines_.empty() || deadlines_.begin()->first > now) return nullptr;
  return find(deadlines_.begin()->second);
}

void TaskTable::extend(protocol::Duration gap) {
  for (auto& [id, task] : tasks_) {
    if (task.deadline) set_deadline(task, *task.deadline + gap);
  }
}

void TaskTable::recount(const Task& task, bool was_in_use) {
  if (was_in_use && !task.in_use()) --in_use_;
  if (!was_in_use && task.in_use()) ++in_use_;
}

}  // namespace achilles::worker
