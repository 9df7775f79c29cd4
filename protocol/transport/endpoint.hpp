// Endpoint: an address such as tcp://node7:5555, taken apart and checked.
//
// libzmq accepts many things it cannot use and reports most mistakes as "Invalid argument". Every
// address a person types goes through here first, so that the error says what is wrong with it.
// Pure: no name is looked up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace achilles::protocol {

/// Invariant: `host` is "*", a dotted IPv4 address, an IPv6 address (without brackets), or a name
/// of a machine or network interface; never "localhost", which libzmq cannot bind: 127.0.0.1
/// instead.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;  ///< 0: the system chooses.
  bool operator==(const Endpoint&) const = default;
};

/// For an address to bind. Throws std::invalid_argument, in one sentence that quotes `text`.
Endpoint parse_endpoint(std::string_view text);

/// For an address to connect to: as parse_endpoint, but "*" and port 0 name nobody and are refused.
Endpoint parse_peer_endpoint(std::string_view text);

/// One or several of them, separated by commas, in order of preference: who cannot reach one takes
/// the next. Throws as parse_peer_endpoint, also when one is named twice.
std::vector<Endpoint> parse_peer_endpoints(std::string_view text);

/// tcp://HOST:PORT, with an IPv6 host in brackets: what libzmq takes.
std::string to_string(const Endpoint& endpoint);

/// Only this machine can reach it. False for names, since they may mean anything.
bool is_loopback(const Endpoint& endpoint);

bool is_ipv6(const Endpoint& endpoint);

}  // namespace achilles::protocol
