#include "tests/support/tcp_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <exception>
#include <future>
#include <list>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace achilles::tests {
namespace {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

constexpr std::size_t kPieceBytes = 64 << 10;
/// A throttled connection is fed in small pieces, so that others of its machine find room.
constexpr std::size_t kThrottledPieceBytes = 4 << 10;
/// Beyond this a direction is not read: its sender feels the slowness.
constexpr std::size_t kUnderWayBytesMax = 1 << 20;
constexpr int kLongestWaitMs = 1000;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), "a proxy failed: " + what);
}

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument(host + " is not an IPv4 address");
  }
  return address;
}

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  /// Closing then sends a reset.
  void forget_unsent() const {
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

 private:
  int fd_;
};

/// One direction of a connection.
struct Pipe {
  struct Piece {
    TimePoint due;
    std::string bytes;
    std::size_t written = 0;
  };
  std::deque<Piece> under_way;
  std::size_t bytes_under_way = 0;
  TimePoint free_at;  ///< When the throttle lets the next bytes through.
  bool ended = false;

  bool wants_bytes() const { return !ended && bytes_under_way < kUnderWayBytesMax; }
  std::optional<TimePoint> next_due() const {
    if (under_way.empty()) return std::nullopt;
    return std::max(under_way.front().due, free_at);
  }
};

struct Connection {
  Fd peer;
  Fd target;
  bool connecting = true;
  bool broken = false;
  Pipe requests;
  Pipe answers;
};

/// False when the connection is broken.
bool read_some(const Fd& from, Pipe& pipe, TimePoint due) {
  std::array<char, kPieceBytes> buffer;
  const ssize_t got = ::recv(from.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) {
    pipe.ended = true;
    return true;
  }
  pipe.under_way.push_back({due, std::string(buffer.data(), static_cast<std::size_t>(got))});
  pipe.bytes_under_way += static_cast<std::size_t>(got);
  return true;
}

}  // namespace

struct TcpProxy::State {
  sockaddr_in target;
  Fd listener;
  Fd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::uint16_t port = 0;

  std::mutex mutex;  // Guards the orders.
  ProxyWeather ordered_weather;
  bool reset_ordered = false;
  std::optional<std::uint64_t> reset_after_ordered;
  bool ending = false;

  std::atomic<std::uint64_t> connections_made = 0;
  std::atomic<std::uint64_t> connections_open = 0;

  // Of the thread.
  ProxyWeather weather;
  std::optional<std::uint64_t> bytes_until_reset;
  std::list<Connection> connections;
  std::thread thread;

  void listen();
  void run();
  bool take_orders();
  void accept_one();
  void finish_connecting(Connection& connection) const;
  bool write_some(const Fd& to, Pipe& pipe, TimePoint now);
  void move_bytes(Connection& connection, const pollfd& peer, const pollfd& to_target);
  void sweep();
  int timeout_ms(TimePoint now) const;
  void order(const std::function<void()>& write_down);
};

void TcpProxy::State::listen() {
  listener = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (listener.get() < 0) fail("socket");
  sockaddr_in address = address_of("127.0.0.1", 0);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), plain, size) != 0) fail("bind");
  if (::listen(listener.get(), 128) != 0) fail("listen");
  if (::getsockname(listener.get(), plain, &size) != 0) fail("getsockname");
  port = ntohs(address.sin_port);
}

bool TcpProxy::State::take_orders() {
  std::uint64_t ignored = 0;
  [[maybe_unused]] const auto got = ::read(wake.get(), &ignored, sizeof ignored);
  const std::lock_guard lock(mutex);
  weather = ordered_weather;
  if (const auto bytes = std::exchange(reset_after_ordered, std::nullopt)) {
    bytes_until_reset = bytes;
  }
  if (std::exchange(reset_ordered, false)) {
    for (auto& connection : connections) connection.broken = true;
  }
  return !ending;
}

void TcpProxy::State::accept_one() {
  Fd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (peer.get() < 0) return;
  if (weather.refuse) return peer.forget_unsent();
  Fd to(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int no_delay = 1;
  for (const int fd : {peer.get(), to.get()}) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
  }
  const auto* plain = reinterpret_cast<const sockaddr*>(&target);
  if (::connect(to.get(), plain, sizeof target) != 0 && errno != EINPROGRESS) {
    return peer.forget_unsent();
  }
  ++connections_made;
  connections.emplace_back();
  connections.back().peer = std::move(peer);
  connections.back().target = std::move(to);
}

void TcpProxy::State::finish_connecting(Connection& connection) const {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(connection.target.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  // A port where nobody listens may be given to the very socket that connects to it.
  sockaddr_in self{};
  socklen_t self_size = sizeof self;
  ::getsockname(connection.target.get(), reinterpret_cast<sockaddr*>(&self), &self_size);
  const bool own =
      self.sin_port == target.sin_port && self.sin_addr.s_addr == target.sin_addr.s_addr;
  connection.connecting = false;
  connection.broken = error != 0 || own;
}

/// False when the connection is broken.
bool TcpProxy::State::write_some(const Fd& to, Pipe& pipe, TimePoint now) {
  const auto due = pipe.next_due();
  if (!due) {
    if (pipe.ended) ::shutdown(to.get(), SHUT_WR);
    return true;
  }
  if (*due > now) return true;
  auto& piece = pipe.under_way.front();
  std::size_t count = piece.bytes.size() - piece.written;
  if (weather.bytes_per_second > 0) count = std::min(count, kThrottledPieceBytes);
  if (bytes_until_reset) count = std::min<std::uint64_t>(count, *bytes_until_reset);
  if (count > 0) {
    const ssize_t sent =
        ::send(to.get(), piece.bytes.data() + piece.written, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    count = static_cast<std::size_t>(sent);
  }
  if (weather.bytes_per_second > 0) {
    pipe.free_at = now + std::chrono::microseconds(count * 1'000'000 / weather.bytes_per_second);
  }
  piece.written += count;
  pipe.bytes_under_way -= count;
  if (piece.written == piece.bytes.size()) pipe.under_way.pop_front();
  if (bytes_until_reset && (*bytes_until_reset -= count) == 0) {
    bytes_until_reset.reset();
    return false;
  }
  return true;
}

void TcpProxy::State::move_bytes(Connection& connection, const pollfd& peer,
                                 const pollfd& to_target) {
  constexpr short kBroken = POLLERR | POLLNVAL;
  if (connection.broken) return;
  if (connection.connecting) {
    if (to_target.revents != 0) finish_connecting(connection);
    return;
  }
  const TimePoint now = Clock::now();
  const TimePoint due = now + weather.delay;
  bool whole = ((peer.revents | to_target.revents) & kBroken) == 0;
  if (whole && (peer.revents & (POLLIN | POLLHUP)) && connection.requests.wants_bytes()) {
    whole = read_some(connection.peer, connection.requests, due);
  }
  if (whole && (to_target.revents & (POLLIN | POLLHUP)) && connection.answers.wants_bytes()) {
    whole = read_some(connection.target, connection.answers, due);
  }
  if (whole && !weather.hold_requests) {
    whole = write_some(connection.target, connection.requests, now);
  }
  if (whole && !weather.hold_answers) whole = write_some(connection.peer, connection.answers, now);
  connection.broken = !whole;
}

void TcpProxy::State::sweep() {
  connections.remove_if([](const Connection& connection) {
    const auto over = [](const Pipe& pipe) { return pipe.ended && pipe.under_way.empty(); };
    if (connection.broken) {
      connection.peer.forget_unsent();
      connection.target.forget_unsent();
      return true;
    }
    return over(connection.requests) && over(connection.answers);
  });
  connections_open = connections.size();
}

/// What is due already waits for room, which poll watches.
int TcpProxy::State::timeout_ms(TimePoint now) const {
  auto next = now + std::chrono::milliseconds(kLongestWaitMs);
  const auto consider = [&](const Pipe& pipe, bool held) {
    const auto due = pipe.next_due();
    if (due && *due > now && !held) next = std::min(next, *due);
  };
  for (const auto& connection : connections) {
    consider(connection.requests, weather.hold_requests);
    consider(connection.answers, weather.hold_answers);
  }
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
}

void TcpProxy::State::run() {
  std::vector<pollfd> fds;
  while (true) {
    sweep();
    fds = {{listener.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
    const TimePoint now = Clock::now();
    for (const auto& connection : connections) {
      const auto watch = [&](const Fd& fd, const Pipe& in, const Pipe& out, bool held) {
        // Bytes that are due and still here wait for room at the other end.
        const auto due = out.next_due();
        const bool blocked = due && *due <= now && !held;
        const auto events =
            static_cast<short>((in.wants_bytes() ? POLLIN : 0) | (blocked ? POLLOUT : 0));
        // A hang-up would be reported again and again, asked for or not.
        fds.push_back({events != 0 ? fd.get() : -1, events, 0});
      };
      const auto& c = connection;
      if (c.connecting) {
        fds.push_back({-1, 0, 0});
        fds.push_back({c.target.get(), POLLOUT, 0});
      } else {
        watch(c.peer, c.requests, c.answers, weather.hold_answers);
        watch(c.target, c.answers, c.requests, weather.hold_requests);
      }
    }
    if (::poll(fds.data(), fds.size(), timeout_ms(now)) < 0 && errno != EINTR) return;
    // Before the bytes are moved: what was sent after an order fares by it.
    if (!take_orders()) return;
    std::size_t at = 2;
    for (auto& connection : connections) {
      move_bytes(connection, fds[at], fds[at + 1]);
      at += 2;
    }
    if (fds[0].revents != 0) accept_one();
  }
}

void TcpProxy::State::order(const std::function<void()>& write_down) {
  {
    const std::lock_guard lock(mutex);
    write_down();
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto told = ::write(wake.get(), &one, sizeof one);
}

TcpProxy::TcpProxy(const std::string& target_address, std::uint16_t target_port,
                   std::function<void()> enter)
    : state_(std::make_unique<State>()) {
  state_->target = address_of(target_address, target_port);
  std::promise<void> listening;
  auto ready = listening.get_future();
  state_->thread =
      std::thread([this, listening = std::move(listening), enter = std::move(enter)]() mutable {
        try {
          if (enter) enter();
          state_->listen();
        } catch (...) {
          return listening.set_exception(std::current_exception());
        }
        listening.set_value();
        state_->run();
      });
  try {
    ready.get();
  } catch (...) {
    state_->thread.join();
    throw;
  }
}

TcpProxy::~TcpProxy() {
  state_->order([this] { state_->ending = true; });
  state_->thread.join();
}

std::uint16_t TcpProxy::port() const {
  return state_->port;
}
std::string TcpProxy::endpoint() const {
  return "tcp://127.0.0.1:" + std::to_string(state_->port);
}
void TcpProxy::set_weather(ProxyWeather weather) {
  state_->order([&] { state_->ordered_weather = weather; });
}
void TcpProxy::reset() {
  state_->order([&] { state_->reset_ordered = true; });
}
void TcpProxy::reset_after(std::uint64_t bytes) {
  state_->order([&] { state_->reset_after_ordered = std::max<std::uint64_t>(bytes, 1); });
}
std::uint64_t TcpProxy::connections_made() const {
  return state_->connections_made;
}
std::uint64_t TcpProxy::connections_open() const {
  return state_->connections_open;
}

}  // namespace achilles::tests
