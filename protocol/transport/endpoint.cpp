#include "protocol/transport/endpoint.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace achilles::protocol {
namespace {

constexpr std::string_view kScheme = "tcp://";
constexpr std::string_view kExample = "write tcp://HOST:PORT, for example tcp://127.0.0.1:5555";

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw std::invalid_argument("\"" + std::string(text) +
                              "\" is not an address achilles can use: " + why + ".");
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
         c == '_';
}

bool is_address(int family, const std::string& host) {
  in6_addr room{};
  return inet_pton(family, host.c_str(), &room) == 1;
}

void check_host(std::string_view text, const std::string& host) {
  if (host.empty()) refuse(text, "the host is missing; " + std::string(kExample));
  if (host == "*") return;
  const auto wrong = std::find_if_not(host.begin(), host.end(), is_name_character);
  if (wrong != host.end()) {
    refuse(text, "the host \"" + host + "\" contains '" + std::string(1, *wrong) +
                     "' (an IPv6 address needs brackets: tcp://[::1]:5555)");
  }
  const bool numeric =
      std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
  if (numeric && !is_address(AF_INET, host)) {
    refuse(text, "\"" + host + "\" is no IPv4 address; it has four numbers from 0 to 255");
  }
}

std::uint16_t parse_port(std::string_view text, std::string_view port) {
  if (port == "*") return 0;
  std::uint16_t value = 0;
  const auto* const end = port.data() + port.size();
  const auto [stopped, error] = std::from_chars(port.data(), end, value);
  if (port.empty() || error != std::errc{} || stopped != end) {
    refuse(text, "the port \"" + std::string(port) + "\" is no number from 0 to 65535");
  }
  return value;
}

}  // namespace

Endpoint parse_endpoint(std::string_view text) {
  if (!text.starts_with(kScheme)) {
    refuse(text, "it does not begin with tcp://; " + std::string(kExample));
  }
  const std::string_view rest = text.substr(kScheme.size());
  Endpoint endpoint;
  std::string_view port;
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == std::string_view::npos || close + 1 >= rest.size() || rest[close + 1] != ':') {
      refuse(text, "an IPv6 address is written tcp://[ADDRESS]:PORT");
    }
    endpoint.host = rest.substr(1, close - 1);
    port = rest.substr(close + 2);
    if (!is_address(AF_INET6, endpoint.host)) {
      refuse(text, "\"" + endpoint.host + "\" is no IPv6 address");
    }
  } else {
    const auto colon = rest.rfind(':');
    if (colon == std::string_view::npos) {
      refuse(text, "the port is missing; " + std::string(kExample));
    }
    endpoint.host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
    check_host(text, endpoint.host);
  }
  endpoint.port = parse_port(text, port);
  if (endpoint.host == "localhost") endpoint.host = "127.0.0.1";
  return endpoint;
}

Endpoint parse_peer_endpoint(std::string_view text) {
  Endpoint endpoint = parse_endpoint(text);
  if (endpoint.host == "*" || endpoint.host == "0.0.0.0" || endpoint.host == "::") {
    refuse(text, "\"" + endpoint.host +
                     "\" means every interface of the broker's machine; name the machine itself");
  }
  if (endpoint.port == 0) {
    refuse(text, "port 0 lets the broker choose; give the port that it printed when it started");
  }
  return endpoint;
}

std::vector<Endpoint> parse_peer_endpoints(std::string_view text) {
  std::vector<Endpoint> endpoints;
  for (;;) {
    const auto comma = text.find(',');
    const Endpoint endpoint = parse_peer_endpoint(text.substr(0, comma));
    if (std::find(endpoints.begin(), endpoints.end(), endpoint) != endpoints.end()) {
      refuse(text.substr(0, comma), "it is in the list already");
    }
    endpoints.push_back(endpoint);
    if (comma == std::string_view::npos) return endpoints;
    text.remove_prefix(comma + 1);
  }
}

std::string to_string(const Endpoint& endpoint) {
  const std::string host = is_ipv6(endpoint) ? "[" + endpoint.host + "]" : endpoint.host;
  return std::string(kScheme) + host + ":" + std::to_string(endpoint.port);
}

bool is_loopback(const Endpoint& endpoint) {
  in_addr v4{};
  if (inet_pton(AF_INET, endpoint.host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  in6_addr v6{};
  return inet_pton(AF_INET6, endpoint.host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool is_ipv6(const Endpoint& endpoint) {
  return endpoint.host.find(':') != std::string::npos;
}

}  // namespace achilles::protocol
