// What the Pool's tests share: signals between a test and the functions it ships, files that count,
// and waiting for what will happen.
//
// Task processes are not children by fork: nothing in memory is shared with them. They are reached
// by paths, which are bound to the shipped functions.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace pool_test {

inline constexpr auto kPatience = std::chrono::seconds(30);

/// A folder for one test, gone with it.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pool_test.XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Counts to be waited for across processes: a named pipe whose bytes are the count.
class Signal {
 public:
  explicit Signal(std::string path) : path_(std::move(path)) {
    if (mkfifo(path_.c_str(), 0600) != 0) throw std::runtime_error("no pipe at " + path_);
    fd_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  }
  ~Signal() { close(fd_); }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  const std::string& path() const { return path_; }

  /// From any process.
  static void raise(const std::string& path, int count = 1) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    const std::string bytes(static_cast<std::size_t>(count), '.');
    if (fd < 0 || write(fd, bytes.data(), bytes.size()) != count) std::abort();
    close(fd);
  }
  /// Waits in any process; false when nothing came in time.
  static bool wait(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    pollfd watched{fd, POLLIN, 0};
    char byte = 0;
    const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
    const bool came =
        poll(&watched, 1, static_cast<int>(patience.count())) == 1 && read(fd, &byte, 1) == 1;
    close(fd);
    return came;
  }

 private:
  std::string path_;
  int fd_ = -1;
};

/// Adds a byte to a file: a count that processes share.
inline void count_one(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, ".", 1) != 1) std::abort();
  close(fd);
}
inline std::uint64_t count_of(const std::string& path) {
  std::error_code none_yet;
  const auto size = std::filesystem::file_size(path, none_yet);
  return none_yet ? 0 : size;
}

/// Looks until it is so. For what sends no event.
inline bool eventually(const std::function<bool()>& is_so) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// A process by its descriptor: its number may be given to another meanwhile.
class WatchedProcess {
 public:
  explicit WatchedProcess(int pid) : fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}
  WatchedProcess(WatchedProcess&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  WatchedProcess& operator=(WatchedProcess&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~WatchedProcess() {
    if (fd_ >= 0) close(fd_);
  }
  bool ends() const { return ended_within(kPatience); }
  bool has_ended() const { return ended_within(std::chrono::milliseconds(0)); }

 private:
  bool ended_within(std::chrono::milliseconds patience) const {
    if (fd_ < 0) return true;  // There is none of that number.
    pollfd watched{fd_, POLLIN, 0};
    return poll(&watched, 1, static_cast<int>(patience.count())) == 1;
  }
  int fd_;
};

inline std::vector<WatchedProcess> watch(const std::vector<int>& pids) {
  std::vector<WatchedProcess> processes;
  for (const int pid : pids) processes.emplace_back(pid);
  return processes;
}

}  // namespace pool_test
