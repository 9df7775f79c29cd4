// The task processes of one worker: carries out the core's commands about them, and turns what they
// do into the core's events. Used by the worker's shell and by the embedded Pool; knows no ZeroMQ.
//
// Thread ownership: one thread, the one that drives the worker's core.
//
// Invariants:
//  1. Every StartTask ends in exactly one TaskExited or TaskFailedToStart.
//  2. TaskExited comes after every message that the task process sent.
//  3. Messages are written in the order of their commands; EndTask hangs up behind what is unsent.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/core/commands.hpp"
#include "worker/core/events.hpp"

namespace achilles::worker {

struct TaskManagerOptions {
  std::string worker_name;
  /// The descriptor that a program is executed from; it stays the caller's. -1: there is none.
  std::function<int(protocol::ProgramId)> program_fd;
  std::string program_name;  ///< For argv[0]; empty: the program's short hash.
  /// The folder that a task process works in, and what to do with it once the process is gone.
  /// Without them task processes work in the caller's own working folder.
  std::function<std::string(TaskId)> make_folder;
  std::function<void(std::string)> discard_folder;
  bool keep_stderr = false;
  bool inherit_environment = false;
};

class TaskManager {
 public:
  /// Throws std::system_error when the kernel grants no epoll descriptor.
  explicit TaskManager(TaskManagerOptions options);
  /// Kills and reaps all task processes.
  ~TaskManager();
  TaskManager(const TaskManager&) = delete;
  TaskManager& operator=(const TaskManager&) = delete;

  void carry_out(const StartTask& command);
  void carry_out(const SendToTask& command);
  void carry_out(const SkipJobInTask& command);
  void carry_out(const TakeBackFromTask& command);
  void carry_out(const TerminateTask& command);
  void carry_out(const EndTask& command);

  /// Writes what the commands queued. Call once after the commands of a turn.
  void flush();

  /// Readable while some task process wants attention: the only descriptor to poll for all of them.
  int ready_fd() const;
  /// True when take_events has something without a look at the descriptors (a failed start).
  bool events_waiting() const;
  /// Looks at the descriptors without blocking, reads, writes and reaps, and appends what happened.
  /// Does a bounded amount of work; ready_fd() stays readable while there is more.
  void take_events(std::vector<Event>& events);

  std::size_t task_count() const;
  /// Of the processes that run now.
  std::vector<int> task_pids() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::worker
