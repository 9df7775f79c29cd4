#include "worker/host/host.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "achilles/host/chunk_call.hpp"
#include "protocol/kept_memory.hpp"
#include "protocol/limits.hpp"
#include "protocol/messages.hpp"
#include "protocol/short_waits.hpp"
#include "worker/host/current_task.hpp"
#include "worker/host/exception_record.hpp"
#include "worker/host/function_keys.hpp"
#include "worker/task_channel.hpp"
#include "worker/task_memory.hpp"
#include "worker/task_process.hpp"

namespace achilles::host {
namespace {

using Clock = std::chrono::steady_clock;

/// Results are written when the next read would block, when they are this old, or this large.
constexpr auto kFlushAfter = std::chrono::microseconds(200);
/// The function that runs meanwhile may take for ever: after this long, another thread writes them.
constexpr long kFlushBesideAfterNs = 2'000'000;
constexpr std::uint64_t kFlushBytes = 256U << 10;
/// Texts of an error: long ones are cut, and cut short once a chunk's errors have this much in all,
/// so that the errors of a whole chunk fit into one message.
constexpr std::size_t kLongText = 16U << 10;
constexpr std::size_t kShortText = 64;
constexpr std::uint64_t kErrorBytesPerChunk = 4U << 20;

struct OpenedJob {
  protocol::OpenJob spec;
  const FunctionRecord* record = nullptr;
  std::shared_ptr<void> state;
};

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown host";
}

void cut(std::string& text, std::size_t size_max) {
  constexpr std::string_view kCut = "... (cut)";
  if (text.size() > size_max) text.replace(size_max - kCut.size(), std::string::npos, kCut);
}

std::string take_environment(const char* name) {
  const char* value = std::getenv(name);
  std::string taken = value != nullptr ? value : "";
  unsetenv(name);
  return taken;
}

protocol::ErrorKind kind_of(ChunkCall::Stage stage) {
  switch (stage) {
    case ChunkCall::Stage::kDecodeContext:
    case ChunkCall::Stage::kDecodeInput:
      return protocol::ErrorKind::kInputUndecodable;
    case ChunkCall::Stage::kCall:
      return protocol::ErrorKind::kUserException;
    case ChunkCall::Stage::kEncodeResult:
      return protocol::ErrorKind::kResultUnencodable;
  }
  return protocol::ErrorKind::kUserException;
}

std::uint64_t results_bytes_max(const protocol::OpenJob& spec) {
  const std::uint64_t told = spec.max_payload_bytes;
  return told == 0 ? protocol::kMaxPayloadBytes : std::min(told, protocol::kMaxPayloadBytes);
}

class Host {
 public:
  Host(const std::shared_ptr<worker::TaskMemory>& memory, std::string worker, std::uint32_t slot)
      : page_(memory->page),
        worker_(std::move(worker)),
        host_(host_name()),
        channel_(worker::kTaskSocketFd, worker::results_arena(memory),
                 worker::inputs_arena(memory)) {
    current_task().worker = worker_;
    current_task().slot = slot;
    std::thread([this] { watch(); }).detach();
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  int serve(protocol::ProgramId program) {
    {
      const std::lock_guard lock(mutex_);
      channel_.send(
          protocol::TaskReady{program, table_hash(), static_cast<std::uint32_t>(getpid())});
    }
    for (;;) {
      if (!flush()) return leave(0);
      page_.begun_attempt.store(0, std::memory_order_release);
      std::fflush(nullptr);  // A process that is killed later must not take its output along.
      std::deque<protocol::Message> arrived;
      const auto io = receive(arrived);
      for (auto& message : arrived) {
        if (!handle(std::move(message))) return 1;
      }
      if (io == worker::TaskChannel::Io::kClosed) return leave(flush() ? 0 : 1);
    }
  }

 private:
  /// A worker that only hung up ends, after us, what functions have started. When it is gone
  /// itself, nobody else would; the watcher must not lose that race against our own end.
  static int leave(int exit_code) {
    pollfd watched{worker::kTaskSocketFd, 0, 0};
    if (poll(&watched, 1, 0) > 0) end_process_group();
    return exit_code;
  }

  [[noreturn]] static void end_process_group() {
    ::kill(0, SIGKILL);
    _exit(1);
  }

  /// Waits for more. When calls come one at a time, each at once after the one before, it does not
  /// go to sleep in between: to be woken takes longer than such a call. With other work under way
  /// the processor is better left to that.
  worker::TaskChannel::Io receive(std::deque<protocol::Message>& arrived) {
    const auto began = Clock::now();
    if (waits_.likely() && page_.alone.load(std::memory_order_relaxed) != 0) {
      pollfd more{worker::kTaskSocketFd, POLLIN, 0};
      const auto until = began + protocol::ShortWaits::kSpinMax;
      while (poll(&more, 1, 0) == 0 && Clock::now() < until) {
      }
    }
    const auto io = channel_.receive([&](protocol::Message m) { arrived.push_back(std::move(m)); });
    waits_.note(Clock::now() - began);
    return io;
  }

  bool handle(protocol::Message message) {
    if (auto* open = std::get_if<protocol::OpenJob>(&message)) {
      const auto* record = find_record(open->function);
      jobs_[open->job] = OpenedJob{std::move(*open), record, nullptr};
      return true;
    }
    if (const auto* close = std::get_if<protocol::CloseJob>(&message)) {
      jobs_.erase(close->job);
      return true;
    }
    if (auto* assign = std::get_if<protocol::Assign>(&message)) {
      // One chunk begins when the one before it has ended: the clock is read once for both.
      auto at = Clock::now();
      for (auto& given : assign->chunks) {
        const auto assignment = std::move(given);  // Its inputs end with it.
        at = run(assignment, at);
      }
      return true;
    }
    std::fprintf(stderr, "achilles: the task process got a message it does not know and ends\n");
    return false;
  }

  /// Answers when it ended, `started` if it was not begun.
  Clock::time_point run(const protocol::Assignment& assignment, Clock::time_point started) {
    if (!worker::begin_chunk(page_)) return started;
    const auto job = jobs_.find(assignment.job);
    if (job == jobs_.end()) {
      // Closed meanwhile: nobody waits for results, but the worker waits for an answer.
      const std::lock_guard lock(mutex_);
      add_pending({assignment.job, assignment.attempt, assignment.chunk.first, 0, {}, {}}, started);
      return started;
    }
    page_.running_item.store(assignment.chunk.first, std::memory_order_relaxed);
    page_.begun_attempt.store(assignment.attempt.value, std::memory_order_relaxed);
    page_.running_attempt.store(assignment.attempt.value, std::memory_order_release);
    protocol::ChunkResult result = call(assignment, job->second);
    page_.running_attempt.store(0, std::memory_order_release);
    const auto ended = Clock::now();
    result.busy_ns = static_cast<std::uint64_t>((ended - started) / std::chrono::nanoseconds(1));
    const std::lock_guard lock(mutex_);
    add_pending(std::move(result), ended);
    if (pending_bytes_ >= kFlushBytes || ended - pending_since_ >= kFlushAfter) flush_locked();
    return ended;
  }

  void add_pending(protocol::ChunkResult result, Clock::time_point at) {
    if (pending_.chunks.empty()) pending_since_ = at;
    pending_bytes_ += protocol::credit_cost(result);
    pending_.chunks.push_back(std::move(result));
    if (std::exchange(timer_runs_, true)) return;
    const itimerspec once{{0, 0}, {0, kFlushBesideAfterNs}};
    timerfd_settime(timer_, 0, &once, nullptr);
  }

  protocol::ChunkResult call(const protocol::Assignment& assignment, OpenedJob& job) {
    const auto& chunk = assignment.chunk;
    protocol::ChunkResult result;
    result.job = assignment.job;
    result.attempt = assignment.attempt;
    result.first = chunk.first;
    std::uint64_t error_bytes = 0;
    ChunkCall call(job.spec.context.span(), job.state, chunk.first,
                   protocol::ItemCursor(chunk.items.layout, chunk.items.payload.span()),
                   results_bytes_max(job.spec),
                   {&page_.running_item, &page_.skip_sequence,
                    [&] { return worker::asked_to_skip(page_, assignment.job); }},
                   [&](std::uint64_t index, ChunkCall::Stage stage) {
                     const bool plenty = error_bytes > kErrorBytesPerChunk;
                     result.errors.push_back(
                         {index, record_failure(kind_of(stage), plenty ? kShortText : kLongText)});
                     for (const auto& cause : result.errors.back().error.causes) {
                       error_bytes += cause.type.size() + cause.what.size();
                     }
                   });
    current_task().call = &call;
    current_task().attempt = assignment.attempt.value;
    if (job.record != nullptr) {
      job.record->thunk(call);
    } else {
      refuse_all(call, job.spec);
    }
    current_task().call = nullptr;
    auto [layout, payload] = call.results().take();
    result.items = {std::move(layout), protocol::Bytes::own(std::move(payload))};
    return result;
  }

  static void refuse_all(ChunkCall& call, const protocol::OpenJob& spec) {
    while (call.begin_item()) {
      try {
        throw std::runtime_error("the program has no function with the key " +
                                 std::to_string(spec.function.offset) + " (" + spec.label + ")");
      } catch (...) {
        call.fail_item();
      }
    }
  }

  protocol::ErrorRecord record_failure(protocol::ErrorKind kind, std::size_t text_max) const {
    protocol::ErrorRecord error;
    error.kind = kind;
    error.causes = describe_current_exception();
    if (text_max == kShortText && error.causes.size() > 1) error.causes.resize(1);
    for (auto& cause : error.causes) {
      cut(cause.type, text_max);
      cut(cause.what, text_max);
    }
    error.worker = worker_;
    error.host = host_;
    error.pid = static_cast<std::uint32_t>(getpid());
    return error;
  }

  bool flush() {
    const std::lock_guard lock(mutex_);
    return flush_locked();
  }
  bool flush_locked() {
    if (!pending_.chunks.empty()) {
      channel_.send(std::exchange(pending_, {}));
      pending_bytes_ = 0;
    }
    return channel_.flush() != worker::TaskChannel::Io::kClosed;
  }

  /// The other thread. It writes results that wait behind a function that takes long. And when the
  /// worker is gone, nobody wants results: the whole process group ends, whatever the function is
  /// doing. A worker that merely stopped sending still has its end of the socket open.
  void watch() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    for (;;) {
      pollfd watched[] = {{worker::kTaskSocketFd, 0, 0}, {timer_, POLLIN, 0}};
      if (poll(watched, 2, -1) < 0) continue;
      if ((watched[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) end_process_group();
      std::uint64_t times = 0;
      if (watched[1].revents == 0 || read(timer_, &times, sizeof times) < 0) continue;
      const std::lock_guard lock(mutex_);
      timer_runs_ = false;
      flush_locked();
    }
  }

  worker::TaskPage& page_;
  std::string worker_;
  std::string host_;
  std::map<protocol::JobId, OpenedJob> jobs_;
  protocol::ShortWaits waits_;

  std::mutex mutex_;  // Of what is below; of the channel, its sending half.
  worker::TaskChannel channel_;
  protocol::Results pending_;
  std::uint64_t pending_bytes_ = 0;
  Clock::time_point pending_since_;
  const int timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  bool timer_runs_ = false;
};

/// Of a task process. malloc takes no larger limit for pieces.
constexpr std::size_t kKeepsLargest = 32 << 20;
constexpr std::size_t kKeeps = 64 << 20;

}  // namespace

int run_host() {
  protocol::keep_freed_memory(kKeepsLargest, kKeeps);
  unsetenv(worker::kTaskEnvironment);
  const auto program =
      protocol::program_from_hex(take_environment(worker::kTaskProgramEnvironment));
  const std::string worker = take_environment(worker::kTaskWorkerEnvironment);
  const auto slot =
      std::strtoul(take_environment(worker::kTaskSlotEnvironment).c_str(), nullptr, 10);
  close(worker::kTaskProgramFd);
  const auto memory = worker::map_task_memory(worker::kTaskMemoryFd);
  close(worker::kTaskMemoryFd);
  if (!program || !memory || fcntl(worker::kTaskSocketFd, F_SETFD, FD_CLOEXEC) != 0) {
    std::fprintf(
        stderr,
        "achilles: this process was started as a task process, but not by a worker; unset %s\n",
        worker::kTaskEnvironment);
    return 1;
  }
  prctl(PR_SET_NAME, "achilles-task");  // In a memfd the kernel would call it by a number.
  // Never destroyed: its other thread lives until the process ends.
  auto& host = *new Host(memory, worker, static_cast<std::uint32_t>(slot));
  return host.serve(*program);
}

}  // namespace achilles::host
