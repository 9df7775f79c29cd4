// The `achilles` command's line, read.
#pragma once

#include <chrono>
#include <string>
#include <variant>
#include <vector>

namespace achilles::cli {

struct StatusOptions {
  std::vector<std::string> endpoints;
  std::chrono::milliseconds timeout{};
  bool json = false;
  std::string
      why;  ///< A job's id as people see it: say what it waits for. Empty: all of the status.
};

/// What to print instead of doing anything (help, the version, a complaint), and the exit code.
struct Leave {
  std::string out;
  std::string errors;
  int exit_code = 0;
};

inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

/// `environment_broker` is $ACHILLES_BROKER, empty if it is not set.
std::variant<StatusOptions, Leave> parse_command_line(int argc, const char* const* argv,
                                                      const std::string& environment_broker);

}  // namespace achilles::cli
