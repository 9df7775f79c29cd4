#include "worker/task_manager.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <map>
#include <set>
#include <system_error>
#include <unordered_map>

#include "worker/descriptor.hpp"
#include "worker/task_process.hpp"

namespace achilles::worker {
namespace {

/// Descriptors looked at in one turn; each socket is read once (at most 256 KiB).
constexpr int kReadyPerTurn = 64;

enum class Source : std::uint64_t { kSocket = 0, kEnd = 1, kStderr = 2 };

/// A task and one of its descriptors in epoll's 64 bits. Task numbers grow by one, so 62 bits last.
std::uint64_t tag_of(TaskId task, Source source) {
  return task.value << 2 | static_cast<std::uint64_t>(source);
}
TaskId task_of(std::uint64_t tag) {
  return TaskId{tag >> 2};
}
Source source_of(std::uint64_t tag) {
  return static_cast<Source>(tag & 3);
}

}  // namespace

struct TaskManager::State {
  struct Task {
    explicit Task(TaskOptions options) : slot(options.slot), process(std::move(options)) {}
    std::uint32_t slot;
    std::string folder;
    TaskProcess process;
    bool dirty = false;      ///< Queued in `dirty_tasks`.
    bool wants_out = false;  ///< Its socket is watched for writing.
    bool speaking = true;    ///< Its socket is still read.
  };

  TaskManagerOptions options;
  Descriptor epoll;
  std::unordered_map<TaskId, Task> tasks;
  std::vector<TaskId> dirty_tasks;  ///< Were sent to since the last flush.
  std::set<std::uint32_t> slots_used;
  std::vector<Event> own_news;

  void watch(int fd, std::uint64_t tag, std::uint32_t events, int operation);
  void start(TaskId id, protocol::ProgramId program);
  void flush_task(TaskId id, Task& task);
  void read_socket(TaskId id, Task& task, std::vector<Event>& events);
  void stop_listening(Task& task);
  void on_end(TaskId id, Task& task, std::vector<Event>& events);
  void on_ready(const epoll_event& ready, std::vector<Event>& events);
  std::uint32_t lowest_free_slot() const;
  void discard_folder(std::string folder) const;
};

void TaskManager::State::watch(int fd, std::uint64_t tag, std::uint32_t events, int operation) {
  epoll_event wanted{};
  wanted.events = events;
  wanted.data.u64 = tag;
  if (::epoll_ctl(epoll.get(), operation, fd, &wanted) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "a task process's descriptors cannot be watched (epoll_ctl)");
  }
}

std::uint32_t TaskManager::State::lowest_free_slot() const {
  std::uint32_t slot = 0;
  for (const std::uint32_t used : slots_used) {
    if (used != slot) break;
    ++slot;
  }
  return slot;
}

void TaskManager::State::discard_folder(std::string folder) const {
  if (!folder.empty() && options.discard_folder) options.discard_folder(std::move(folder));
}

void TaskManager::State::start(TaskId id, protocol::ProgramId program) {
  std::string folder;
  try {
    if (options.make_folder) folder = options.make_folder(id);
    TaskOptions task;
    task.task = id;
    task.program = program;
    task.program_fd = options.program_fd(program);
    if (task.program_fd < 0) {
      throw std::runtime_error("the program " + protocol::to_string(program) +
                               " is no longer held by this worker");
    }
    task.program_name = options.program_name;
    task.worker_name = options.worker_name;
    task.slot = lowest_free_slot();
    task.working_folder = folder;
    task.keep_stderr = options.keep_stderr;
    task.inherit_environment = options.inherit_environment;

    Task& started = tasks.try_emplace(id, std::move(task)).first->second;
    slots_used.insert(started.slot);
    started.folder = folder;
    watch(started.process.socket_fd(), tag_of(id, Source::kSocket), EPOLLIN, EPOLL_CTL_ADD);
    watch(started.process.pid_fd(), tag_of(id, Source::kEnd), EPOLLIN, EPOLL_CTL_ADD);
    if (options.keep_stderr) {
      watch(started.process.stderr_fd(), tag_of(id, Source::kStderr), EPOLLIN, EPOLL_CTL_ADD);
    }
  } catch (const std::exception& error) {
    if (const auto found = tasks.find(id); found != tasks.end()) {
      slots_used.erase(found->second.slot);
      tasks.erase(found);
    }
    discard_folder(folder);
    own_news.push_back(TaskFailedToStart{id, error.what()});
  }
}

void TaskManager::State::flush_task(TaskId id, Task& task) {
  const bool sent = task.process.flush();
  if (task.wants_out == !sent || !task.speaking) return;
  task.wants_out = !sent;
  watch(task.process.socket_fd(), tag_of(id, Source::kSocket), sent ? EPOLLIN : EPOLLIN | EPOLLOUT,
        EPOLL_CTL_MOD);
}

void TaskManager::State::stop_listening(Task& task) {
  if (!task.speaking) return;
  task.speaking = false;
  ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, task.process.socket_fd(), nullptr);
}

void TaskManager::State::read_socket(TaskId id, Task& task, std::vector<Event>& events) {
  const bool open = task.process.receive(
      [&](protocol::Message message) { events.push_back(TaskMessage{id, std::move(message)}); });
  if (open) return;
  // The host holds its socket for as long as it lives, so its process is ending (its exit status
  // stays what it is), or it must: nothing it says can be heard or trusted any more.
  stop_listening(task);
  task.process.kill();
}

void TaskManager::State::on_end(TaskId id, Task& task, std::vector<Event>& events) {
  if (task.speaking) {
    task.process.receive_rest(
        [&](protocol::Message message) { events.push_back(TaskMessage{id, std::move(message)}); });
  }
  auto exited = task.process.try_reap();
  if (!exited) return;
  slots_used.erase(task.slot);
  const std::string folder = task.folder;
  tasks.erase(id);  // Closes its descriptors, which leaves epoll too.
  discard_folder(folder);
  events.push_back(std::move(*exited));
}

void TaskManager::State::on_ready(const epoll_event& ready, std::vector<Event>& events) {
  const TaskId id = task_of(ready.data.u64);
  const auto found = tasks.find(id);
  if (found == tasks.end()) return;  // Its end was seen earlier in the same turn.
  Task& task = found->second;
  switch (source_of(ready.data.u64)) {
    case Source::kSocket:
      if (!task.speaking) return;
      if (ready.events & EPOLLOUT) flush_task(id, task);
      if (ready.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_socket(id, task, events);
      return;
    case Source::kStderr:
      if (!task.process.read_stderr()) {
        ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, task.process.stderr_fd(), nullptr);
      }
      return;
    case Source::kEnd:
      on_end(id, task, events);
      return;
  }
}

TaskManager::TaskManager(TaskManagerOptions options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->epoll = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!state_->epoll) {
    throw std::system_error(errno, std::generic_category(),
                            "the worker cannot watch its task processes (epoll_create1)");
  }
}

TaskManager::~TaskManager() {
  // All at once first, so that their ends are not waited for one after another.
  for (auto& [id, task] : state_->tasks) task.process.kill();
  std::vector<std::string> folders;
  for (auto& [id, task] : state_->tasks) folders.push_back(task.folder);
  state_->tasks.clear();
  for (const std::string& folder : folders) state_->discard_folder(folder);
}

void TaskManager::carry_out(const StartTask& command) {
  state_->start(command.task, command.program);
}

// A command may cross with the end of its task process: then there is nobody to tell.

void TaskManager::carry_out(const SendToTask& command) {
  const auto found = state_->tasks.find(command.task);
  if (found == state_->tasks.end()) return;
  if (const auto* open = std::get_if<protocol::OpenJob>(&command.message)) {
    found->second.process.do_not_skip(open->job);
  }
  if (std::holds_alternative<protocol::Assign>(command.message)) {
    found->second.process.set_alone(command.alone);
  }
  found->second.process.send(command.message);
  if (!found->second.dirty) {
    found->second.dirty = true;
    state_->dirty_tasks.push_back(command.task);
  }
}

void TaskManager::carry_out(const SkipJobInTask& command) {
  const auto found = state_->tasks.find(command.task);
  if (found != state_->tasks.end()) found->second.process.skip_job(command.job);
}

void TaskManager::carry_out(const TakeBackFromTask& command) {
  const auto found = state_->tasks.find(command.task);
  if (found == state_->tasks.end()) return;
  const std::uint64_t come_to = found->second.process.take_back(command.given);
  state_->own_news.push_back(TakenBackFromTask{command.task, command.given, come_to});
}

void TaskManager::carry_out(const TerminateTask& command) {
  const auto found = state_->tasks.find(command.task);
  if (found != state_->tasks.end()) found->second.process.terminate();
}

void TaskManager::carry_out(const EndTask& command) {
  const auto found = state_->tasks.find(command.task);
  if (found == state_->tasks.end()) return;
  if (command.kill) {
    found->second.process.kill();
  } else {
    found->second.process.hang_up();
    state_->flush_task(command.task, found->second);
  }
}

void TaskManager::flush() {
  for (const TaskId id : state_->dirty_tasks) {
    const auto found = state_->tasks.find(id);
    if (found == state_->tasks.end()) continue;
    found->second.dirty = false;
    state_->flush_task(id, found->second);
  }
  state_->dirty_tasks.clear();
}

int TaskManager::ready_fd() const {
  return state_->epoll.get();
}
bool TaskManager::events_waiting() const {
  return !state_->own_news.empty();
}
std::vector<int> TaskManager::task_pids() const {
  std::vector<int> pids;
  for (const auto& [id, task] : state_->tasks) pids.push_back(task.process.pid());
  std::sort(pids.begin(), pids.end());
  return pids;
}

std::size_t TaskManager::task_count() const {
  return state_->tasks.size();
}

void TaskManager::take_events(std::vector<Event>& events) {
  for (Event& failed : state_->own_news) events.push_back(std::move(failed));
  state_->own_news.clear();
  std::array<epoll_event, kReadyPerTurn> ready;
  int count = 0;
  do {
    count = ::epoll_wait(state_->epoll.get(), ready.data(), kReadyPerTurn, 0);
  } while (count < 0 && errno == EINTR);
  for (int i = 0; i < count; ++i) state_->on_ready(ready[static_cast<std::size_t>(i)], events);
}

}  // namespace achilles::worker
