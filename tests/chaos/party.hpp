// Party: one broker, worker or client of a chaos run, through all its lives: how it is started,
// what it is doing, what all its processes wrote and how much memory they took.
//
// Thread ownership: one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/network.hpp"
#include "tests/support/process.hpp"

namespace achilles::tests {

class Party {
 public:
  struct Launch {
    std::filesystem::path program;
    std::vector<std::string> arguments;
    std::filesystem::path folder;     ///< Where it works; it is made.
    std::filesystem::path temporary;  ///< Its $TMPDIR.
    const NetworkNamespace* place = nullptr;
  };
  enum class Stage { kDown, kRunning, kLeaving };

  /// Logs go to `logs`/NAME.log when a process is over.
  Party(std::string name, std::filesystem::path logs);
  ~Party();

  const std::string& name() const { return name_; }
  Stage stage() const { return stage_; }
  bool running() const { return stage_ == Stage::kRunning; }
  bool leaving() const { return stage_ == Stage::kLeaving; }
  pid_t pid() const { return process_->pid(); }
  Process& process() { return *process_; }
  const Process& process() const { return *process_; }

  void start(const Launch& launch);
  /// SIGKILL; the daemon alone: what it started has to notice by itself.
  void kill();
  /// It was asked to end: from now on its end is awaited by take_ending.
  void expect_end() { stage_ = Stage::kLeaving; }
  /// How it ended, once it did, when it was expected to. Its log is put away.
  std::optional<Ending> take_ending();
  /// Throws Failure when it ended without being expected to.
  void check_alive();

  /// Takes note of the memory it has taken at most.
  void sample();
  std::uint64_t rss_peak() const { return rss_peak_; }
  /// What it wrote, in this life and before.
  std::string log() const;
  /// The last lines of it.
  std::string log_tail() const;

 private:
  void put_away();

  std::string name_;
  std::filesystem::path log_file_;
  Stage stage_ = Stage::kDown;
  std::optional<Process> process_;
  std::uint64_t rss_peak_ = 0;
};

/// The descriptors of a process by kind, "socket 4, pipe 2, …", and their number.
struct Descriptors {
  std::size_t count = 0;
  std::string kinds;
};
Descriptors descriptors_of(pid_t pid);

/// Whether the process has come so far that it takes SIGTERM itself. Before, it just ends of it.
bool takes_sigterm(pid_t pid);

std::string last_lines(const std::string& text, std::size_t count);

}  // namespace achilles::tests
