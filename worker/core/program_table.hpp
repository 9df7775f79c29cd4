// The programs that jobs or warm task processes of this worker need, and what waits for each.
//
// Invariants:
//  1. A program is here while a job or a task process uses it, or while its refusal is remembered.
//  2. Task processes are started for ready programs only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "protocol/messages.hpp"
#include "worker/core/attempt_table.hpp"
#include "worker/core/program_fetch.hpp"

namespace achilles::worker {

struct Task;

struct Program {
  enum class Stage : std::uint8_t {
    kUnknown,   ///< To be looked for when a job needs it.
    kLoading,   ///< LoadProgram was asked.
    kFetching,  ///< Its parts are on their way.
    kStored,    ///< The last part was handed to the shell, which verifies it.
    kReady,
    kRefused,  ///< Cannot run here; forgotten with the connection.
  };
  protocol::ProgramId id;
  Stage stage = Stage::kUnknown;
  AttemptQueue queue;
  std::vector<Task*> tasks;  ///< In order of their start, until they are gone.
  std::uint32_t jobs = 0;
  std::uint32_t starting = 0;  ///< Of its tasks.
  /// Task processes that ended before they could run anything, with no result in between.
  std::uint32_t early_deaths = 0;
  std::uint32_t fetches = 0;
  ProgramFetch fetch;
  std::string refusal;
};

class ProgramTable {
 public:
  Program* find(protocol::ProgramId id);
  /// Finds or adds it.
  Program& get(protocol::ProgramId id);
  /// Forgets the program if nothing needs it.
  void forget_if_unused(Program& program);
  std::map<protocol::ProgramId, Program>& all() { return programs_; }
  const std::map<protocol::ProgramId, Program>& all() const { return programs_; }

 private:
  std::map<protocol::ProgramId, Program> programs_;
};

}  // namespace achilles::worker
