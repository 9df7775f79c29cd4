#include "protocol/transport/poll_loop.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "protocol/check.hpp"
#include "protocol/transport/clock.hpp"

namespace achilles::protocol {
namespace {

/// For sockets whose descriptor may not tell that a peer has room again.
constexpr Duration kRetryInterval = std::chrono::milliseconds(5);

struct Watch {
  int fd = -1;
  Interest interest;
  Socket* socket = nullptr;  ///< If it is a socket's.
  // Shared, so that a callback may unwatch itself.
  std::shared_ptr<PollLoop::DescriptorCallback> on_ready;
  std::shared_ptr<std::function<void()>> on_activity;
};

short events_of(Interest interest) {
  return static_cast<short>((interest.readable ? POLLIN : 0) | (interest.writable ? POLLOUT : 0));
}

timespec timespec_of(Duration wait) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
  timespec spec{};
  spec.tv_sec = static_cast<time_t>(seconds.count());
  spec.tv_nsec = static_cast<long>((wait - seconds).count());
  return spec;
}

}  // namespace

struct PollLoop::State {
  std::map<WatchId, Watch> watches;
  WatchId last_id = 0;
  int wake_fd = -1;
  std::atomic<bool> stopped{false};
  // Kept to spare allocations; entry i of both belong together. The last entry is wake_fd's.
  std::vector<pollfd> polled;
  std::vector<WatchId> polled_ids;

  std::size_t call_active_sockets(bool& retry);
  std::size_t call_ready(short revents, WatchId id);
  bool wait(std::optional<TimePoint> deadline, bool at_once, bool retry);
};

PollLoop::PollLoop() : state_(std::make_unique<State>()) {
  state_->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (state_->wake_fd < 0) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot create an eventfd; is the limit of open files too low?");
  }
}

PollLoop::~PollLoop() {
  close(state_->wake_fd);
}

PollLoop::WatchId PollLoop::watch(int fd, Interest interest, DescriptorCallback callback) {
  const WatchId id = ++state_->last_id;
  auto shared = std::make_shared<DescriptorCallback>(std::move(callback));
  state_->watches.emplace(id, Watch{fd, interest, nullptr, std::move(shared), nullptr});
  return id;
}

PollLoop::WatchId PollLoop::watch(Socket& socket, std::function<void()> on_activity) {
  const WatchId id = ++state_->last_id;
  auto shared = std::make_shared<std::function<void()>>(std::move(on_activity));
  state_->watches.emplace(id, Watch{socket.poll_fd(), {}, &socket, nullptr, std::move(shared)});
  return id;
}

void PollLoop::set_interest(WatchId id, Interest interest) {
  const auto found = state_->watches.find(id);
  if (found != state_->watches.end()) found->second.interest = interest;
}

void PollLoop::unwatch(WatchId id) {
  state_->watches.erase(id);
}

/// Calls for the sockets that have something already; `retry`: one has frames that wait for room.
std::size_t PollLoop::State::call_active_sockets(bool& retry) {
  std::size_t calls = 0;
  for (auto at = watches.begin(); at != watches.end();) {
    const WatchId id = at->first;
    if (Socket* socket = at->second.socket; socket != nullptr) {
      const bool active = socket->poll_prepare();
      retry = retry || socket->wants_retry();
      if (active) {
        const auto callback = at->second.on_activity;
        ++calls;
        (*callback)();
      }
    }
    at = watches.upper_bound(id);  // The callback may have changed the table.
  }
  return calls;
}

std::size_t PollLoop::State::call_ready(short revents, WatchId id) {
  const auto found = watches.find(id);
  if (found == watches.end() || found->second.socket != nullptr) return 0;
  check((revents & POLLNVAL) == 0, "A descriptor was closed before it was unwatched.");
  const bool broken = (revents & (POLLHUP | POLLERR)) != 0;
  const Interest interest = found->second.interest;
  const bool readable = (revents & POLLIN) != 0 || broken;
  const bool writable = interest.writable && ((revents & POLLOUT) != 0 || broken);
  if (!readable && !writable) return 0;
  const auto callback = found->second.on_ready;
  (*callback)(readable, writable);
  return 1;
}

/// False: interrupted, or nothing happened.
bool PollLoop::State::wait(std::optional<TimePoint> deadline, bool at_once, bool retry) {
  polled.clear();
  polled_ids.clear();
  for (const auto& [id, watch] : watches) {
    polled.push_back({watch.fd, events_of(watch.interest), 0});
    polled_ids.push_back(id);
  }
  polled.push_back({wake_fd, POLLIN, 0});
  std::optional<Duration> patience;
  if (at_once) {
    patience = Duration::zero();
  } else if (deadline) {
    patience = std::max(*deadline - now(), Duration::zero());
  }
  if (retry) patience = std::min(patience.value_or(kRetryInterval), kRetryInterval);
  timespec spec = timespec_of(patience.value_or(Duration::zero()));
  const int count = ppoll(polled.data(), polled.size(), patience ? &spec : nullptr, nullptr);
  if (count < 0 && errno != EINTR) {
    throw std::system_error(errno, std::generic_category(), "cannot wait for sockets");
  }
  if (count > 0 && polled.back().revents != 0) {
    std::uint64_t ignored = 0;
    while (read(wake_fd, &ignored, sizeof ignored) < 0 && errno == EINTR) {
    }
  }
  return count > 0;
}

std::size_t PollLoop::run_once(std::optional<TimePoint> deadline) {
  State& state = *state_;
  bool retry = false;
  std::size_t calls = state.call_active_sockets(retry);
  // What the callbacks sent and received makes the look above stale: do not block after calls.
  if (!state.wait(deadline, calls > 0, retry)) return calls;
  bool socket_news = false;
  for (std::size_t i = 0; i + 1 < state.polled.size(); ++i) {
    if (state.polled[i].revents == 0) continue;
    const auto found = state.watches.find(state.polled_ids[i]);
    socket_news = socket_news || (found != state.watches.end() && found->second.socket != nullptr);
    calls += state.call_ready(state.polled[i].revents, state.polled_ids[i]);
  }
  // Without calls so far, what made a socket's descriptor readable is called at once, not next
  // time.
  if (socket_news && calls == 0) calls += state.call_active_sockets(retry);
  return calls;
}

void PollLoop::run(const std::function<std::optional<TimePoint>()>& next_deadline,
                   const std::function<void()>& turn) {
  while (!stopped()) {
    run_once(next_deadline());
    turn();
  }
}

void PollLoop::wake() noexcept {
  const int kept = errno;  // A signal handler must not change it.
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(state_->wake_fd, &one, sizeof one);
  errno = kept;
}

void PollLoop::stop() noexcept {
  state_->stopped.store(true);
  wake();
}

bool PollLoop::stopped() const noexcept {
  return state_->stopped.load();
}

}  // namespace achilles::protocol
