// A TCP proxy between a peer and its broker that misbehaves as it is told: it delays, throttles,
// holds back and resets. It works wherever sockets do, without any right over the network.
//
// TCP loses nothing by itself, so what is held back arrives late, after all that happened
// meanwhile: the proxy is where stale messages come from.
//
// Thread ownership: any one thread at a time; the proxy has a thread of its own for the bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace achilles::tests {

/// How bytes fare from now on, those that are under way already included.
struct ProxyWeather {
  std::chrono::milliseconds delay{0};
  std::uint64_t bytes_per_second = 0;  ///< In each direction of each connection; 0: no limit.
  bool hold_requests = false;          ///< From the peer to the target.
  bool hold_answers = false;           ///< From the target to the peer.
  bool refuse = false;                 ///< New connections are reset at once.
};

class TcpProxy {
 public:
  /// `enter` is called first in the proxy's thread, for example to enter a network namespace; what
  /// it throws comes out here. The target is an IPv4 address.
  TcpProxy(const std::string& target_address, std::uint16_t target_port,
           std::function<void()> enter = {});
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  std::uint16_t port() const;
  /// Where peers connect to: tcp://127.0.0.1:PORT.
  std::string endpoint() const;

  void set_weather(ProxyWeather weather);
  /// Resets all connections, wherever they stand.
  void reset();
  /// Resets a connection once it has passed so many more bytes, mostly in the middle of a message.
  void reset_after(std::uint64_t bytes);

  std::uint64_t connections_made() const;
  std::uint64_t connections_open() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::tests
