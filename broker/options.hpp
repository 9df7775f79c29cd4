// What achilles-broker is told on its command line.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "protocol/limits.hpp"

namespace achilles::broker {

struct BrokerOptions {
  std::string bind = "tcp://127.0.0.1:5555";
  bool insecure = false;
  std::string log_level = "info";
  std::uint32_t heartbeat_interval_ms = 1000;
  std::uint32_t client_grace_s = 300;
  std::uint64_t memory_mib = 8192;
  std::uint64_t max_payload_mib = protocol::kMaxPayloadBytes >> 20;
};

/// The program is to end at once, with this text on stdout (0) or stderr (otherwise).
struct Exit {
  int code = 0;
  std::string text;
};

inline constexpr int kExitUsage = 2;
inline constexpr int kExitFailure = 1;

/// Bad usage is an Exit with kExitUsage, --help and --version are one with 0. `bind` is numeric and
/// sound, and loopback unless `insecure`.
std::variant<BrokerOptions, Exit> parse_options(int argc, const char* const* argv);

}  // namespace achilles::broker
