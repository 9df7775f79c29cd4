// What a cluster says of itself, as the `achilles` command prints it.
//
// No shared state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace achilles::tests {

/// What `achilles status --json` says.
struct WorkerNews {
  std::string name;
  std::string host;
  pid_t pid = 0;
  std::uint32_t slots = 0;
  std::uint64_t running_chunks = 0;
  std::uint64_t done_chunks = 0;
  std::uint64_t crashes = 0;
  std::string state;
};
struct JobNews {
  std::string label;
  std::string client;
  std::uint64_t done_items = 0;
  std::uint64_t running_items = 0;
  std::uint64_t queued_items = 0;
  std::uint64_t requeued_chunks = 0;
  bool operator==(const JobNews&) const = default;
};
struct ClusterNews {
  std::string endpoint;
  pid_t pid = 0;
  std::uint64_t clients = 0;
  std::uint64_t rejected_messages = 0;
  std::vector<WorkerNews> workers;
  std::vector<JobNews> jobs;
};

/// What the `achilles` command says; nothing when it fails.
std::optional<ClusterNews> ask_cluster(const std::string& endpoint);

}  // namespace achilles::tests
