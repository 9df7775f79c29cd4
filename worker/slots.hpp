// How many slots a worker offers when it is not told: the cores it may really use.
//
// The scheduler's affinity mask counts, and so do the quotas of the control groups it runs in: a
// container with two cores' worth of time on a machine of 64 gets two slots.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace achilles::worker {

/// At least 1.
std::uint32_t usable_cores();

/// The pure parts, for tests. A quota is in cores, rounded up; nothing where there is none.

/// The contents of cpu.max: "max 100000", "150000 100000".
std::optional<std::uint32_t> cores_of_cpu_max(std::string_view text);
/// The contents of cpu.cfs_quota_us and cpu.cfs_period_us: "-1", "150000".
std::optional<std::uint32_t> cores_of_cfs(std::string_view quota, std::string_view period);

struct CgroupPaths {
  std::optional<std::string> v2;   ///< "/user.slice/app"
  std::optional<std::string> cpu;  ///< The path in version 1's cpu hierarchy.
};
/// The contents of /proc/self/cgroup.
CgroupPaths cgroup_paths(std::string_view text);
/// "/a/b" is {"/a/b", "/a", ""}: a quota of any ancestor counts too.
std::vector<std::string> with_ancestors(std::string path);

}  // namespace achilles::worker
