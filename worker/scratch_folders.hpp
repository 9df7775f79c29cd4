// The folders that a worker's task processes work in: one each, empty at its start, gone at its
// end.
//
// All lie in one folder of the worker's own, which the worker holds locked while it lives: what a
// worker that was killed left behind is found unlocked and removed by the next one.
//
// Thread ownership: one thread calls; removing happens on a thread of its own, since a task may
// leave a hundred thousand files and the loop must not wait for them.
#pragma once

#include <memory>
#include <string>

namespace achilles::worker {

class ScratchFolders {
 public:
  /// Below `parent`, or where that cannot be written, below the system's folder for temporary
  /// files. Throws std::system_error when neither can.
  explicit ScratchFolders(const std::string& parent);
  /// Removes everything, however long it takes.
  ~ScratchFolders();
  ScratchFolders(const ScratchFolders&) = delete;
  ScratchFolders& operator=(const ScratchFolders&) = delete;

  /// The worker's own folder.
  const std::string& root() const;
  /// A new, empty folder; its name contains `name`. Throws std::system_error.
  std::string make(const std::string& name);
  void discard(std::string folder);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::worker
