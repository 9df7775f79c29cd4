// A cluster of real processes: achilles-broker and achilles-workers on this machine, over TCP.
//
// Each worker has an empty folder of its own as its cache and working folder. When the Cluster goes
// away, all is killed, and it is checked that no task process lives on.
//
// Thread ownership: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/cluster_news.hpp"
#include "tests/support/process.hpp"

namespace achilles::tests {

class Worker {
 public:
  Worker(const std::string& endpoint, std::string name, std::uint32_t slots,
         const std::map<std::string, std::string>& environment);

  const std::string& name() const { return name_; }
  Process& process() { return *process_; }
  pid_t pid() const { return process_->pid(); }
  const std::filesystem::path& folder() const { return folder_->path(); }
  /// The programs in its cache.
  std::vector<std::filesystem::path> programs() const;
  /// Its task processes, also when the worker itself is gone.
  std::vector<pid_t> tasks() const;
  /// Starts achilles-worker again, in the same folder.
  void restart();

 private:
  void start();

  std::string endpoint_;
  std::string name_;
  std::uint32_t slots_;
  std::map<std::string, std::string> environment_;
  std::unique_ptr<TemporaryFolder> folder_;
  std::optional<Process> process_;
};

struct ClusterOptions {
  int workers = 2;
  std::uint32_t slots = 2;
  /// Peers are given up for lost after five of these.
  std::chrono::milliseconds heartbeat{1000};
  std::map<std::string, std::string> worker_environment = {};
  std::vector<std::string> broker_arguments = {};
  /// There is another broker, named after the first.
  bool second_broker = false;
};

class Cluster {
 public:
  /// Returns once the broker listens; workers may still be on their way.
  explicit Cluster(ClusterOptions options = {});
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// For clients and workers. Of two brokers both.
  std::string endpoint() const { return endpoint_ + (second_ ? "," + second_endpoint_ : ""); }
  const std::string& second_endpoint() const { return second_endpoint_; }
  Process& broker() { return *broker_; }
  Worker& worker(std::size_t index) { return *workers_.at(index); }
  std::size_t worker_count() const { return workers_.size(); }
  Worker& add_worker();
  /// All task processes of all workers.
  std::vector<pid_t> tasks() const;

  void kill_broker();
  /// On the same port.
  void restart_broker();

  ClusterNews status() const;
  /// Fails the test when the broker does not see that many workers in time.
  void wait_for_workers(std::size_t count) const;

 private:
  /// Answers its endpoint.
  std::string start_broker(std::optional<Process>& broker, const std::string& endpoint) const;

  ClusterOptions options_;
  std::string endpoint_;
  std::string second_endpoint_;
  std::optional<Process> broker_;
  std::optional<Process> second_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

/// An endpoint where nobody listens, and which the system did not give out a moment ago.
std::string unused_endpoint();

}  // namespace achilles::tests
