// The task processes, what each of them holds, and how many of them are in use.
//
// Invariants:
//  1. A task process runs one program, from StartTask until TaskExited or TaskFailedToStart.
//  2. It is in use while it starts or holds attempts. The sums of what it holds are kept as it
//  changes.
//  3. A deadline is in `deadlines_` exactly while the task has it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "protocol/messages.hpp"
#include "protocol/time.hpp"
#include "worker/core/attempt_table.hpp"
#include "worker/core/events.hpp"

namespace achilles::worker {

struct Program;

struct Task {
  enum class Stage : std::uint8_t { kStarting, kReady, kEnding };
  TaskId id;
  Program* program = nullptr;
  Stage stage = Stage::kStarting;
  bool killed = false;      ///< While ending.
  bool has_worked = false;  ///< It answered once: its death says nothing against the program.

  PlaceChain given;  ///< In the order in which it works on them.
  std::uint64_t given_bytes = 0;
  std::int64_t expected_ns = 0;       ///< Sum over those of known pace.
  std::uint32_t unknown_count = 0;    ///< How many are of unknown pace.
  std::uint32_t abandoned_count = 0;  ///< How many are of closed jobs.

  std::uint64_t given_count = 0;  ///< So many chunks it was given in its life.
  /// What waited behind the front, which takes longer than thought, was taken back; it gets nothing
  /// more until it is done with that.
  bool stuck = false;
  /// How much was taken back is still to be heard. Until then it gets nothing, even when it has
  /// answered all that it was given.
  bool asked_back = false;

  std::set<protocol::JobId> known_jobs;     ///< It was sent their OpenJob.
  std::optional<protocol::JobId> last_job;  ///< One of known_jobs: most chunks are of the same job.
  std::uint64_t used_order = 0;  ///< When it last became free: the lowest was idle for longest.
  /// Starting: when it must have said TaskReady. Ready: when it is asked to end if it still
  /// works on `overdue`, which nobody wants; or when what it has not begun is taken back. Ending:
  /// when it is killed if it is still there.
  std::optional<protocol::TimePoint> deadline;
  std::optional<protocol::AttemptId> overdue;
  std::vector<protocol::Assignment> outbox;  ///< Given in this settle.

  bool in_use() const { return stage == Stage::kStarting || !given.empty() || asked_back; }
  bool idle() const { return stage == Stage::kReady && !in_use(); }
};

class TaskTable {
 public:
  Task* find(TaskId id);
  Task& start(Program& program, protocol::TimePoint ready_by);
  void ready(Task& task);
  /// It was told to end; what it holds stays with it until it is gone.
  void ending(Task& task, bool killed);
  /// REQUIRES: it holds nothing.
  void erase(Task& task);

  /// REQUIRES: the attempt is nowhere and belongs to the task's program.
  void give(Task& task, Attempt& attempt);
  /// The attempt is nowhere afterwards.
  void take(Attempt& attempt);
  void abandoned(Attempt& attempt) { ++attempt.task->abandoned_count; }
  /// How much of what it was given comes back is to be heard (true), or was heard.
  void ask_back(Task& task, bool asked);

  void set_deadline(Task& task, std::optional<protocol::TimePoint> deadline);
  std::optional<protocol::TimePoint> deadline() const;
  /// A task whose deadline has come.
  Task* due(protocol::TimePoint now);
  void extend(protocol::Duration gap);

  std::uint32_t in_use() const { return in_use_; }
  std::map<TaskId, Task>& all() { return tasks_; }
  const std::map<TaskId, Task>& all() const { return tasks_; }
  const std::set<std::pair<protocol::TimePoint, TaskId>>& deadlines() const { return deadlines_; }

 private:
  void recount(const Task& task, bool was_in_use);

  std::map<TaskId, Task> tasks_;
  std::set<std::pair<protocol::TimePoint, TaskId>> deadlines_;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_used_order_ = 0;
  std::uint32_t in_use_ = 0;
};

}  // namespace achilles::worker
