// All that can happen to the worker's core.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "protocol/messages.hpp"

namespace achilles::worker {

/// One task process, from the wish to start it until it is gone. Given by the core, never used
/// twice.
using TaskId = protocol::Id<struct TaskTag>;

/// From the broker.
struct BrokerMessage {
  protocol::Message message;
};
/// Bytes came from the broker that are no message.
struct BrokerMalformed {
  protocol::RejectReason reason = protocol::RejectReason::kMalformed;
  std::string detail;
};
/// A part of a message came from the broker, or it took parts: a sign of life and nothing more.
struct BrokerHeard {};
/// A broker of the list that was asked whether it is there (AskWhetherThere) answered.
struct BrokerThere {
  std::size_t broker = 0;
};
/// From a task process: TaskReady or Results.
struct TaskMessage {
  TaskId task;
  protocol::Message message;
};
/// A task process is gone and its socket is read to the end: its last results came before this.
/// Also the answer to EndTask, killed or not.
struct TaskExited {
  TaskId task;
  /// What it was working on, if it was: from the page it shares with its worker.
  std::optional<protocol::AttemptId> running_attempt;
  protocol::ItemIndex running_item = 0;
  std::string how;  ///< "signal 9 (Killed)", "exit status 3".
  std::string stderr_tail;
  std::uint32_t pid = 0;
  /// The one it began last, when not all its results were written.
  std::optional<protocol::AttemptId> begun_attempt = {};
};
/// The answer to TakeBackFromTask: of the first `given` chunks the task process has come to so
/// many.
struct TakenBackFromTask {
  TaskId task;
  std::uint64_t given = 0;
  std::uint64_t come_to = 0;
};
/// The program could not be started as a task process at all; one sentence says why.
struct TaskFailedToStart {
  TaskId task;
  std::string reason;
};
/// The answer to LoadProgram: the program is in the cache, verified, and can run here.
struct ProgramLoaded {
  protocol::ProgramId program;
};
/// The answer to LoadProgram: it is not in the cache.
struct ProgramAbsent {
  protocol::ProgramId program;
};
/// The answer to LoadProgram or to the last StoreProgramPart: it cannot run here.
struct ProgramUnusable {
  protocol::ProgramId program;
  std::string reason;
};
/// Finish what runs, return the rest, then leave (SIGTERM).
struct DrainRequested {};

using Event = std::variant<BrokerMessage, BrokerMalformed, BrokerHeard, BrokerThere, TaskMessage,
                           TaskExited, TakenBackFromTask, TaskFailedToStart, ProgramLoaded,
                           ProgramAbsent, ProgramUnusable, DrainRequested>;

}  // namespace achilles::worker
