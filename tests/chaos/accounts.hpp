// Accounts: what the clients of a round and their tasks have written down, and whether it agrees.
//
// Reads files only; no shared state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/chaos/world.hpp"

namespace achilles::tests {

struct Accounts {
  std::uint64_t jobs = 0;       ///< That ended.
  std::uint64_t delivered = 0;  ///< Items of those.
  std::uint64_t executed = 0;   ///< Different items, also of jobs that did not end.
  std::uint64_t executions = 0;
  std::uint64_t executions_max = 0;  ///< Of one item.
  std::uint64_t crashed = 0;         ///< Items that ended as TaskCrashed.
  std::uint64_t innocent = 0;        ///< Of those, items that do not die by themselves.

  double executions_mean() const;
};

/// Throws Failure when an item was delivered without having been executed, or crashed without
/// having been tried as often as it says.
Accounts read_accounts(const std::filesystem::path& work, const std::vector<ClientLife>& lives);

/// How many results the client has seen.
std::uint64_t progress_of(const std::filesystem::path& work, const std::string& tag);

}  // namespace achilles::tests
