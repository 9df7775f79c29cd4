// The command line of achilles-bench.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/workload.hpp"

namespace achilles::bench {

struct Options {
  std::vector<std::string> workloads;  ///< Empty: all.
  std::vector<std::string> places;     ///< Empty: all.
  int rounds = 3;
  Settings settings;
  std::string json;  ///< A file, "-" for stdout in place of the table; empty: none.
};

/// Nothing: it was answered (--help) or refused, and the program ends with `exit_code`.
std::optional<Options> parse_options(int argc, char** argv, int& exit_code);

}  // namespace achilles::bench
