#include "client/engine.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <system_error>
#include <utility>

#include "client/capture_check.hpp"
#include "protocol/limits.hpp"
#include "protocol/transport/clock.hpp"
#include "worker/host/function_keys.hpp"

namespace achilles::detail {

using client::Event;
using protocol::Duration;
using protocol::JobId;
using protocol::now;
using protocol::TimePoint;

namespace {

/// When nobody has driven the loop for so long, the background thread does. A chunk that has been
/// open for so long is sent as it is.
constexpr Duration kUndrivenMax = std::chrono::milliseconds(5);
/// When a user's thread has waited for so long, and no chunk can be open, the background thread
/// rests until that thread goes on: nobody polls while long tasks run, or while a user who has
/// results enough does something else.
constexpr Duration kWaitsLong = std::chrono::milliseconds(20);
constexpr Duration kRestMax = std::chrono::seconds(1);
/// Chunks that are submitted within so short a time travel together. What is left over goes out
/// when the user waits, or by the background thread when the input is slow to go on.
constexpr Duration kSubmittedTogether = std::chrono::microseconds(200);
/// After its last job a Pool is watched so much longer: many short calls in a row need no new
/// start.
constexpr Duration kWatchAfterLastJob = std::chrono::milliseconds(100);

/// Results that are taken together: to take a tiny one alone costs more than all else about it.
constexpr std::size_t kTakenTogetherMax = 64;
constexpr std::uint64_t kTakenBytesMax = 16ULL << 10;

/// A callable's type name can be very long; people read its beginning.
constexpr std::size_t kLabelMax = 512;

int make_event_fd() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "achilles: eventfd");
  return fd;
}

}  // namespace

Engine::Engine(PoolOptions options, client::SessionOptions session,
               std::unique_ptr<client::Cluster> cluster, protocol::ProgramId program)
    : options_(std::move(options)),
      program_(program),
      session_(session, now()),
      cluster_(std::move(cluster)),
      id_(session.id),
      last_driven_(now()),
      last_job_closed_(now() - kWatchAfterLastJob),
      wake_fd_(make_event_fd()) {
  session_.connect(now(), commands_);
  carry_out_commands();
  // Signals are the program's own: its threads get them, not this one.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  background_ = std::thread([this] { run_in_background(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Engine::~Engine() {
  close();
  ::close(wake_fd_);
}

void Engine::close() {
  std::thread background;
  {
    Lock lock(mutex_);
    closed_ = true;
    for (auto& [id, consumer] : consumers_) consumer.wake.notify_all();
    background_wake_.notify_all();
    wake_pollers();
    background = std::move(background_);
  }
  if (background.joinable()) background.join();
  Lock lock(mutex_);
  no_pollers_.wait(lock, [&] { return pollers_ == 0; });
  cluster_.reset();
}

JobId Engine::open_job(const JobRequest& request, std::shared_ptr<OpenChunk> open) {
  const auto key = host::key_of(*request.record);
  const std::string label(request.record->label.substr(0, kLabelMax));
  if (!key) {
    throw NotShippable(
        "achilles cannot send " + label +
        ": the call stands in a shared library; call the Pool from the program itself");
  }
  if (request.options.check_captures) client::check_captures(request.captured, label);
  if (request.context.size() > protocol::kMaxContextBytes) {
    throw NotShippable("achilles cannot send " + label + ": what is bound to it takes " +
                       std::to_string(request.context.size()) + " bytes, at most " +
                       std::to_string(protocol::kMaxContextBytes) +
                       " are allowed; let the tasks read the data themselves");
  }
  Lock lock(mutex_);
  if (closed_) throw PoolClosed("achilles: the Pool is closed; make a new one");
  client::JobOpened opened;
  opened.spec.job = {id_, next_job_number_++};
  opened.spec.program = program_;
  opened.spec.function = *key;
  opened.spec.context = protocol::Bytes::copy(request.context);
  opened.spec.label = label;
  opened.spec.crash_limit = request.options.crash_limit;
  opened.spec.second_attempts = request.options.second_attempts;
  opened.ordered = request.ordered;
  opened.chunksize = request.options.chunksize;
  opened.item_count = request.item_count;
  const JobId id = opened.spec.job;
  auto& consumer = consumers_[id];
  consumer.open = std::move(open);
  consumer.label = label;
  step(std::move(opened));
  if (background_sleeps_) background_wake_.notify_one();
  end_rest();
  return id;
}

void Engine::close_job(JobId job) noexcept {
  Lock lock(mutex_);
  const auto at = consumers_.find(job);
  if (at == consumers_.end()) return;
  if (leader_ == &at->second) leader_ = nullptr;
  consumers_.erase(at);
  last_job_closed_ = now();
  if (closed_) return;
  step(client::JobClosed{job});
  turn();
  hand_over_lead();
  end_rest();
}

bool Engine::is_over(JobId job) const {
  return closed_ || session_.failure(job) != nullptr || session_.unreachable().has_value();
}

void Engine::throw_why_over(JobId job, const Consumer& consumer) const {
  const std::string where = "job " + protocol::to_string(job) + " (" + consumer.label + ")";
  if (closed_) {
    throw PoolClosed("achilles: the Pool was closed before " + where + " was finished");
  }
  if (const auto* failure = session_.failure(job)) {
    throw JobFailed("achilles: " + where + " cannot run: " + failure->detail);
  }
  throw BrokerUnreachable("achilles: " + cluster_->description() + " cannot be reached for " +
                          where + ": " + session_.unreachable().value_or("it is gone") +
                          "; check that achilles-broker runs there and that the address is right");
}

JobHandle::Next Engine::wait(JobId job) {
  using Next = JobHandle::Next;
  Lock lock(mutex_);
  auto& consumer = consumers_.at(job);
  consumer.filling = false;
  for (bool told = false;;) {
    if (is_over(job)) {
      leave_lead(consumer);
      throw_why_over(job, consumer);
    }
    std::optional<Next> next;
    if (session_.has_result(job)) {
      next = Next::kResult;
    } else if (!consumer.input_ended && session_.wants_input(job)) {
      const std::lock_guard open_lock(consumer.open->mutex);
      consumer.open->want(session_.next_chunk_items(job), session_.chunks_wanted(job));
      consumer.open->item_bytes_max = session_.max_payload_bytes();
      next = Next::kInput;
    } else if (session_.finished(job)) {
      next = Next::kEnd;
    }
    if (next) {
      consumer.filling = next == Next::kInput;
      leave_lead(consumer);
      return *next;
    }
    if (!std::exchange(told, true)) {
      step(client::ConsumerWaits{job});
      turn();
    } else {
      drive(lock, consumer);
    }
  }
}

void Engine::drive(Lock& lock, Consumer& consumer) {
  if (leader_ == nullptr || leader_ == this) leader_ = &consumer;
  if (leader_ != &consumer) {
    // The leader may be waiting for a later moment than the one that matters to this job.
    if (const auto due = next_deadline(); due && (!polling_until_ || *due < *polling_until_)) {
      wake_pollers();
    }
    consumer.following = true;
    consumer.wake.wait(lock);
    consumer.following = false;
    return;
  }
  consumer.polling = true;
  const auto began = now();
  poll_descriptors(lock, next_deadline(), waits_.likely() ? Patience::kSpin : Patience::kSleep);
  consumer.polling = false;
  last_driven_ = now();
  waits_.note(last_driven_ - began);
  turn();
}

void Engine::poll_descriptors(Lock& lock, std::optional<TimePoint> deadline, Patience patience) {
  if (closed_) return;
  pollfd watched[] = {{cluster_->ready_fd(), POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  ++pollers_;
  polling_until_ = deadline;
  lock.unlock();
  bool ready = false;
  if (patience == Patience::kSpin) {
    const auto until = now() + protocol::ShortWaits::kSpinMax;
    while (!ready && now() < until) ready = ::poll(watched, 2, 0) != 0;
  }
  timespec timeout{};
  if (deadline) {
    const auto left = std::max<std::int64_t>((*deadline - now()).count(), 0);
    timeout = {left / 1'000'000'000, left % 1'000'000'000};
  }
  // An interrupted wait is a wait that ended early: the caller looks again at what there is.
  if (!ready) ::ppoll(watched, 2, deadline ? &timeout : nullptr, nullptr);
  std::uint64_t count = 0;
  const bool woken =
      (watched[1].revents & POLLIN) != 0 && ::read(wake_fd_, &count, sizeof count) > 0;
  lock.lock();
  --pollers_;
  if (woken && pollers_ > 0) wake_pollers();  // It may have been meant for the other one.
  if (pollers_ == 0 && closed_) no_pollers_.notify_all();
}

void Engine::leave_lead(const Consumer& consumer) {
  end_rest();  // Its user may be away for long.
  if (leader_ != &consumer) return;
  leader_ = nullptr;
  hand_over_lead();
}

void Engine::hand_over_lead() {
  if (leader_ != nullptr && leader_ != this) return;
  for (auto& [id, consumer] : consumers_) {
    if (!consumer.following) continue;
    consumer.wake.notify_one();
    return;
  }
}

void Engine::wake_pollers() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

void Engine::step(Event event) {
  session_.step(now(), std::move(event), commands_);
  carry_out_commands();
}

void Engine::carry_out_commands() {
  auto commands = std::exchange(commands_, {});
  for (auto& command : commands) {
    if (auto* send = std::get_if<client::SendToBroker>(&command)) {
      cluster_->carry_out(std::move(*send));
    } else if (auto* serve = std::get_if<client::ServeProgram>(&command)) {
      cluster_->carry_out(std::move(*serve));
    } else if (auto* reconnect = std::get_if<client::Reconnect>(&command)) {
      if (options_.progress) {
        std::fprintf(stderr, "achilles: %s; connecting again\n", reconnect->reason.c_str());
      }
      cluster_->carry_out(std::move(*reconnect));
      session_.connect(now(), commands_);
    } else if (const auto* ask = std::get_if<client::AskWhetherThere>(&command)) {
      cluster_->carry_out(*ask);
    } else if (const auto* wake = std::get_if<client::WakeConsumer>(&command)) {
      const auto at = consumers_.find(wake->job);
      if (at == consumers_.end()) continue;
      at->second.open->result_ready.store(session_.has_result(wake->job),
                                          std::memory_order_relaxed);
      if (at->second.following) at->second.wake.notify_one();
      // Another thread took in what this one polls for: the descriptor will not tell it.
      if (at->second.polling) wake_pollers();
    } else if (const auto* connected = std::get_if<client::Connected>(&command)) {
      greet(*connected);
    } else if (const auto* note = std::get_if<client::Note>(&command)) {
      if (options_.progress) {
        std::fprintf(stderr, "achilles: %s: %s\n", cluster_->description().c_str(),
                     note->text.c_str());
      }
    }
  }
  if (!commands_.empty()) carry_out_commands();  // The HELLO after a reconnect.
}

void Engine::greet(const client::Connected& connected) {
  if (!options_.progress || !cluster_->needs_heartbeats() || isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "achilles: %s: %u workers, %u slots\n", cluster_->description().c_str(),
               connected.workers, connected.slots);
}

void Engine::turn() {
  if (closed_) return;
  last_turn_ = now();
  std::vector<Event> events;
  do {
    events.clear();
    cluster_->turn(now(), events);
    for (auto& event : events) session_.step(now(), std::move(event), commands_);
    if (const auto due = session_.next_deadline(); due && *due <= now()) {
      session_.expire(now(), commands_);
    }
    carry_out_commands();
  } while (!events.empty());
}

std::optional<TimePoint> Engine::next_deadline() const {
  const auto a = session_.next_deadline();
  const auto b = closed_ ? std::nullopt : cluster_->next_deadline();
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

void Engine::take(JobId job, std::vector<protocol::ChunkResult>& results) {
  results.clear();
  Lock lock(mutex_);
  auto& consumer = consumers_.at(job);
  if (is_over(job)) throw_why_over(job, consumer);
  const auto at = now();
  std::uint64_t bytes = 0;
  bool more = true;
  while (more && results.size() < kTakenTogetherMax && bytes < kTakenBytesMax) {
    results.push_back(session_.take_result(at, job, commands_));
    bytes += results.back().items.bytes();
    more = session_.has_result(job);
  }
  consumer.open->result_ready.store(more, std::memory_order_relaxed);
  carry_out_commands();
}

void Engine::submit_open_chunk(JobId job, Consumer& consumer) {
  protocol::Items items;
  {
    const std::lock_guard lock(consumer.open->mutex);
    if (consumer.open->items.empty()) return;
    consumer.open->learn_pace(std::chrono::steady_clock::now());
    auto [layout, bytes] = consumer.open->items.take();
    items = {std::move(layout), protocol::Bytes::own(std::move(bytes))};
    step(client::ChunkClosed{job, std::move(items)});
    consumer.open->want(session_.next_chunk_items(job), 1);
  }
}

void Engine::submit(JobId job) {
  Lock lock(mutex_);
  if (closed_) return;  // wait() says so.
  submit_open_chunk(job, consumers_.at(job));
  last_driven_ = now();
  if (last_driven_ - last_turn_ >= kSubmittedTogether) turn();
}

void Engine::end_input(JobId job) {
  Lock lock(mutex_);
  consumers_.at(job).input_ended = true;
  if (!closed_) step(client::InputEnded{job});
}

void Engine::close_stale_chunks() {
  const auto stale = std::chrono::steady_clock::now() - kUndrivenMax;
  for (auto& [id, consumer] : consumers_) {
    bool submit = false;
    if (const std::unique_lock lock(consumer.open->mutex, std::try_to_lock); lock.owns_lock()) {
      submit = !consumer.open->items.empty() && consumer.open->opened_at < stale;
    }
    if (submit) submit_open_chunk(id, consumer);
  }
}

bool Engine::chunk_may_be_open() const {
  return std::ranges::any_of(consumers_, [](const auto& entry) {
    const Consumer& consumer = entry.second;
    if (consumer.filling) return true;
    const std::unique_lock lock(consumer.open->mutex, std::try_to_lock);
    return !lock.owns_lock() || !consumer.open->items.empty();
  });
}

void Engine::end_rest() {
  if (!std::exchange(background_rests_, false)) return;
  background_wake_.notify_one();
  if (leader_ == this) wake_pollers();
}

bool Engine::needs_driving(TimePoint at) const {
  return !consumers_.empty() || cluster_->needs_heartbeats() ||
         at - last_job_closed_ < kWatchAfterLastJob;
}

void Engine::run_in_background() {
  Lock lock(mutex_);
  while (!closed_) {
    const auto at = now();
    if (!needs_driving(at)) {
      background_sleeps_ = true;
      background_wake_.wait(lock);
      background_sleeps_ = false;
      continue;
    }
    close_stale_chunks();
    const bool led = leader_ != nullptr && leader_ != this;
    if (led || at - last_driven_ < kUndrivenMax) {
      background_rests_ = led && at - last_driven_ >= kWaitsLong && !chunk_may_be_open();
      background_wake_.wait_for(lock, background_rests_ ? kRestMax : kUndrivenMax);
      background_rests_ = false;
      continue;
    }
    leader_ = this;
    turn();
    background_rests_ = !chunk_may_be_open();
    auto deadline = next_deadline();
    if (!background_rests_) {
      deadline = std::min(deadline.value_or(at + kUndrivenMax), at + kUndrivenMax);
    }
    poll_descriptors(lock, deadline, Patience::kSleep);
    background_rests_ = false;
    turn();
    if (leader_ == this) leader_ = nullptr;
  }
}

void Engine::require_own_process() const {
  if (in_own_process()) return;
  throw Error(
      "achilles: this Pool belongs to the process that this one was forked from; make a Pool here, "
      "after the fork");
}

std::vector<int> Engine::task_pids() {
  Lock lock(mutex_);
  return closed_ ? std::vector<int>{} : cluster_->task_pids();
}

}  // namespace achilles::detail
