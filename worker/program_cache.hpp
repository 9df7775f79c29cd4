// The programs a worker can run: collected, verified, kept in a folder and ready to be executed.
//
// A program is collected in memory, verified against its name (the hash of its bytes), checked to
// run here, sealed, and only then written to the folder: a full disk costs later worker starts
// time, never a job. Several workers may share one folder: files appear by renaming and are
// verified when read.
//
// Thread ownership: all calls come from the worker's loop thread. Hashing and disk work happen on
// one thread of the cache's own; its answers are taken with take_events when event_fd is readable.
//
// Invariants:
//  1. Each load() is answered by exactly one ProgramLoaded, ProgramAbsent or ProgramUnusable; so is
//     the store() that completes a program.
//  2. After ProgramLoaded was taken, program_fd() answers a descriptor for as long as the folder or
//     the memory (options.memory_bytes_max) still holds the program.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "protocol/ids.hpp"
#include "protocol/messages.hpp"
#include "worker/core/events.hpp"

namespace achilles::worker {

struct ProgramCacheOptions {
  std::string folder;                         ///< Holds programs/<64 hexadecimal digits>.
  std::uint64_t disk_bytes_max = 2ULL << 30;  ///< Beyond it the longest unused files are deleted.
  /// Sealed copies kept in memory beyond the latest one; task processes that run keep theirs.
  std::uint64_t memory_bytes_max = 1ULL << 30;
};

class ProgramCache {
 public:
  /// Never fails: with a folder that cannot be written programs are kept in memory only
  /// (problem()).
  explicit ProgramCache(ProgramCacheOptions options);
  /// Waits for at most a few milliseconds of the work under way.
  ~ProgramCache();
  ProgramCache(const ProgramCache&) = delete;
  ProgramCache& operator=(const ProgramCache&) = delete;

  void load(protocol::ProgramId program);
  /// Later parts come in any order, and may come twice; the first one (offset 0) begins anew.
  void store(protocol::ProgramPart part);
  /// Readable when take_events has something.
  int event_fd() const;
  std::vector<Event> take_events();
  /// For TaskManager; -1 when the program is not loaded. Stays the cache's, until the next call.
  int program_fd(protocol::ProgramId program);

  /// Why the folder is of no use, for the log; empty when it is.
  const std::string& problem() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::worker
