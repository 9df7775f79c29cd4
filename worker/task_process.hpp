// A task process, seen from its worker: how it is started, what it is told, how it ends.
//
// Thread ownership: used by the one thread that drives the worker's loop. Starting blocks for the
// milliseconds of a posix_spawn. The library installs no signal handlers and tolerates ECHILD.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/ids.hpp"
#include "protocol/messages.hpp"
#include "worker/core/events.hpp"

namespace achilles::worker {

/// What the host finds where. The environment variable's value is "1"; it is unset on taking over.
inline constexpr const char* kTaskEnvironment = "ACHILLES_TASK_PROCESS";
inline constexpr const char* kTaskProgramEnvironment = "ACHILLES_TASK_PROGRAM";  ///< 64 hex digits.
inline constexpr const char* kTaskWorkerEnvironment =
    "ACHILLES_TASK_WORKER";  ///< The worker's name.
inline constexpr const char* kTaskSlotEnvironment = "ACHILLES_TASK_SLOT";
inline constexpr int kTaskSocketFd = 3;
inline constexpr int kTaskProgramFd = 4;
inline constexpr int kTaskMemoryFd = 5;

struct TaskOptions {
  TaskId task;
  protocol::ProgramId program;
  int program_fd = -1;       ///< Executable; stays the caller's.
  std::string program_name;  ///< For argv[0] and messages; empty: the program's short hash.
  std::string worker_name;
  std::uint32_t slot = 0;
  std::string working_folder;  ///< Empty: the caller's own.
  bool keep_stderr = false;    ///< Read stderr through a pipe, pass it on, keep the tail.
  bool inherit_environment =
      false;  ///< Embedded: the program's own environment. Else an allow-list.
};

/// Owns the process, its socket, the memory shared with it, and its stderr pipe. The destructor
/// kills the process group and reaps it.
class TaskProcess {
 public:
  /// Throws std::system_error or std::runtime_error with one sentence when it cannot be started.
  explicit TaskProcess(TaskOptions options);
  ~TaskProcess();
  TaskProcess(const TaskProcess&) = delete;
  TaskProcess& operator=(const TaskProcess&) = delete;

  pid_t pid() const;
  /// For the poll loop: the socket, and the stderr pipe (-1 when not kept).
  int socket_fd() const;
  int stderr_fd() const;
  /// A descriptor that is readable once the process has ended.
  int pid_fd() const;

  /// Queues a message; flush() writes.
  void send(const protocol::Message& message);
  /// Writes what the socket takes now. False: something is left, poll for writing.
  bool flush();
  std::size_t unsent_bytes() const;
  /// Reads once; each complete message goes to `received`. False once the socket is at its end or
  /// broken, or the task process said something that is no message (see failure()). Call again when
  /// the socket is readable again.
  bool receive(const std::function<void(protocol::Message)>& received);
  /// Once the process has ended: reads all that it still said.
  void receive_rest(const std::function<void(protocol::Message)>& received);
  /// Reads what is there and passes it on to our own stderr. False at its end.
  bool read_stderr();
  /// What is sent next is all that is under way here: the host may spin once it has done it.
  void set_alone(bool alone);
  void skip_job(protocol::JobId job);
  /// Takes back all of the first `given` chunks that the host has not come to. Answers how many it
  /// has come to.
  std::uint64_t take_back(std::uint64_t given);
  /// The job came again: takes back a skip_job of it.
  void do_not_skip(protocol::JobId job);
  /// Closes the socket's sending side once all is sent: the host ends when it is done.
  void hang_up();
  /// SIGTERM to the process group.
  void terminate();
  /// SIGKILL to the process group.
  void kill();
  /// Once pid_fd is readable: ends what is left of its process group, reads the rest of stderr,
  /// reaps and says how it ended. Nothing while it still runs.
  std::optional<TaskExited> try_reap();
  /// Why receive answered false, if not for the end of the stream.
  const std::string& failure() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::worker
