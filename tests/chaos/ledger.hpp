// Ledger: what came back of one job, item by item, and whether that is exact: each index once, its
// serial result, in order where order was promised.
//
// Thread ownership: one thread.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "achilles/error.hpp"
#include "tests/chaos/workload.hpp"

namespace achilles::tests {

/// A promise was broken; what() says which.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Ledger {
 public:
  Ledger(std::uint64_t seed, std::uint32_t job, Mixture mixture, bool ordered)
      : seed_(seed), job_(job), mixture_(mixture), ordered_(ordered) {}

  /// All throw Violation.
  void note_value(std::uint64_t index, const Outcome& outcome);
  void note_error(std::uint64_t index, const RemoteError& error);
  /// All items below `count` must have come.
  void finish(std::uint64_t count) const;

  std::uint64_t items() const { return items_; }
  std::uint64_t errors() const { return errors_; }
  /// Of all values; finish() compares it with a serial run.
  std::uint64_t checksum() const { return checksum_; }

  struct Crash {
    std::uint64_t index = 0;
    std::uint32_t attempts = 0;
  };
  /// Items that ended as TaskCrashed. Whether one that is not deadly may have is for the driver to
  /// say, who kills task processes.
  const std::vector<Crash>& crashes() const { return crashes_; }

 private:
  void note_index(std::uint64_t index);
  [[noreturn]] void fail(std::uint64_t index, const std::string& what) const;

  std::uint64_t seed_;
  std::uint32_t job_;
  Mixture mixture_;
  bool ordered_;
  std::vector<bool> seen_;
  std::uint64_t items_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t checksum_ = 0;
  std::vector<Crash> crashes_;
};

/// The share of one item in a job's checksum.
std::uint64_t checksum_of(std::uint64_t index, std::uint64_t value);

}  // namespace achilles::tests
