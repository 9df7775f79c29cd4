// What happened in a world, or in many, in numbers.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/time.hpp"
#include "tests/sim/fault_kinds.hpp"

namespace achilles::sim {

struct Tally {
  std::uint64_t worlds = 0;
  protocol::Duration virtual_time{};
  std::uint64_t broker_turns = 0;
  std::uint64_t steps = 0;
  std::uint64_t checks = 0;  ///< Of a core's tables.
  std::uint64_t messages = 0;
  std::uint64_t coded_messages = 0;
  std::uint64_t runs = 0;       ///< Chunks that task processes began.
  std::uint64_t item_runs = 0;  ///< Items that they began.
  std::uint64_t repeated_item_runs = 0;
  std::uint64_t second_attempts = 0;
  std::uint64_t recalled_chunks = 0;  ///< Workers were asked for them.
  std::uint64_t taken_back = 0;  ///< Task processes that what they had not begun was taken from.
  std::uint64_t deaths = 0;      ///< Of task processes that ran an item.
  std::uint64_t delivered_chunks = 0;
  std::uint64_t delivered_items = 0;
  std::uint64_t condemned_items = 0;  ///< Innocent ones on which too many task processes died.
  std::uint64_t failed_jobs = 0;
  std::uint64_t impatient_drains = 0;  ///< Workers that had to be told a second time to end.
  FaultCounts faults{};

  Tally& operator+=(const Tally& other);
  /// Several lines.
  std::string describe() const;
};

}  // namespace achilles::sim
