#include "worker/task_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "worker/descriptor.hpp"
#include "worker/task_channel.hpp"
#include "worker/task_environment.hpp"
#include "worker/task_memory.hpp"

namespace achilles::worker {
namespace {

/// What each direction of the socket holds before a writer waits; the kernel may grant less.
constexpr int kSocketBufferBytes = 1 << 20;
constexpr std::size_t kStderrTailBytes = 4096;
/// How long the destructor waits for a killed process that the kernel cannot end yet.
constexpr int kReapPatienceMs = 2000;
/// Where descriptors wait before they are moved to their numbers: above those numbers, and no
/// higher than need be. The first descriptor from 64 on makes the kernel enlarge the table, for
/// which a process with several threads waits some ten milliseconds.
constexpr int kParkedFdsFrom = kTaskMemoryFd + 1;

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
constexpr auto kWaitForPidfd = static_cast<idtype_t>(3);  // P_PIDFD, which older headers lack.

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

Descriptor park(int fd) {
  const int parked = ::fcntl(fd, F_DUPFD_CLOEXEC, kParkedFdsFrom);
  if (parked < 0) {
    fail(errno, "no descriptor is free (raise `ulimit -n`)");
  }
  return Descriptor(parked);
}

Descriptor make_memory_file() {
  // Never executable, and never made smaller by the task process: that would kill its worker.
  int fd = ::memfd_create("achilles-task", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) {
    fd = ::memfd_create("achilles-task", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  }
  if (fd < 0) fail(errno, "its shared memory was not created");
  Descriptor file(fd);
  if (::ftruncate(fd, sizeof(TaskMemory)) != 0) {
    fail(errno, "its shared memory has no room");
  }
  ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  return file;
}

/// posix_spawn's two argument objects, filled in.
class SpawnPlan {
 public:
  SpawnPlan() {
    check(::posix_spawn_file_actions_init(&actions_));
    check(::posix_spawnattr_init(&attributes_));
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    check(::posix_spawnattr_setsigmask(&attributes_, &none));
    check(::posix_spawnattr_setsigdefault(&attributes_, &all));
    check(::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void move_to(const Descriptor& parked, int number) {
    check(::posix_spawn_file_actions_adddup2(&actions_, parked.get(), number));
  }
  void open_stdin_empty() {
    check(::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
  }
  void close_from(int number) {
    check(::posix_spawn_file_actions_addclosefrom_np(&actions_, number));
  }
  void change_folder(const std::string& folder) {
    check(::posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str()));
  }
  /// Executes kTaskProgramFd as the child sees it. Answers an errno.
  int spawn(pid_t& pid, std::string name, std::vector<std::string> environment) const {
    const std::string path = "/proc/self/fd/" + std::to_string(kTaskProgramFd);
    std::array<char*, 2> arguments = {name.data(), nullptr};
    std::vector<char*> variables;
    for (std::string& entry : environment) variables.push_back(entry.data());
    variables.push_back(nullptr);
    return ::posix_spawn(&pid, path.c_str(), &actions_, &attributes_, arguments.data(),
                         variables.data());
  }

 private:
  static void check(int error) {
    if (error != 0) fail(error, "a task process could not be prepared");
  }
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

std::string cannot_start(const TaskOptions& options, int error) {
  std::string why =
      "the program " + options.program_name + " could not be started as a task process";
  switch (error) {
    case ENOEXEC:
      return why + ": it is not an executable for this machine";
    case ENOENT:
    case ENOTDIR:
      return why + ": its loader (the ELF interpreter) or its working folder " +
             options.working_folder + " is missing here";
    case EACCES:
    case EPERM:
      return why +
             ": executing it is forbidden here (a noexec mount, or a security policy on memfds)";
    case EAGAIN:
      return why + ": this user may have no more processes (see `ulimit -u`)";
    case ENOMEM:
      return why + ": this machine is out of memory";
    default:
      return why + ": " + std::error_code(error, std::generic_category()).message();
  }
}

std::string describe_end(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return "exit status " + std::to_string(info.si_status);
  const char* name = ::sigdescr_np(info.si_status);
  return "signal " + std::to_string(info.si_status) + " (" + (name ? name : "unknown") + ")";
}

void pass_on_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // Nobody listens; the tail is kept all the same.
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

struct TaskProcess::State {
  explicit State(TaskOptions options_) : options(std::move(options_)) {}

  void start();
  void open_pidfd();
  void shut_down_if_sent();

  TaskOptions options;
  pid_t pid = -1;
  bool reaped = false;
  bool hanging_up = false;
  Descriptor socket;
  Descriptor pidfd;
  Descriptor stderr_pipe;
  std::shared_ptr<TaskMemory> memory;
  std::optional<TaskChannel> channel;
  std::string stderr_tail;
};

void TaskProcess::State::start() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    fail(errno, "its socket was not created");
  }
  socket = Descriptor(ends[0]);
  Descriptor other_end(ends[1]);
  for (const int end : ends) {
    ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
    ::setsockopt(end, SOL_SOCKET, SO_RCVBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
  }
  if (::fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) {
    fail(errno, "its socket cannot be made non-blocking");
  }

  const Descriptor memory_file = make_memory_file();
  memory = map_task_memory(memory_file.get());
  if (!memory) fail(errno, "no addresses for its shared memory");

  const Descriptor parked_socket = park(other_end.get());
  const Descriptor parked_program = park(options.program_fd);
  const Descriptor parked_memory = park(memory_file.get());
  Descriptor parked_stderr;
  SpawnPlan plan;
  if (options.keep_stderr) {
    std::array<int, 2> pipe_ends{};
    if (::pipe2(pipe_ends.data(), O_CLOEXEC) != 0) {
      fail(errno, "no pipe for its stderr");
    }
    stderr_pipe = Descriptor(pipe_ends[0]);
    const Descriptor writing(pipe_ends[1]);
    ::fcntl(stderr_pipe.get(), F_SETFL, O_NONBLOCK);
    parked_stderr = park(writing.get());
    plan.move_to(parked_stderr, STDERR_FILENO);
  }
  plan.open_stdin_empty();
  plan.move_to(parked_socket, kTaskSocketFd);
  plan.move_to(parked_program, kTaskProgramFd);
  plan.move_to(parked_memory, kTaskMemoryFd);
  plan.close_from(kTaskMemoryFd + 1);
  if (!options.working_folder.empty()) plan.change_folder(options.working_folder);

  std::vector<std::string_view> own_environment;
  for (char** entry = environ; *entry; ++entry) own_environment.emplace_back(*entry);
  const int error =
      plan.spawn(pid, options.program_name, task_environment(own_environment, options));
  if (error != 0) throw std::runtime_error(cannot_start(options, error));
  open_pidfd();
  channel.emplace(socket.get(), inputs_arena(memory), results_arena(memory));
}

void TaskProcess::State::open_pidfd() {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) {
    pidfd = Descriptor(static_cast<int>(fd));
    return;
  }
  const int error = errno;
  ::kill(-pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (error == ESRCH) {
    throw std::runtime_error("the program " + options.program_name +
                             " ended at once when it was started as a task process, and its status "
                             "was taken by someone else (is SIGCHLD ignored?)");
  }
  fail(error, "its end could not be watched (pidfd_open)");
}

TaskProcess::TaskProcess(TaskOptions options)
    : state_(std::make_unique<State>(std::move(options))) {
  if (state_->options.program_name.empty()) {
    state_->options.program_name = protocol::to_string(state_->options.program);
  }
  state_->start();
}

TaskProcess::~TaskProcess() {
  if (state_->reaped) return;
  kill();
  pollfd ended{state_->pidfd.get(), POLLIN, 0};
  while (::poll(&ended, 1, kReapPatienceMs) < 0 && errno == EINTR) {
  }
  siginfo_t info{};
  while (::waitid(kWaitForPidfd, static_cast<id_t>(state_->pidfd.get()), &info, WEXITED | WNOHANG) <
             0 &&
         errno == EINTR) {
  }
}

pid_t TaskProcess::pid() const {
  return state_->pid;
}
int TaskProcess::socket_fd() const {
  return state_->socket.get();
}
int TaskProcess::stderr_fd() const {
  return state_->stderr_pipe.get();
}
int TaskProcess::pid_fd() const {
  return state_->pidfd.get();
}
std::size_t TaskProcess::unsent_bytes() const {
  return state_->channel->unsent_bytes();
}
const std::string& TaskProcess::failure() const {
  return state_->channel->failure();
}

void TaskProcess::send(const protocol::Message& message) {
  state_->channel->send(message);
}

bool TaskProcess::flush() {
  // A closed socket takes nothing any more; that the process ends is seen elsewhere.
  if (state_->channel->flush() == TaskChannel::Io::kWouldBlock) return false;
  state_->shut_down_if_sent();
  return true;
}

void TaskProcess::State::shut_down_if_sent() {
  if (hanging_up) ::shutdown(socket.get(), SHUT_WR);
}

void TaskProcess::hang_up() {
  state_->hanging_up = true;
  flush();
}

bool TaskProcess::receive(const std::function<void(protocol::Message)>& received) {
  return state_->channel->receive(received) != TaskChannel::Io::kClosed;
}

void TaskProcess::receive_rest(const std::function<void(protocol::Message)>& received) {
  while (state_->channel->receive(received) == TaskChannel::Io::kDone) {
  }
}

bool TaskProcess::read_stderr() {
  if (!state_->stderr_pipe) return false;
  std::array<char, 4096> piece;
  // As much as a full pipe holds: one that writes without end does not hold up the others.
  for (int reads = 0; reads < 16; ++reads) {
    const ssize_t got = ::read(state_->stderr_pipe.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (got == 0) return false;
    const std::string_view text(piece.data(), static_cast<std::size_t>(got));
    pass_on_to_stderr(text);
    std::string& tail = state_->stderr_tail;
    tail.append(text);
    if (tail.size() > 2 * kStderrTailBytes) tail.erase(0, tail.size() - kStderrTailBytes);
  }
  return true;
}

void TaskProcess::set_alone(bool alone) {
  state_->memory->page.alone.store(alone ? 1 : 0, std::memory_order_relaxed);
}

void TaskProcess::do_not_skip(protocol::JobId job) {
  stop_skipping(state_->memory->page, job);
}

void TaskProcess::skip_job(protocol::JobId job) {
  ask_to_skip(state_->memory->page, job);
}

std::uint64_t TaskProcess::take_back(std::uint64_t given) {
  return take_back_chunks(state_->memory->page, given);
}

void TaskProcess::terminate() {
  if (!state_->reaped) ::kill(-state_->pid, SIGTERM);
}

void TaskProcess::kill() {
  if (!state_->reaped) ::kill(-state_->pid, SIGKILL);
}

std::optional<TaskExited> TaskProcess::try_reap() {
  State& state = *state_;
  if (state.reaped) return std::nullopt;
  const auto wait = [&](siginfo_t& info, int flags) {
    int result = 0;
    do {
      info = {};
      result = ::waitid(kWaitForPidfd, static_cast<id_t>(state.pidfd.get()), &info,
                        WEXITED | WNOHANG | flags);
    } while (result < 0 && errno == EINTR);
    return result == 0;
  };

  TaskExited exited;
  siginfo_t info{};
  if (wait(info, WNOWAIT)) {
    if (info.si_pid == 0) return std::nullopt;
    // Until it is reaped its number is nobody else's: what it left running in its group ends now.
    ::kill(-state.pid, SIGKILL);
    wait(info, 0);
    exited.how = describe_end(info);
  } else {
    exited.how =
        "ended, its status was taken by someone else (is SIGCHLD ignored in this process?)";
  }
  state.reaped = true;
  read_stderr();

  exited.task = state.options.task;
  exited.pid = static_cast<std::uint32_t>(state.pid);
  const TaskPage& page = state.memory->page;
  if (const auto attempt = page.running_attempt.load(std::memory_order_acquire)) {
    exited.running_attempt = protocol::AttemptId{attempt};
  }
  exited.running_item = page.running_item.load(std::memory_order_relaxed);
  if (const auto attempt = page.begun_attempt.load(std::memory_order_acquire)) {
    exited.begun_attempt = protocol::AttemptId{attempt};
  }
  if (!failure().empty()) exited.how = failure() + "; " + exited.how;
  exited.stderr_tail = std::move(state.stderr_tail);
  if (exited.stderr_tail.size() > kStderrTailBytes) {
    exited.stderr_tail.erase(0, exited.stderr_tail.size() - kStderrTailBytes);
  }
  return exited;
}

}  // namespace achilles::worker
