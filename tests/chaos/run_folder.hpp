// RunFolder: where everything of a chaos run lives, and how nothing of it outlives the run.
//
// Every process of the run has $TMPDIR inside the folder; task processes inherit it. So all of
// them, and all that they leave behind, can be found, whoever started them. A janitor process waits
// for the driver to end, however it ends (also by SIGKILL), and then kills and removes the rest.
//
// Thread ownership: one thread. REQUIRES: made while the process has no other thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace achilles::tests {

class RunFolder {
 public:
  RunFolder();
  /// Kills what still runs, and removes all.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// $TMPDIR of all that is under test.
  std::filesystem::path temporary() const { return path_ / "temporary"; }
  /// Living processes of the run, but for the driver and its janitor.
  std::vector<pid_t> processes() const;

 private:
  std::filesystem::path path_;
  std::string former_tmpdir_;
  int pipe_ = -1;
  pid_t janitor_ = -1;
};

/// "pid 17 (S): achilles-worker --broker …"
std::string describe_process(pid_t pid);

}  // namespace achilles::tests
