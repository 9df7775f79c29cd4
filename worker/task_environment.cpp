#include "worker/task_environment.hpp"

#include <algorithm>
#include <array>

namespace achilles::worker {
namespace {

using namespace std::string_view_literals;

// No ACHILLES_ variable is among them: they say where the worker's broker is and what its keys are,
// and a Pool inside a task must not act as the worker.
constexpr std::array kAllowed = {
    "PATH"sv,         "HOME"sv,         "USER"sv,         "LOGNAME"sv,      "SHELL"sv,
    "LANG"sv,         "TZ"sv,           "TMPDIR"sv,       "TERM"sv,         "LD_LIBRARY_PATH"sv,
    "ASAN_OPTIONS"sv, "LSAN_OPTIONS"sv, "TSAN_OPTIONS"sv, "UBSAN_OPTIONS"sv};
constexpr std::array kAllowedPrefixes = {"LC_"sv, "XDG_"sv, "OMP_"sv};
/// Ours to set, whatever the worker itself was told.
constexpr std::string_view kTaskPrefix = "ACHILLES_TASK_";
/// A task process has one core; libraries that start a thread per core would fight over it.
constexpr std::array kOneThread = {"OMP_NUM_THREADS"sv, "OPENBLAS_NUM_THREADS"sv,
                                   "MKL_NUM_THREADS"sv};

std::string_view name_of(std::string_view entry) {
  return entry.substr(0, entry.find('='));
}

bool allowed(std::string_view name) {
  return std::ranges::find(kAllowed, name) != kAllowed.end() ||
         std::ranges::find(kOneThread, name) != kOneThread.end() ||
         std::ranges::any_of(kAllowedPrefixes,
                             [&](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace

std::vector<std::string> task_environment(std::span<const std::string_view> environment,
                                          const TaskOptions& options) {
  std::vector<std::string> result;
  for (const std::string_view entry : environment) {
    const std::string_view name = name_of(entry);
    if (name.starts_with(kTaskPrefix)) continue;
    if (options.inherit_environment || allowed(name)) result.emplace_back(entry);
  }
  for (const std::string_view name : kOneThread) {
    const bool set = std::ranges::any_of(
        environment, [&](std::string_view entry) { return name_of(entry) == name; });
    if (!set) result.push_back(std::string(name) + "=1");
  }
  const auto tell = [&](const char* name, const std::string& value) {
    result.push_back(std::string(name) + "=" + value);
  };
  tell(kTaskEnvironment, "1");
  tell(kTaskProgramEnvironment, protocol::to_hex(options.program));
  tell(kTaskWorkerEnvironment, options.worker_name);
  tell(kTaskSlotEnvironment, std::to_string(options.slot));
  return result;
}

}  // namespace achilles::worker
