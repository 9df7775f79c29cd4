// achilles-worker's command line, read.
//
// Pure: the environment is an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace achilles::worker {

struct WorkerOptions {
  std::vector<std::string> endpoints;
  std::string name;
  std::string cache_folder;
  std::string log_level;
  std::uint32_t slots = 1;
  std::chrono::milliseconds connect_timeout{0};
};

/// What to print instead of doing anything (help, the version, a complaint), and the exit code.
struct LeaveAtOnce {
  std::string out;
  std::string errors;
  int exit_code = 0;
};

inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

/// What the defaults come from. Empty where the environment says nothing.
struct Surroundings {
  std::string broker;      ///< $ACHILLES_BROKER
  std::string cache_home;  ///< $XDG_CACHE_HOME
  std::string home;        ///< $HOME
  std::string host_name;
  std::uint32_t usable_cores = 1;
};

std::variant<WorkerOptions, LeaveAtOnce> parse_command_line(int argc, const char* const* argv,
                                                            const Surroundings& surroundings);

}  // namespace achilles::worker
