#include "tests/support/cluster.hpp"

#include <csignal>
#include <stdexcept>

#include "tests/support/catch.hpp"

namespace achilles::tests {
namespace fs = std::filesystem;

Worker::Worker(const std::string& endpoint, std::string name, std::uint32_t slots,
               const std::map<std::string, std::string>& environment)
    : endpoint_(endpoint),
      name_(std::move(name)),
      slots_(slots),
      environment_(environment),
      folder_(std::make_unique<TemporaryFolder>()) {
  start();
}

void Worker::start() {
  process_.emplace(ACHILLES_WORKER_PROGRAM,
                   ProcessOptions{.arguments = {"--broker", endpoint_, "--name", name_, "--slots",
                                                std::to_string(slots_), "--cache", folder()},
                                  .environment = environment_,
                                  .folder = folder()});
}

void Worker::restart() {
  process_.reset();
  start();
}

std::vector<fs::path> Worker::programs() const {
  std::vector<fs::path> result;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder() / "programs", none)) {
    // A name that begins with a dot is a file that is being written.
    if (!entry.path().filename().string().starts_with('.')) result.push_back(entry.path());
  }
  return result;
}

std::vector<pid_t> Worker::tasks() const {
  return processes_in(folder() / "scratch");
}

Cluster::Cluster(ClusterOptions options) : options_(std::move(options)) {
  endpoint_ = start_broker(broker_, "tcp://127.0.0.1:0");
  if (options_.second_broker) second_endpoint_ = start_broker(second_, "tcp://127.0.0.1:0");
  for (int i = 0; i < options_.workers; ++i) add_worker();
}

Cluster::~Cluster() {
  for (auto& worker : workers_) worker->process().kill();
  if (broker_) broker_->kill();
  if (second_) second_->kill();
  const bool all_gone = eventually([&] { return tasks().empty(); });
  CHECK(all_gone);  // Task processes end with their workers.
}

std::string Cluster::start_broker(std::optional<Process>& broker,
                                  const std::string& endpoint) const {
  // Another process may hold the port for a moment: a connection that the system gave it to.
  std::vector<std::string> arguments{"--bind", endpoint, "--heartbeat-ms",
                                     std::to_string(options_.heartbeat.count())};
  arguments.insert(arguments.end(), options_.broker_arguments.begin(),
                   options_.broker_arguments.end());
  std::string listens_at;
  const bool listens = eventually([&] {
    broker.emplace(ACHILLES_BROKER_PROGRAM, ProcessOptions{.arguments = arguments});
    listens_at = broker->first_line();
    return listens_at.starts_with("tcp://");
  });
  if (!listens) throw std::runtime_error("achilles-broker did not start: " + broker->err());
  return listens_at;
}

void Cluster::kill_broker() {
  broker_->kill();
}

void Cluster::restart_broker() {
  kill_broker();
  start_broker(broker_, endpoint_);
}

Worker& Cluster::add_worker() {
  const std::string name = "w" + std::to_string(workers_.size());
  workers_.push_back(
      std::make_unique<Worker>(endpoint(), name, options_.slots, options_.worker_environment));
  return *workers_.back();
}

std::vector<pid_t> Cluster::tasks() const {
  std::vector<pid_t> result;
  for (const auto& worker : workers_) {
    for (const pid_t pid : worker->tasks()) result.push_back(pid);
  }
  return result;
}

ClusterNews Cluster::status() const {
  auto news = ask_cluster(endpoint());
  if (!news) throw std::runtime_error("achilles status got no answer from " + endpoint());
  return *news;
}

void Cluster::wait_for_workers(std::size_t count) const {
  REQUIRE(eventually([&] { return status().workers.size() == count; }));
}

std::string unused_endpoint() {
  Process broker(ACHILLES_BROKER_PROGRAM, {.arguments = {"--bind", "tcp://127.0.0.1:0"}});
  return broker.first_line();
}

}  // namespace achilles::tests
