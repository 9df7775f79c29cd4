// Worlds of a given size, drawn from a seed.
#pragma once

#include <cstdint>
#include <optional>

#include "tests/sim/plan.hpp"

namespace achilles::sim {

struct Range {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
};

/// What is not said is drawn.
struct WorldOptions {
  std::uint64_t workers = 500;
  std::uint64_t chunks = 20'000;
  Range slots{1, 4};
  std::optional<std::uint64_t> clients;
  std::optional<unsigned> faults;
  unsigned brokers = 1;
  FaultWeights fault_weights = usual_weights();
  Range latency_us{50, 2000};
  /// A world's work takes about so long, evenly shared.
  std::optional<p::Duration> lasts;
  std::optional<std::uint64_t> codec_every;
  std::optional<std::uint64_t> check_every;
};

Plan drawn_world(std::uint64_t seed, const WorldOptions& options);

}  // namespace achilles::sim
