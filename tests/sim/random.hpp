// Chance, drawn from a seed: the same numbers on every machine and with every library.
#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <random>

#include "protocol/time.hpp"

namespace achilles::sim {

namespace p = achilles::protocol;
using namespace std::chrono_literals;

/// A good hash of a few numbers (splitmix64).
constexpr std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }
  p::Duration between(p::Duration least, p::Duration most) {
    return least + p::Duration(below(static_cast<std::uint64_t>((most - least).count()) + 1));
  }
  bool chance(std::uint64_t percent) { return below(100) < percent; }
  /// Which of them, each as often as its weight says. REQUIRES: one is not 0.
  template <std::size_t kSize>
  std::size_t weighted(const std::array<unsigned, kSize>& weights) {
    std::uint64_t left = below(std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}));
    std::size_t which = 0;
    while (left >= weights[which]) left -= weights[which++];
    return which;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace achilles::sim
