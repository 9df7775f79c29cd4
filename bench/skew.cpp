#include "bench/skew.hpp"

#include <cmath>
#include <ctime>

namespace achilles::bench {
namespace {

constexpr std::uint64_t kLongTasks = 8;
constexpr double kLongSeconds = 0.1;
constexpr double kMeanSeconds = 0.002;

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

double burn(double seconds) {
  const double end = thread_seconds() + seconds;
  while (thread_seconds() < end) {
  }
  return seconds;
}

std::vector<double> skewed_lengths(std::uint64_t count) {
  std::vector<double> lengths;
  std::uint64_t state = 1;
  const double short_mean =
      (kMeanSeconds * static_cast<double>(count) - kLongTasks * kLongSeconds) /
      static_cast<double>(count - kLongTasks);
  for (std::uint64_t i = 0; i + kLongTasks < count; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const double uniform = (static_cast<double>(state >> 11) + 0.5) * 0x1p-53;
    lengths.push_back(-std::log(uniform) * short_mean);
  }
  lengths.insert(lengths.end(), kLongTasks, kLongSeconds);
  return lengths;
}

}  // namespace achilles::bench
