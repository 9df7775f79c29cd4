// What achilles-sim is told on its command line.
#pragma once

#include <string>
#include <variant>

#include "tests/sim/drawn_world.hpp"

namespace achilles::sim {

struct ProgramOptions {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  /// Worlds of the given size; otherwise small ones of no given size.
  bool sized = false;
  WorldOptions world;
  std::optional<p::Duration> patience;
  bool verbose = false;
  bool story = false;
  bool measure = false;

  Plan plan(std::uint64_t of_seed) const;
};

/// The program ends before it begins: what it says, and its exit code.
struct Exit {
  int code = 0;
  std::string text;
};

std::variant<ProgramOptions, Exit> parse_options(int argc, const char* const* argv);

/// The command that runs one seed again, alone.
std::string command_for(const ProgramOptions& options, std::uint64_t seed);

}  // namespace achilles::sim
