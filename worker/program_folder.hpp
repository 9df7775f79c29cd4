// The folder of a ProgramCache on disk. Blocks on the disk: used beside the loop.
//
// Several processes may use one folder at once. A file under its final name is complete, because it
// came there by renaming; that it is undamaged is checked whenever it is read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "protocol/ids.hpp"
#include "worker/program_file.hpp"

namespace achilles::worker {

class ProgramFolder {
 public:
  /// Creates `folder`/programs. Throws std::system_error when it cannot, or cannot write there.
  explicit ProgramFolder(const std::string& folder);

  /// A verified, sealed copy; nothing when it is absent or was damaged (then its file is deleted).
  /// Gives up with nothing when `stop` turns true.
  std::optional<ProgramFile> read(protocol::ProgramId program, const std::atomic<bool>& stop) const;
  /// Keeps verified bytes. False when the disk did not take them.
  bool write(protocol::ProgramId program, std::span<const std::byte> bytes,
             const std::atomic<bool>& stop) const;
  /// Deletes the longest unused programs until at most `bytes_max` are left, but none in use.
  void trim(std::uint64_t bytes_max, const std::function<bool(protocol::ProgramId)>& in_use) const;

 private:
  std::string path_of(protocol::ProgramId program) const;
  void remove_abandoned() const;
  std::string folder_;
};

}  // namespace achilles::worker
