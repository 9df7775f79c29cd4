// World: real brokers, workers and clients, each with a link that can be attacked.
//
// Where there is more than one broker, every peer is told all of them, the first one first.
// Peers reach a broker directly or through a proxy of their own, on loopback or from a network
// namespace of their own. In namespaces every second peer has a proxy, so that both kinds of link
// are under attack at once.
//
// Thread ownership: one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/chaos/network.hpp"
#include "tests/chaos/party.hpp"
#include "tests/chaos/run_folder.hpp"
#include "tests/support/cluster_news.hpp"
#include "tests/support/tcp_proxy.hpp"

namespace achilles::tests {

enum class Mode : std::uint8_t { kLoopback, kProxy, kNamespaces };
inline constexpr std::array<std::string_view, 3> kModeNames = {"loopback", "proxy", "netns"};

struct WorldOptions {
  Mode mode = Mode::kProxy;
  std::uint64_t seed = 0;
  std::size_t brokers = 1;
  std::size_t workers = 3;
  std::uint32_t slots = 2;
  std::size_t clients = 2;
  std::chrono::milliseconds heartbeat{1000};
  /// Each client runs one job from start to end, of items of 50 to 150 ms.
  bool endless_jobs = false;
};

struct BrokerParty {
  Party party;
  Network::Party* net = nullptr;
  std::filesystem::path folder;
  std::string host;
  std::uint16_t port = 0;  ///< The same in all its lives.
  std::string endpoint = {};
};

/// The way from a peer to the brokers.
struct Link {
  Network::Party* net = nullptr;
  std::vector<std::unique_ptr<TcpProxy>> proxies;  ///< To each broker, or none.
  std::string endpoints;
};

struct WorkerParty {
  Party party;
  Link link;
  std::filesystem::path folder;
  int kills = 0;  ///< Each may leave a scratch folder behind.

  std::vector<pid_t> tasks() const { return processes_in(folder / "scratch"); }
};

/// One life of a client.
struct ClientLife {
  std::string tag;  ///< Names its files.
  std::uint64_t seed = 0;
};

struct ClientParty {
  Party party;
  Link link;
  ClientLife life = {};
};

class World {
 public:
  /// Returns once the first broker sees all workers; no client is started yet.
  World(const RunFolder& folder, const WorldOptions& options);
  ~World();

  const WorldOptions& options() const { return options_; }
  Network* network() { return network_ ? &*network_ : nullptr; }
  std::vector<std::unique_ptr<BrokerParty>>& brokers() { return brokers_; }
  std::vector<std::unique_ptr<WorkerParty>>& workers() { return workers_; }
  std::vector<std::unique_ptr<ClientParty>>& clients() { return clients_; }
  /// Also of clients that are gone.
  const std::vector<ClientLife>& client_lives() const { return lives_; }
  const std::filesystem::path& work_folder() const { return work_; }

  void start_broker(BrokerParty& broker);
  /// The latest start of any of them.
  std::chrono::steady_clock::time_point broker_started() const { return broker_started_; }
  void start_worker(WorkerParty& worker);
  /// A new life: with other jobs.
  void start_client(ClientParty& client);
  /// Runs one short job to its end, as a further client.
  void run_calm_client();

  /// Throws Failure when somebody ended who should not have.
  void check_alive();
  void sample();
  std::uint64_t tasks_rss_peak() const { return tasks_rss_peak_; }

  /// As the `achilles` command says; nothing when the broker does not answer.
  std::optional<ClusterNews> status(const BrokerParty& broker) const;
  /// Of the first one, where all should be when nothing is wrong.
  std::optional<ClusterNews> status() const { return status(*brokers_.front()); }
  /// What everyone wrote, and what the clients and their tasks noted.
  void save_logs(const std::filesystem::path& to) const;
  /// Everything that may tell why the world stands still.
  std::string describe();

 private:
  const NetworkNamespace* onlooker() const;
  void add_broker(std::size_t number);
  Link make_link(std::size_t number);
  Party::Launch launch_of(const Link& link, const std::filesystem::path& folder) const;
  void start_client_as(Party& party, const Link& link, const ClientLife& life, const char* what);

  WorldOptions options_;
  const RunFolder& folder_;
  std::filesystem::path work_;
  std::filesystem::path logs_;
  std::optional<Network> network_;
  std::vector<std::unique_ptr<BrokerParty>> brokers_;
  std::chrono::steady_clock::time_point broker_started_;
  std::vector<std::unique_ptr<WorkerParty>> workers_;
  std::vector<std::unique_ptr<ClientParty>> clients_;
  std::vector<ClientLife> lives_;
  Link calm_link_;
  std::uint64_t tasks_rss_peak_ = 0;
};

}  // namespace achilles::tests
