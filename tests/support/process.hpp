// Processes, folders and waiting, for tests that start real programs.
//
// Nothing here sleeps for a fixed time to let something happen: eventually() looks again and again
// until it did, with a deadline that is only reached when the test has failed.
//
// Thread ownership: a Process belongs to one thread at a time; the functions have no shared state.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace achilles::tests {

/// Far beyond what anything takes on a machine that is busy with other work.
inline constexpr std::chrono::seconds kPatience{60};

/// Looks until `holds()`; false when it did not within `patience`.
bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds patience = kPatience);

/// An empty folder of its own, removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// As far as it can be read: empty when there is no such file, or when it is a file in /proc of a
/// process that ended while it was read.
std::string read_file(const std::filesystem::path& path);
/// Creates the file, empty.
void touch(const std::filesystem::path& path);

/// How a process ended.
struct Ending {
  int exit_code = -1;  ///< -1: a signal ended it.
  int signal = 0;
  bool operator==(const Ending&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Ending& ending);
inline constexpr Ending kSucceeded{0, 0};

struct ProcessOptions {
  std::vector<std::string> arguments = {};
  /// Beside the test's own environment, from which the ACHILLES_ variables are taken away.
  std::map<std::string, std::string> environment = {};
  /// Working folder; empty: the test's own.
  std::filesystem::path folder = {};
};

/// A child process in a process group of its own. Its stdout and stderr go to files, so that it
/// never waits for us to read. The destructor kills the group and reaps the process.
class Process {
 public:
  /// Throws std::system_error.
  explicit Process(const std::filesystem::path& program, ProcessOptions options = {});
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;

  pid_t pid() const { return pid_; }
  /// All that was written so far.
  std::string out() const;
  std::string err() const;
  /// Waits for the first line of stdout; empty when the process ended without, or took too long.
  std::string first_line();
  void signal(int number) const;
  /// Waits for its end; nothing when it lives on.
  std::optional<Ending> wait(std::chrono::milliseconds patience = kPatience);
  bool running();
  /// SIGKILL, and reaps it.
  void kill();

 private:
  std::unique_ptr<TemporaryFolder> files_;
  pid_t pid_ = -1;
  std::optional<Ending> ending_;
};

/// Processes that live (zombies do not) and whose working folder is `folder` or below it, even if
/// that was removed meanwhile: how to find whose task process one is after its worker is gone.
std::vector<pid_t> processes_in(const std::filesystem::path& folder);
std::vector<pid_t> children_of(pid_t parent);
/// Processes that live and were started with this entry, "NAME=value", in their environment.
std::vector<pid_t> processes_with(const std::string& environment_entry);
/// A field of /proc/PID/status, such as "VmHWM", or "Pss", in bytes; 0 when there is none.
std::uint64_t memory_of(pid_t pid, const std::string& field);

}  // namespace achilles::tests
