// Skew: tasks of very different lengths, the longest last (W5).
//
// Thread-safe: nothing is shared.
#pragma once

#include <cstdint>
#include <vector>

namespace achilles::bench {

/// Computes for so many seconds of processor time, whatever else the machine does meanwhile.
double burn(double seconds);

/// Seconds: exponentially distributed but for eight long ones at the end; the same each time.
std::vector<double> skewed_lengths(std::uint64_t count);

}  // namespace achilles::bench
