// What processes use: processor time and memory, as /proc tells.
//
// Thread-safety: functions without shared state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace achilles::bench {

/// A process and all that descend from it and live, the process itself first.
std::vector<pid_t> family_of(pid_t root);
/// Processor seconds of the family, with those of its dead that were waited for.
double cpu_seconds(pid_t root);
/// Resident memory of the family, in bytes. Pages that several share count once.
std::uint64_t resident_bytes(pid_t root);
/// The sum of the largest resident sizes that each of the family had since forget_peaks(). Pages
/// that several share count in each.
std::uint64_t peak_bytes(pid_t root);
void forget_peaks(pid_t root);

/// Processor seconds of each, by itself.
struct ProcessTime {
  pid_t pid = 0;
  double seconds = 0;
};
std::vector<ProcessTime> process_times(pid_t root);

}  // namespace achilles::bench
