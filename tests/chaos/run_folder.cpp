#include "tests/chaos/run_folder.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "tests/support/process.hpp"

namespace achilles::tests {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTmpdir = "TMPDIR";

std::vector<pid_t> processes_of(const fs::path& folder) {
  const std::string entry = std::string(kTmpdir) + "=" + (folder / "temporary").string();
  return processes_with(entry);
}

/// Until nobody is left: whoever is killed may just have started another.
void kill_all(const fs::path& folder) {
  eventually([&] {
    const auto left = processes_of(folder);
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
    return left.empty();
  });
}

[[noreturn]] void be_janitor(int pipe, const fs::path& folder) {
  ::setsid();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  const int nothing = ::open("/dev/null", O_RDWR);
  for (const int fd : {0, 1, 2}) ::dup2(nothing, fd);
  char byte = 0;
  ssize_t got = 0;
  do {
    got = ::read(pipe, &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 0) {  // The driver ended without a word.
    kill_all(folder);
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  ::_exit(0);
}

}  // namespace

RunFolder::RunFolder() {
  std::string name = (fs::temp_directory_path() / "achilles-chaos-XXXXXX").string();
  std::array<int, 2> ends{};
  if (::mkdtemp(name.data()) == nullptr || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "making the folder of a chaos run");
  }
  path_ = name;
  fs::create_directory(temporary());
  fs::create_directory(path_ / "driver");
  janitor_ = ::fork();
  if (janitor_ == 0) {
    ::close(ends[1]);
    be_janitor(ends[0], path_);
  }
  ::close(ends[0]);
  pipe_ = ends[1];
  // The driver's own files lie in the folder too.
  if (const char* before = std::getenv(kTmpdir)) former_tmpdir_ = before;
  ::setenv(kTmpdir, (path_ / "driver").c_str(), 1);
}

RunFolder::~RunFolder() {
  kill_all(path_);
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  if (former_tmpdir_.empty()) {
    ::unsetenv(kTmpdir);
  } else {
    ::setenv(kTmpdir, former_tmpdir_.c_str(), 1);
  }
  [[maybe_unused]] const auto told = ::write(pipe_, "", 1);
  ::close(pipe_);
  while (janitor_ > 0 && ::waitpid(janitor_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::vector<pid_t> RunFolder::processes() const {
  return processes_of(path_);
}

std::string describe_process(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::string command = read_file(folder + "/cmdline");
  std::replace(command.begin(), command.end(), '\0', ' ');
  const std::string stat = read_file(folder + "/stat");
  const auto name_end = stat.rfind(')');
  const char state =
      name_end != std::string::npos && name_end + 2 < stat.size() ? stat[name_end + 2] : '?';
  std::string text = "pid " + std::to_string(pid) + " (";
  text += state;
  return text + "): " + command;
}

}  // namespace achilles::tests
