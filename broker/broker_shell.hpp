// The broker's shell: a ROUTER socket around the scheduler. Received frames become events, commands
// become sent frames; it decides nothing, except whom it can no longer send to.
//
// Thread ownership: all of it belongs to the thread that calls run(), but stop().
//
// Invariants:
//  1. At most kMessagesPerTurn messages are taken in before timers and other peers get their turn.
//  2. A peer whose unsent bytes exceed `unsent_bytes_max` is dropped: one slow reader costs bounded
//     memory, and the scheduler learns of it as of any lost connection. Large messages that wait in
//     its Hop do not count: the scheduler's credits bound them, and they may be larger than that.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/scheduler.hpp"
#include "protocol/hop.hpp"
#include "protocol/transport/poll_loop.hpp"
#include "protocol/transport/signals.hpp"
#include "protocol/transport/socket.hpp"

namespace achilles::broker {

struct ShellOptions {
  SchedulerOptions scheduler;
  protocol::SocketOptions socket;
  std::uint64_t unsent_bytes_max = 256ULL << 20;
};

class BrokerShell {
 public:
  /// Where the lines for the log go.
  using Log = std::function<void(const Note&)>;

  BrokerShell(protocol::Context& context, ShellOptions options, Log log);
  ~BrokerShell();

  /// Answers the actual endpoint. Throws std::runtime_error with one sentence when it cannot.
  std::string bind(const std::string& endpoint);
  /// Until SIGTERM, SIGINT or stop(); then says BYE to all peers and hears their answers.
  void run(protocol::SignalWatcher* signals);
  /// From any thread.
  void stop() noexcept { loop_.stop(); }

 private:
  void receive();
  void hear(PeerId peer, const protocol::Frames& frames);
  void turn();
  void step(Event event);
  void execute(Commands& commands);
  protocol::Hop& hop_of(PeerId peer);
  /// Hands over what the peer's hop has to send.
  void flush(PeerId peer);
  /// False: the peer is lost.
  bool send(PeerId peer, protocol::Frames frames);
  void report_lost();
  void farewell();

  const ShellOptions options_;
  const Log log_;
  Scheduler scheduler_;
  protocol::RouterSocket socket_;
  std::unordered_map<protocol::PeerHandle, protocol::Hop> hops_;
  protocol::PollLoop loop_;
  /// Peers that could not be sent to; the scheduler is told once it has finished what it is at.
  std::vector<PeerId> lost_;
  std::string farewell_reason_ = "the broker stops";
};

}  // namespace achilles::broker
