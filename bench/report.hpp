// What was measured, as a table for people and as JSON for programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/workload.hpp"

namespace achilles::bench {

/// One round of one workload at one place.
struct Round {
  Sample sample;
  double cpu_seconds = 0;  ///< Of all processes.
  std::uint64_t peak_bytes = 0;
};

/// All rounds of one workload at one place.
struct Row {
  Workload workload;
  std::string place;
  std::vector<Round> rounds = {};
};

/// REQUIRES of both: each row has a round.
std::string table_of(const std::vector<Row>& rows);
std::string json_of(const std::vector<Row>& rows, const Settings& settings);

}  // namespace achilles::bench
