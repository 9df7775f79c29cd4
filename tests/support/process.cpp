#include "tests/support/process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

extern char** environ;

namespace achilles::tests {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookEvery{2};

std::vector<std::string> environment_with(const std::map<std::string, std::string>& additions) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string name(text.substr(0, text.find('=')));
    // The cluster that the caller of the tests uses is none of their business.
    if (name.starts_with("ACHILLES_") || additions.contains(name)) continue;
    result.emplace_back(text);
  }
  for (const auto& [name, value] : additions) result.push_back(name + "=" + value);
  return result;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

void check(int error, const std::string& what) {
  if (error != 0) throw std::system_error(error, std::generic_category(), what);
}

pid_t spawn(const fs::path& program, ProcessOptions& options, const fs::path& files) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  constexpr int kWrite = O_WRONLY | O_CREAT | O_APPEND;
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, (files / "out").c_str(), kWrite, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, (files / "err").c_str(), kWrite, 0600);
  if (!options.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
  }
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  options.arguments.insert(options.arguments.begin(), program.string());
  auto environment = environment_with(options.environment);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, program.c_str(), &actions, &attributes,
                  pointers_to(options.arguments).data(), pointers_to(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  check(error, "starting " + program.string());
  return pid;
}

/// Calls `visit(pid)` for each process of the machine.
template <class Visit>
void for_each_process(Visit visit) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc{} && *end == '\0') visit(pid);
  }
}

struct Stat {
  char state = 'X';
  pid_t parent = 0;
};

/// Of a process that is gone: state X.
Stat stat_of(pid_t pid) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/stat");
  // The command's name, in brackets, may hold anything.
  const auto name_end = text.rfind(')');
  Stat result;
  if (name_end == std::string::npos) return result;
  std::istringstream(text.substr(name_end + 1)) >> result.state >> result.parent;
  return result;
}

bool lives(const Stat& stat) {
  return stat.state != 'X' && stat.state != 'Z';
}

}  // namespace

bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  while (!holds()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
  return true;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "achilles-test-XXXXXX").string();
  check(::mkdtemp(name.data()) == nullptr ? errno : 0, "making a temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void touch(const fs::path& path) {
  std::ofstream(path).flush();
}

std::ostream& operator<<(std::ostream& out, const Ending& ending) {
  if (ending.signal != 0) return out << "signal " << ending.signal;
  return out << "exit code " << ending.exit_code;
}

Process::Process(const fs::path& program, ProcessOptions options)
    : files_(std::make_unique<TemporaryFolder>()), pid_(spawn(program, options, files_->path())) {}

Process::Process(Process&& other) noexcept
    : files_(std::move(other.files_)),
      pid_(std::exchange(other.pid_, -1)),
      ending_(other.ending_) {}

Process::~Process() {
  if (pid_ > 0) kill();
}

std::string Process::out() const {
  return read_file(files_->path() / "out");
}
std::string Process::err() const {
  return read_file(files_->path() / "err");
}

std::string Process::first_line() {
  std::string text;
  eventually([&] {
    // Ended is looked at first: what it wrote before that is then complete.
    const bool ended = !running();
    text = out();
    return text.find('\n') != std::string::npos || ended;
  });
  const auto end = text.find('\n');
  return end == std::string::npos ? "" : text.substr(0, end);
}

void Process::signal(int number) const {
  if (!ending_) ::kill(pid_, number);
}

std::optional<Ending> Process::wait(std::chrono::milliseconds patience) {
  eventually([&] { return !running(); }, patience);
  return ending_;
}

bool Process::running() {
  int status = 0;
  if (!ending_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    ending_ = WIFEXITED(status) ? Ending{WEXITSTATUS(status), 0} : Ending{-1, WTERMSIG(status)};
  }
  return !ending_;
}

void Process::kill() {
  if (ending_) return;
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  ending_ = Ending{-1, SIGKILL};
}

std::vector<pid_t> processes_in(const fs::path& folder) {
  std::vector<pid_t> result;
  for_each_process([&](pid_t pid) {
    std::error_code gone;
    const auto where = fs::read_symlink("/proc/" + std::to_string(pid) + "/cwd", gone).string();
    if (gone || !where.starts_with(folder.string())) return;
    const auto rest = std::string_view(where).substr(folder.string().size());
    if ((rest.empty() || rest[0] == '/' || rest[0] == ' ') && lives(stat_of(pid))) {
      result.push_back(pid);
    }
  });
  return result;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> result;
  for_each_process([&](pid_t pid) {
    const Stat stat = stat_of(pid);
    if (stat.parent == parent && lives(stat)) result.push_back(pid);
  });
  return result;
}

std::vector<pid_t> processes_with(const std::string& environment_entry) {
  std::vector<pid_t> result;
  for_each_process([&](pid_t pid) {
    // Between zeros, so that no entry is found inside a longer one.
    const std::string all = '\0' + read_file("/proc/" + std::to_string(pid) + "/environ");
    const std::string entry = '\0' + environment_entry + '\0';
    if (all.find(entry) != std::string::npos && lives(stat_of(pid))) result.push_back(pid);
  });
  return result;
}

std::uint64_t memory_of(pid_t pid, const std::string& field) {
  const std::string file = field == "Pss" ? "/smaps_rollup" : "/status";
  std::istringstream lines(read_file("/proc/" + std::to_string(pid) + file));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(field + ":")) continue;
    std::uint64_t kibibytes = 0;
    std::istringstream(line.substr(field.size() + 1)) >> kibibytes;
    return kibibytes * 1024;
  }
  return 0;
}

}  // namespace achilles::tests
