#include "worker/slots.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>
#include <thread>

namespace achilles::worker {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  const auto word = text.substr(0, text.find_first_of(kBlanks));
  text.remove_prefix(word.size());
  return word;
}

std::optional<std::int64_t> number(std::string_view text) {
  const std::string_view word = next_word(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> rounded_up(std::optional<std::int64_t> quota,
                                        std::optional<std::int64_t> period) {
  constexpr std::int64_t cores_max = 1 << 20;
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  const std::int64_t cores = *quota / *period + (*quota % *period != 0 ? 1 : 0);
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(cores, 1, cores_max));
}

/// Empty when it is not there; as far as it can be read.
std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();  // A bare iterator over the buffer would throw what read() answers.
  return text.str();
}

std::optional<std::uint32_t> fewer(std::optional<std::uint32_t> a, std::optional<std::uint32_t> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

std::optional<std::uint32_t> quota_cores() {
  const CgroupPaths paths = cgroup_paths(contents("/proc/self/cgroup"));
  std::optional<std::uint32_t> cores;
  if (paths.v2) {
    for (const std::string& path : with_ancestors(*paths.v2)) {
      cores = fewer(cores, cores_of_cpu_max(contents("/sys/fs/cgroup" + path + "/cpu.max")));
    }
  }
  if (paths.cpu) {
    for (const std::string& path : with_ancestors(*paths.cpu)) {
      for (const char* mount : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
        const std::string folder = mount + path;
        cores = fewer(cores, cores_of_cfs(contents(folder + "/cpu.cfs_quota_us"),
                                          contents(folder + "/cpu.cfs_period_us")));
      }
    }
  }
  return cores;
}

std::uint32_t affinity_cores() {
  // The kernel's mask may be longer than the usual type: ask with more room until it fits.
  for (int cores = 1024; cores <= 1 << 20; cores *= 4) {
    cpu_set_t* const set = CPU_ALLOC(static_cast<std::size_t>(cores));
    if (!set) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(cores));
    const bool known = ::sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    const bool too_short = !known && errno == EINVAL;
    CPU_FREE(set);
    if (count > 0) return static_cast<std::uint32_t>(count);
    if (!too_short) break;
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

std::uint32_t usable_cores() {
  return std::max(1U, *fewer(affinity_cores(), quota_cores()));
}

std::optional<std::uint32_t> cores_of_cpu_max(std::string_view text) {
  const auto quota = number(next_word(text));
  return rounded_up(quota, number(text));
}

std::optional<std::uint32_t> cores_of_cfs(std::string_view quota, std::string_view period) {
  return rounded_up(number(quota), number(period));
}

CgroupPaths cgroup_paths(std::string_view text) {
  CgroupPaths paths;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    // 4:cpu,cpuacct:/user.slice
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string path(line.substr(second + 1));
    if (controllers.empty() && line.starts_with("0:")) paths.v2 = path;
    const std::string listed = "," + std::string(controllers) + ",";
    if (listed.find(",cpu,") != listed.npos) paths.cpu = path;
  }
  return paths;
}

std::vector<std::string> with_ancestors(std::string path) {
  while (path.ends_with('/')) path.pop_back();
  std::vector<std::string> all = {path};
  while (!path.empty()) {
    const std::size_t slash = path.rfind('/');
    path.resize(slash == path.npos ? 0 : slash);
    all.push_back(path);
  }
  return all;
}

}  // namespace achilles::worker
