// All that the worker's core can ask for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "protocol/messages.hpp"
#include "worker/core/events.hpp"

namespace achilles::worker {

struct SendToBroker {
  protocol::Message message;
};
/// The broker was silent too long, or another one is to be tried: close the connection and make a
/// new one to this broker of the list.
struct Reconnect {
  std::string reason;
  std::size_t broker = 0;
};
/// Does this broker of the list answer? Another question takes the place of an unanswered one.
struct AskWhetherThere {
  std::size_t broker = 0;
};
struct StartTask {
  TaskId task;
  protocol::ProgramId program;
};
struct SendToTask {
  TaskId task;
  /// OpenJob, Assign or CloseJob. With an OpenJob, a SkipJobInTask of that same job is taken back:
  /// a job may come again after it was closed, when its client was away for long.
  protocol::Message message;
  /// With an Assign: its one chunk is all that is under way on this worker. Whoever waits for it
  /// may send the next one at once, and no other work wants the processor: the host may look for
  /// more for a moment before it sleeps.
  bool alone = false;
};
/// Through the shared page: leave this job's items undone, from the next item on. The host still
/// answers each of the job's chunks, with as many items as it has done.
struct SkipJobInTask {
  TaskId task;
  protocol::JobId job;
};
/// Through the shared page: take back all of the first `given` chunks that the host has not come
/// to. It will say nothing of them. How many it has come to is told by TakenBackFromTask.
struct TakeBackFromTask {
  TaskId task;
  std::uint64_t given = 0;
};
/// Ask the process group to end (SIGTERM), which the user's program may use to clean up. EndTask
/// with `kill` follows if it does not.
struct TerminateTask {
  TaskId task;
};
/// End the process: hang up (it ends by itself between chunks), or kill its process group at once.
struct EndTask {
  TaskId task;
  bool kill = false;
};
/// Look for the program in the cache, verify it, check that it can run here.
struct LoadProgram {
  protocol::ProgramId program;
};
/// Keep a part of a program; when it is the last one, verify and load it. Parts come in order of
/// their offset, each once; offset 0 begins anew, whatever was kept before.
struct StoreProgramPart {
  protocol::ProgramPart part;
};
/// All is finished after DrainRequested (or the broker said BYE to a draining worker): leave.
struct Leave {};
struct Note {
  enum class Level { kInfo, kWarning };
  Level level = Level::kInfo;
  std::string text;
};

using Command = std::variant<SendToBroker, Reconnect, AskWhetherThere, StartTask, SendToTask,
                             SkipJobInTask, TakeBackFromTask, TerminateTask, EndTask, LoadProgram,
                             StoreProgramPart, Leave, Note>;
using Commands = std::vector<Command>;

}  // namespace achilles::worker
