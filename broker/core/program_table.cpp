#include "broker/core/program_table.hpp"

#include <algorithm>

#include "broker/core/peer_table.hpp"
#include "protocol/limits.hpp"

namespace achilles::broker {

using protocol::JobId;
using protocol::kMaxProgramBytes;
using protocol::kPartBytes;
using protocol::ProgramId;

Program* ProgramTable::find(const ProgramId& id) {
  const auto at = programs_.find(id);
  return at == programs_.end() ? nullptr : &at->second;
}

const Program* ProgramTable::find(const ProgramId& id) const {
  const auto at = programs_.find(id);
  return at == programs_.end() ? nullptr : &at->second;
}

void ProgramTable::open_job(const ProgramId& id, JobId job) {
  Program& program = programs_[id];
  if (program.jobs.empty() && idle_.erase({program.last_use, id}) > 0) {
    idle_bytes_ -= program.stored_bytes;
  }
  program.jobs.insert(job);
}

void ProgramTable::close_job(const ProgramId& id, JobId job) {
  Program* program = find(id);
  if (program == nullptr || program->jobs.erase(job) == 0 || !program->jobs.empty()) return;
  program->waits.clear();
  if (program->parts.empty()) {
    programs_.erase(id);
    return;
  }
  program->last_use = ++uses_;
  idle_.insert({program->last_use, id});
  idle_bytes_ += program->stored_bytes;
  while (idle_bytes_ > kIdleProgramBytesMax) {
    const ProgramId oldest = idle_.begin()->second;
    idle_.erase(idle_.begin());
    idle_bytes_ -= programs_.at(oldest).stored_bytes;
    programs_.erase(oldest);
  }
}

std::optional<std::string> ProgramTable::fault_of(const Program& program,
                                                  const protocol::ProgramPart& part) {
  if (part.total_bytes == 0 || part.total_bytes > kMaxProgramBytes) {
    return "a program of " + std::to_string(part.total_bytes) + " bytes is not allowed: 1 to " +
           std::to_string(kMaxProgramBytes) + " are";
  }
  if (program.total_bytes != 0 && program.total_bytes != part.total_bytes) {
    return "the program had " + std::to_string(program.total_bytes) + " bytes before, now " +
           std::to_string(part.total_bytes);
  }
  if (part.offset % kPartBytes != 0 || part.offset >= part.total_bytes) {
    return "no part begins at byte " + std::to_string(part.offset);
  }
  const std::uint64_t expected = std::min(kPartBytes, part.total_bytes - part.offset);
  if (part.bytes.size() != expected) {
    return "the part at byte " + std::to_string(part.offset) + " has " +
           std::to_string(part.bytes.size()) + " bytes instead of " + std::to_string(expected);
  }
  return std::nullopt;
}

void ProgramTable::store(Program& program, const protocol::ProgramPart& part) {
  program.total_bytes = part.total_bytes;
  if (program.parts.emplace(part.offset, part.bytes).second) {
    program.stored_bytes += part.bytes.size();
  }
}

void ProgramTable::forget(protocol::WorkerId worker) {
  for (auto& [id, program] : programs_) {
    for (auto wait = program.waits.begin(); wait != program.waits.end();) {
      wait->second.workers.erase(worker);
      wait = wait->second.workers.empty() ? program.waits.erase(wait) : std::next(wait);
    }
  }
}

void ProgramTable::check() const {
  std::uint64_t idle_bytes = 0;
  std::size_t idle = 0;
  for (const auto& [id, program] : programs_) {
    std::uint64_t stored = 0;
    for (const auto& [offset, bytes] : program.parts) {
      stored += bytes.size();
      require(!program.waits.contains(offset), "a stored part of a program is waited for");
    }
    require(stored == program.stored_bytes, "program.stored_bytes is not its parts' sum");
    const bool is_idle = program.jobs.empty();
    require(is_idle == idle_.contains({program.last_use, id}), "an idle program is misfiled");
    idle += is_idle ? 1 : 0;
    idle_bytes += is_idle ? stored : 0;
    require(!is_idle || program.waits.empty(), "a program without a job is waited for");
  }
  require(idle == idle_.size(), "an idle program is gone");
  require(idle_bytes == idle_bytes_, "idle_bytes_ is not the idle programs' sum");
  require(idle_bytes_ <= kIdleProgramBytesMax, "too many bytes of idle programs are kept");
}

}  // namespace achilles::broker
