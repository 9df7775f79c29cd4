#include "protocol/transport/socket.hpp"

#include <stdexcept>
#include <zmq.hpp>

#include "protocol/transport/zmq_frames.hpp"

namespace achilles::protocol {
namespace {

int as_int(std::chrono::milliseconds time) {
  return static_cast<int>(time.count());
}

void set_options(zmq::socket_t& socket, const SocketOptions& options) {
  namespace opt = zmq::sockopt;
  socket.set(opt::linger, as_int(options.linger));
  socket.set(opt::sndhwm, options.high_water_mark);
  socket.set(opt::rcvhwm, options.high_water_mark);
  socket.set(opt::maxmsgsize, static_cast<std::int64_t>(options.max_frame_bytes));
  socket.set(opt::handshake_ivl, as_int(options.handshake_timeout));
  socket.set(opt::heartbeat_ivl, as_int(options.reap_interval));
  socket.set(opt::heartbeat_timeout, as_int(options.reap_timeout));
  socket.set(opt::heartbeat_ttl, as_int(options.reap_timeout));
  // Keepalive notices a dead peer on an idle connection, TCP_MAXRT one that we are writing to.
  socket.set(opt::tcp_keepalive, 1);
  socket.set(opt::tcp_keepalive_idle, 30);
  socket.set(opt::tcp_keepalive_intvl, 10);
  socket.set(opt::tcp_keepalive_cnt, 3);
  socket.set(opt::tcp_maxrt, as_int(options.reap_timeout));
  if (options.kernel_buffer_bytes > 0) {
    socket.set(opt::sndbuf, options.kernel_buffer_bytes);
    socket.set(opt::rcvbuf, options.kernel_buffer_bytes);
  }
}

}  // namespace

Context::Context(int io_threads) : state_(std::make_unique<State>(io_threads)) {}
Context::~Context() = default;

Socket::Socket(Context& context, Kind kind, const SocketOptions& options)
    : state_(std::make_unique<State>(
          context, kind == Kind::kRouter ? zmq::socket_type::router : zmq::socket_type::dealer)) {
  set_options(state_->zmq, options);
  if (kind == Kind::kRouter) {
    // Without it a ROUTER drops silently what it cannot deliver, at the high-water mark too.
    state_->zmq.set(zmq::sockopt::router_mandatory, 1);
    state_->zmq.set(zmq::sockopt::backlog, 4096);
  } else {
    // Only complete connections take messages: otherwise frames vanish in one that never comes up.
    state_->zmq.set(zmq::sockopt::immediate, 1);
    state_->zmq.set(zmq::sockopt::reconnect_ivl, as_int(options.reconnect_interval));
    state_->zmq.set(zmq::sockopt::reconnect_ivl_max, as_int(options.reconnect_interval_max));
  }
}

Socket::~Socket() = default;

int Socket::poll_fd() const {
  return state_->zmq.get(zmq::sockopt::fd);
}

void Socket::set_linger(std::chrono::milliseconds linger) {
  state_->zmq.set(zmq::sockopt::linger, as_int(linger));
}

std::string zmq_version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  ::zmq_version(&major, &minor, &patch);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace achilles::protocol
