// The command line of achilles-chaos.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/round.hpp"

namespace achilles::tests {

struct ChaosOptions {
  std::uint64_t seed = 0;
  std::chrono::milliseconds duration{60'000};  ///< Of all attacks.
  std::optional<Mode> mode;                    ///< Nothing: in turn, what this machine can do.
  int rounds = 0;                              ///< 0: as many as the time needs.
  bool verbose = false;
  bool keep_going = false;  ///< After a round that failed.
  RoundOptions round;       ///< What is given for every round.
};

/// The options, or the exit code after --help or a mistake, which is told.
struct ParsedOptions {
  ChaosOptions options;
  std::optional<int> exit_code;
};
ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace achilles::tests
