#include "bench/usage.hpp"

#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include "tests/support/process.hpp"

namespace achilles::bench {
namespace fs = std::filesystem;
namespace {

struct Stat {
  pid_t parent = 0;
  double own = 0;      ///< Processor seconds.
  double of_dead = 0;  ///< Of children that were waited for.
};

/// Nothing: it has ended.
std::optional<Stat> stat_of(pid_t pid) {
  const std::string text = tests::read_file("/proc/" + std::to_string(pid) + "/stat");
  // The name, in parentheses, may hold anything; what follows it are numbers.
  const auto end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string skipped;
  Stat stat;
  fields >> skipped >> stat.parent;
  for (int field = 5; field <= 13; ++field) fields >> skipped;
  double user = 0, system = 0, dead_user = 0, dead_system = 0;
  fields >> user >> system >> dead_user >> dead_system;
  if (!fields) return std::nullopt;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  stat.own = (user + system) / ticks;
  stat.of_dead = (dead_user + dead_system) / ticks;
  return stat;
}

std::uint64_t memory_of_family(pid_t root, const std::string& field) {
  std::uint64_t sum = 0;
  for (const pid_t pid : family_of(root)) sum += tests::memory_of(pid, field);
  return sum;
}

}  // namespace

std::vector<pid_t> family_of(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/proc", none)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
    if (const auto stat = stat_of(pid)) children.emplace(stat->parent, pid);
  }
  std::vector<pid_t> family{root};
  for (std::size_t i = 0; i < family.size(); ++i) {
    const auto [begin, end] = children.equal_range(family[i]);
    for (auto at = begin; at != end; ++at) family.push_back(at->second);
  }
  return family;
}

double cpu_seconds(pid_t root) {
  double sum = 0;
  for (const pid_t pid : family_of(root)) {
    if (const auto stat = stat_of(pid)) sum += stat->own + stat->of_dead;
  }
  return sum;
}

std::uint64_t resident_bytes(pid_t root) {
  return memory_of_family(root, "Pss");
}

std::uint64_t peak_bytes(pid_t root) {
  return memory_of_family(root, "VmHWM");
}

void forget_peaks(pid_t root) {
  for (const pid_t pid : family_of(root)) {
    std::ofstream("/proc/" + std::to_string(pid) + "/clear_refs") << "5";
  }
}

std::vector<ProcessTime> process_times(pid_t root) {
  std::vector<ProcessTime> times;
  for (const pid_t pid : family_of(root)) {
    if (const auto stat = stat_of(pid)) times.push_back({pid, stat->own});
  }
  return times;
}

}  // namespace achilles::bench
