// Leaks: what a world holds when it is idle, before and after the faults, and what it leaves
// behind.
//
// Thread ownership: one thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/chaos/world.hpp"

namespace achilles::tests {

class Leaks {
 public:
  /// Before any client has come.
  explicit Leaks(World& world);
  /// After all clients have left: the daemons hold no more descriptors than fresh ones, and a
  /// worker no other processes than its warm task processes. Throws Failure.
  void check_idle(World& world) const;

 private:
  std::vector<std::size_t> broker_descriptors_;  ///< By broker.
  std::size_t worker_descriptors_;
};

/// Asks workers and broker to leave. They must do so with success, and leave no process, no file in
/// $TMPDIR and no scratch folder. Throws Failure.
void check_farewell(World& world, const RunFolder& folder);

}  // namespace achilles::tests
