#include "tests/chaos/world.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "tests/chaos/mixed.hpp"
#include "tests/chaos/watch.hpp"

namespace achilles::tests {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLoopbackAddress = "127.0.0.1";

/// No process of the run reads the name, but the log does.
std::string numbered(const char* name, std::size_t number) {
  return name + std::to_string(number);
}

}  // namespace

World::World(const RunFolder& folder, const WorldOptions& options)
    : options_(options),
      folder_(folder),
      work_(folder.path() / "work"),
      logs_(folder.path() / "logs") {
  for (const auto& made : {work_, logs_}) fs::create_directory(made);
  if (options.mode == Mode::kNamespaces) network_.emplace();
  for (std::size_t i = 0; i < options.brokers; ++i) add_broker(i);
  for (std::size_t i = 0; i < options.workers; ++i) {
    const auto name = numbered("w", i);
    workers_.push_back(std::unique_ptr<WorkerParty>(new WorkerParty{
        .party = Party(name, logs_), .link = make_link(i), .folder = folder.path() / name}));
    start_worker(*workers_.back());
  }
  for (std::size_t i = 0; i < options.clients; ++i) {
    clients_.push_back(std::unique_ptr<ClientParty>(
        new ClientParty{.party = Party(numbered("client", i), logs_), .link = make_link(i)}));
  }
  calm_link_ = make_link(0);
  await("all workers at the broker", [&] {
    check_alive();
    const auto news = status();
    return news && news->workers.size() == workers_.size();
  });
}

World::~World() = default;

Link World::make_link(std::size_t number) {
  Link link;
  if (network_) link.net = &network_->add_party();
  const bool through_proxies = options_.mode == Mode::kProxy || (network_ && number % 2 == 1);
  for (const auto& broker : brokers_) {
    std::string endpoint = broker->endpoint;
    if (through_proxies) {
      const auto enter = [net = link.net] {
        if (net != nullptr) net->place().enter();
      };
      link.proxies.push_back(std::make_unique<TcpProxy>(broker->host, broker->port, enter));
      endpoint = link.proxies.back()->endpoint();
    }
    link.endpoints += (link.endpoints.empty() ? "" : ",") + endpoint;
  }
  return link;
}

Party::Launch World::launch_of(const Link& link, const fs::path& folder) const {
  Party::Launch launch;
  launch.folder = folder;
  launch.temporary = folder_.temporary();
  if (link.net != nullptr) launch.place = &link.net->place();
  return launch;
}

void World::add_broker(std::size_t number) {
  const auto name = options_.brokers == 1 ? "broker" : numbered("b", number);
  auto* net = network_ ? &network_->add_party() : nullptr;
  brokers_.push_back(std::unique_ptr<BrokerParty>(
      new BrokerParty{.party = Party(name, logs_),
                      .net = net,
                      .folder = folder_.path() / name,
                      .host = net != nullptr ? net->address() : kLoopbackAddress}));
  start_broker(*brokers_.back());
}

void World::start_broker(BrokerParty& broker) {
  Party::Launch launch;
  launch.program = ACHILLES_BROKER_PROGRAM;
  launch.folder = broker.folder;
  launch.temporary = folder_.temporary();
  if (broker.net != nullptr) launch.place = &broker.net->place();
  launch.arguments = {
      "--bind",           "tcp://" + broker.host + ":" + std::to_string(broker.port),
      "--heartbeat-ms",   std::to_string(options_.heartbeat.count()),
      "--client-grace-s", std::to_string(kClientGrace.count())};
  if (broker.net != nullptr) launch.arguments.push_back("--insecure");
  // Another process may hold the port for a moment: a connection that the system gave it to.
  await(broker.party.name() + " to listen on port " + std::to_string(broker.port), [&] {
    broker.party.start(launch);
    broker.endpoint = broker.party.process().first_line();
    return broker.endpoint.starts_with("tcp://");
  });
  broker_started_ = std::chrono::steady_clock::now();
  const auto port = broker.endpoint.substr(broker.endpoint.rfind(':') + 1);
  broker.port = static_cast<std::uint16_t>(std::stoi(port));
}

void World::start_worker(WorkerParty& worker) {
  auto launch = launch_of(worker.link, worker.folder);
  launch.program = ACHILLES_WORKER_PROGRAM;
  launch.arguments = {"--broker", worker.link.endpoints,          "--name",  worker.party.name(),
                      "--slots",  std::to_string(options_.slots), "--cache", worker.folder};
  if (worker.link.net != nullptr) launch.arguments.push_back("--insecure");
  worker.party.start(launch);
}

void World::start_client(ClientParty& client) {
  const auto number = lives_.size();
  client.life = {numbered("c", number), mixed(options_.seed, number, 0x636c69)};
  lives_.push_back(client.life);
  start_client_as(client.party, client.link, client.life,
                  options_.endless_jobs ? "endless" : "jobs");
}

void World::start_client_as(Party& party, const Link& link, const ClientLife& life,
                            const char* what) {
  auto launch = launch_of(link, work_);
  launch.program = CHAOS_CLIENT_PROGRAM;
  launch.arguments = {link.endpoints, std::to_string(life.seed), work_.string(), life.tag, what};
  party.start(launch);
}

void World::run_calm_client() {
  Party calm("calm", logs_);
  start_client_as(calm, calm_link_, {"calm", options_.seed}, "calm");
  calm.expect_end();
  std::optional<Ending> ending;
  await("a short job after all faults", [&] {
    check_alive();
    ending = calm.take_ending();
    return ending.has_value();
  });
  if (ending != kSucceeded) throw Failure("a client failed after all faults:\n" + calm.log_tail());
}

void World::check_alive() {
  for (auto& broker : brokers_) broker->party.check_alive();
  for (auto& worker : workers_) worker->party.check_alive();
  for (auto& client : clients_) client->party.check_alive();
}

void World::sample() {
  for (auto& broker : brokers_) broker->party.sample();
  for (auto& worker : workers_) {
    worker->party.sample();
    for (const pid_t pid : worker->tasks()) {
      tasks_rss_peak_ = std::max(tasks_rss_peak_, memory_of(pid, "VmHWM"));
    }
  }
  for (auto& client : clients_) client->party.sample();
}

const NetworkNamespace* World::onlooker() const {
  return network_ ? &network_->hub() : nullptr;
}

std::optional<ClusterNews> World::status(const BrokerParty& broker) const {
  std::optional<ClusterNews> news;
  run_inside(onlooker(), [&] { news = ask_cluster(broker.endpoint); });
  return news;
}

void World::save_logs(const fs::path& to) const {
  fs::create_directories(to);
  const auto save = [&](const Party& party) {
    std::ofstream(to / (party.name() + ".log")) << party.log();
  };
  for (const auto& broker : brokers_) save(broker->party);
  for (const auto& worker : workers_) save(worker->party);
  for (const auto& client : clients_) save(client->party);
  fs::copy(work_, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

std::string World::describe() {
  std::ostringstream text;
  run_inside(onlooker(), [&] {
    for (const auto& broker : brokers_) {
      Process command(ACHILLES_CLI_PROGRAM, {.arguments = {"status", "--json", "--broker",
                                                           broker->endpoint, "--timeout", "10"}});
      command.wait();
      text << "---- achilles status of " << broker->party.name() << "\n"
           << command.out() << command.err();
    }
  });
  text << "---- processes\n";
  for (const pid_t pid : folder_.processes()) {
    text << describe_process(pid) << ", in " << read_file("/proc/" + std::to_string(pid) + "/wchan")
         << ", descriptors " << descriptors_of(pid).count << "\n";
  }
  const auto say = [&](const Party& party, const Link* link) {
    text << "---- " << party.name();
    if (link != nullptr && link->proxies.empty()) text << ", directly";
    if (link != nullptr) {
      for (const auto& proxy : link->proxies) {
        text << ", through a proxy with " << proxy->connections_open() << " connections";
      }
    }
    text << "\n" << party.log_tail();
  };
  for (const auto& broker : brokers_) say(broker->party, nullptr);
  for (const auto& worker : workers_) say(worker->party, &worker->link);
  for (const auto& client : clients_) say(client->party, &client->link);
  return text.str();
}

}  // namespace achilles::tests
