#include "worker/core/program_table.hpp"

namespace achilles::worker {

Program* ProgramTable::find(protocol::ProgramId id) {
  const auto found = programs_.find(id);
  return found == programs_.end() ? nullptr : &found->second;
}

Program& ProgramTable::get(protocol::ProgramId id) {
  Program& program = programs_[id];
  program.id = id;
  return program;
}

void ProgramTable::forget_if_unused(Program& program) {
  if (program.jobs > 0 || !program.tasks.empty()) return;
  if (program.stage == Program::Stage::kRefused) return;
  programs_.erase(protocol::ProgramId(program.id));
}

}  // namespace achilles::worker
