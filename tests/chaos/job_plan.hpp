// JobPlan: one job of a chaos client, drawn from a seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/chaos/workload.hpp"

namespace achilles::tests {

struct JobPlan {
  enum class Way : std::uint8_t { kImap, kImapUnordered, kTwoImaps, kMap };

  std::uint32_t number = 0;
  Way way = Way::kImap;
  Mixture mixture = Mixture::kVaried;
  std::uint64_t count = 0;  ///< Fewer when the run ends before.
  std::uint64_t chunksize = 0;
  std::uint32_t crash_limit = 0;
  /// The reader leaves the loop there.
  std::optional<std::uint64_t> leave_after;
  bool leave_at_end = false;  ///< Of the run, without waiting for what is under way.
  /// The reader rests after so many results, for so long.
  std::uint64_t rest_every = 0;
  std::chrono::milliseconds rest{0};
};

/// `number` below 2^31: the second of two imaps has the number with the highest bit set.
JobPlan draw_job(std::uint64_t seed, std::uint32_t number);
/// Short, without any trouble.
JobPlan calm_job(std::uint32_t number);

/// Goes on until the run ends.
JobPlan endless_job(std::uint32_t number);

std::string to_string(const JobPlan& plan);

}  // namespace achilles::tests
