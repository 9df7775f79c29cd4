// What the clients of a chaos run compute: items whose nature (slow, large, failing, deadly) and
// whose result follow from a seed, so that client and driver know the serial answer.
//
// Pure but for run_item, which is called in task processes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "achilles/values.hpp"

namespace achilles::tests {

/// A job's mixture of items.
enum class Mixture : std::uint8_t {
  kQuick,    ///< Nothing but short items.
  kVaried,   ///< Also slow ones, large inputs and results.
  kFailing,  ///< Also items that throw.
  kDeadly,   ///< Also items that kill their task process.
  kSteady,   ///< Nothing but items of 50 to 150 ms.
};

/// How an item ends, as seen by the client.
enum class Fate : std::uint8_t { kValue, kThrows, kDies };

struct Nature {
  Fate fate = Fate::kValue;
  std::chrono::milliseconds takes{0};
  std::uint32_t input_bytes = 0;
  std::uint32_t result_bytes = 0;
};

struct Item {
  std::uint64_t seed = 0;
  std::uint32_t job = 0;
  std::uint8_t mixture = 0;
  std::uint64_t index = 0;
  std::string load;
  MSGPACK_DEFINE(seed, job, mixture, index, load)
};

struct Outcome {
  std::uint64_t index = 0;
  std::uint64_t value = 0;
  std::string load;
  MSGPACK_DEFINE(index, value, load)
};

Nature nature_of(std::uint64_t seed, std::uint32_t job, Mixture mixture, std::uint64_t index);
Item make_item(std::uint64_t seed, std::uint32_t job, Mixture mixture, std::uint64_t index);
/// What run_item returns for it, without the load.
std::uint64_t value_of(std::uint64_t seed, std::uint32_t job, std::uint64_t index);
/// What is wrong with it; nothing when it is the item's serial result.
std::optional<std::string> flaw_in(const Outcome& outcome, const Item& item);
/// What a throwing item says.
std::string complaint_of(std::uint64_t index);

/// One execution, as it stands in the file that tasks append to.
struct Execution {
  std::uint32_t job = 0;
  std::uint32_t check = 0;  ///< ~job: a torn or foreign record is seen.
  std::uint64_t index = 0;
};

/// Notes in the file that it has begun, then does what the item's nature says.
Outcome run_item(const std::string& executions_file, const Item& item);

}  // namespace achilles::tests
