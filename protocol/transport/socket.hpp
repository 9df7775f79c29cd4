// Sockets of ZeroMQ that never block: a ROUTER for the broker, a DEALER for everyone else.
//
// They carry Frames and know nothing of messages. "Sent" says only that the library took the
// frames; what matters is acknowledged by the protocol above.
//
// Thread ownership: each socket belongs to one thread at a time, the one that drives its PollLoop.
// A Context may be shared by threads. Buffers of large frames are released by the library's own
// thread, so owners of Bytes must be releasable anywhere.
//
// Invariants:
//  1. No call blocks, whatever the peers do.
//  2. Frames that the library does not take now wait in a queue of the socket's own, in order, and
//  are
//     counted in bytes; poll_prepare() retries them. Nothing is dropped while its connection lives.
//  3. A peer is named by a number that is never used twice; one that reconnects is a new peer.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/limits.hpp"

namespace achilles::protocol {

/// The library's I/O thread. Outlives its sockets; its destructor waits for their linger to pass.
class Context {
 public:
  explicit Context(int io_threads = 1);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  friend class Socket;
  struct State;
  std::unique_ptr<State> state_;
};

struct SocketOptions {
  /// How long unsent frames may delay the Context's end: 0 in daemons, 1-2 s in a client after BYE.
  std::chrono::milliseconds linger{0};
  /// Messages per peer that the library buffers each way. A fuse only: credits bound memory.
  int high_water_mark = 1000;
  /// A single frame; a connection that sends a larger one is closed.
  std::uint64_t max_frame_bytes = kMaxHeaderBytes;
  /// The library's own heartbeats only reap dead connections; liveness is decided above.
  std::chrono::milliseconds reap_interval{10'000};
  std::chrono::milliseconds reap_timeout{60'000};
  std::chrono::milliseconds handshake_timeout{5'000};
  std::chrono::milliseconds reconnect_interval{100};
  std::chrono::milliseconds reconnect_interval_max{5'000};
  /// Of the kernel's socket; 0 leaves it to the system.
  int kernel_buffer_bytes = 0;
};

enum class SendResult {
  kSent,         ///< The library took it.
  kQueued,       ///< It waits here, counted in unsent_bytes(), and goes out by itself.
  kUnreachable,  ///< The connection is gone; nothing was kept. take_lost() will tell it, too.
};

/// What PollLoop needs of a socket, and what both kinds share.
class Socket {
 public:
  virtual ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  /// Becomes readable when something may have changed; says nothing about what (see poll_prepare).
  int poll_fd() const;
  /// Takes the library's news in, sends what can be sent of the queue. True: there is something to
  /// receive, or a peer was lost. Must be called after the last send or receive and before blocking
  /// on poll_fd(), else a wake-up may be missed; PollLoop does.
  virtual bool poll_prepare() = 0;
  /// Frames wait for a peer in a way that poll_fd() may not tell: look again after a few
  /// milliseconds.
  virtual bool wants_retry() const = 0;

  /// Frames that wait in the queue of this side, in all.
  std::uint64_t unsent_bytes() const { return unsent_bytes_; }
  void set_linger(std::chrono::milliseconds linger);

 protected:
  enum class Kind { kRouter, kDealer };
  Socket(Context& context, Kind kind, const SocketOptions& options);

  struct State;
  std::unique_ptr<State> state_;
  std::uint64_t unsent_bytes_ = 0;
};

/// A connection to a RouterSocket; never used twice.
using PeerHandle = std::uint64_t;

class RouterSocket final : public Socket {
 public:
  explicit RouterSocket(Context& context, const SocketOptions& options = {});
  ~RouterSocket() override;

  /// "tcp://HOST:PORT", port 0 or * for one of the system's choice. Answers the actual endpoint.
  /// Throws std::runtime_error with one sentence when it cannot.
  std::string bind(const std::string& endpoint);

  struct Received {
    PeerHandle peer = 0;
    Frames frames;
  };
  /// The next message, if there is one. Cap the calls per turn, so that timers get theirs.
  std::optional<Received> receive();

  /// A handle that was forgotten or lost is unreachable.
  SendResult send(PeerHandle peer, Frames frames);
  using Socket::unsent_bytes;
  std::uint64_t unsent_bytes(PeerHandle peer) const;
  /// Drops what is queued for the peer. Should it speak again, it gets a new handle.
  void forget(PeerHandle peer);
  /// Peers whose connections are gone, as a send has shown, once what they said before has been
  /// received: a BYE counts, although an answer to an earlier message finds nobody any more. They
  /// are forgotten. Empties the list.
  std::vector<PeerHandle> take_lost();
  std::size_t peer_count() const;

  bool poll_prepare() override;
  bool wants_retry() const override;

 private:
  void let_go(PeerHandle peer);

  struct Peers;
  std::unique_ptr<Peers> peers_;
};

class DealerSocket final : public Socket {
 public:
  explicit DealerSocket(Context& context, const SocketOptions& options = {});
  ~DealerSocket() override;

  /// Returns at once; the connection is made, and made again when it breaks, in the background.
  /// Throws std::runtime_error with one sentence when the endpoint is malformed.
  void connect(const std::string& endpoint);

  std::optional<Frames> receive();
  /// kSent or kQueued: while there is no connection, frames wait here.
  SendResult send(Frames frames);
  /// Drops what is queued here, for a conversation that starts anew.
  void drop_unsent();

  bool poll_prepare() override;
  bool wants_retry() const override;

 private:
  struct Queue;
  std::unique_ptr<Queue> queue_;
};

/// The library's version, "4.3.4", for --version.
std::string zmq_version();

}  // namespace achilles::protocol
