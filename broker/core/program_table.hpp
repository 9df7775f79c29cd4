// Programs: the executables of the jobs, part by part, as far as workers asked for them.
//
// A program is fetched from a client once and kept for all workers. Without an open job it is kept
// while there is room, the least recently used one is dropped first.
// Invariants:
//  1. idle_bytes_ is what the programs without an open job have stored; at most
//  kIdleProgramBytesMax.
//  2. A part is stored, or waited for, or neither; never both.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/core/events.hpp"
#include "protocol/messages.hpp"

namespace achilles::broker {

/// What is kept of programs that no open job uses.
inline constexpr std::uint64_t kIdleProgramBytesMax = 512ULL << 20;

/// A part that workers wait for.
struct PartWait {
  protocol::ClientId asked;
  std::set<protocol::WorkerId> workers;
};

struct Program {
  std::uint64_t total_bytes = 0;  ///< 0: not known yet.
  std::uint64_t stored_bytes = 0;
  std::map<std::uint64_t, protocol::Bytes> parts;  ///< By offset.
  std::map<std::uint64_t, PartWait> waits;         ///< By offset.
  std::set<protocol::JobId> jobs;                  ///< Open ones.
  std::uint64_t last_use = 0;
};

class ProgramTable {
 public:
  Program* find(const protocol::ProgramId& id);
  const Program* find(const protocol::ProgramId& id) const;
  void open_job(const protocol::ProgramId& id, protocol::JobId job);
  /// May drop this program or others that are not in use.
  void close_job(const protocol::ProgramId& id, protocol::JobId job);

  /// What is wrong with a part, as a sentence; nothing when it fits.
  static std::optional<std::string> fault_of(const Program& program,
                                             const protocol::ProgramPart& part);
  /// REQUIRES: it fits, a job of the program is open.
  void store(Program& program, const protocol::ProgramPart& part);
  /// The worker is gone: it waits for nothing any more.
  void forget(protocol::WorkerId worker);

  std::map<protocol::ProgramId, Program>& all() { return programs_; }
  void check() const;

 private:
  std::map<protocol::ProgramId, Program> programs_;
  std::set<std::pair<std::uint64_t, protocol::ProgramId>> idle_;  ///< By last use.
  std::uint64_t idle_bytes_ = 0;
  std::uint64_t uses_ = 0;
};

}  // namespace achilles::broker
