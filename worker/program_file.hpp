// ProgramFile: an executable as a descriptor that can be executed any number of times and that
// nobody can change: what was verified is what runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "worker/descriptor.hpp"

namespace achilles::worker {

class ProgramFile {
 public:
  ProgramFile() = default;

  /// A sealed copy of `bytes` in memory, or where memory may not be executed, an unnamed file in
  /// `folder` (empty: $TMPDIR or /tmp). Throws std::system_error.
  static ProgramFile sealed(std::span<const std::byte> bytes, const std::string& folder = {});

  /// -1 when empty.
  int fd() const { return fd_.get(); }
  std::uint64_t size() const { return size_; }

 private:
  friend class ProgramWriter;
  ProgramFile(Descriptor fd, std::uint64_t size);
  Descriptor fd_;
  std::uint64_t size_ = 0;
};

/// A ProgramFile while it is being filled, in any order. Throws std::system_error when the bytes
/// find no room.
class ProgramWriter {
 public:
  /// `folder` as for ProgramFile::sealed.
  explicit ProgramWriter(const std::string& folder = {});

  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  /// For reading back what was written.
  int fd() const { return fd_.get(); }
  /// Seals it: nobody can write any more. Call once, last.
  ProgramFile finish();

 private:
  Descriptor fd_;
  bool in_memory_ = false;
};

}  // namespace achilles::worker
