// OwnProgram: the executable of this process, as it is shipped and started again.
//
// Opened once: a rebuild of the file while the program runs does not matter.
// Thread-safety: immutable; the hash is computed once, on first demand.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/ids.hpp"

namespace achilles::client {

class OwnProgram {
 public:
  /// Throws Error when the executable cannot be opened, or is not what runs (a program started
  /// through a loader).
  static std::shared_ptr<const OwnProgram> get();
  ~OwnProgram();
  OwnProgram(const OwnProgram&) = delete;
  OwnProgram& operator=(const OwnProgram&) = delete;

  int fd() const { return fd_; }
  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }
  /// Reads the whole file the first time.
  protocol::ProgramId id() const;
  /// Up to `count` bytes from `offset`. Throws Error.
  protocol::Bytes read(std::uint64_t offset, std::uint64_t count) const;

 private:
  OwnProgram();

  int fd_ = -1;
  std::string name_;
  std::uint64_t size_ = 0;
};

/// Throws NotShippable when the process uses shared libraries that a worker's system does not have:
/// those outside of the system's own library folders.
void require_system_libraries_only();

}  // namespace achilles::client
