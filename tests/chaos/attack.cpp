#include "tests/chaos/attack.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <sstream>
#include <utility>

#include "tests/chaos/watch.hpp"

namespace achilles::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kStoryLines = 60;

std::string link_name(const Party& party) {
  return "the link of " + party.name();
}
std::string link_name(const Party& party, const BrokerParty& broker) {
  return link_name(party) + " to " + broker.party.name();
}

}  // namespace

Weapons Attack::weapons(Mode mode, const Network::Means& means) {
  Weapons weapons;
  weapons.proxies = mode != Mode::kLoopback;
  if (mode != Mode::kNamespaces) return weapons;
  weapons.drop = means.drop;
  weapons.slow = means.slow;
  weapons.unplug = true;
  return weapons;
}

void Attack::tell(const std::string& line) {
  std::array<char, 32> time{};
  const std::chrono::duration<double> since = Clock::now() - began_;
  std::snprintf(time.data(), time.size(), "%8.2f s  ", since.count());
  story_.push_back(time.data() + line);
  if (story_.size() > kStoryLines) story_.pop_front();
  if (tell_) tell_(story_.back());
}

std::string Attack::story() const {
  std::string text;
  for (const auto& line : story_) text += line + "\n";
  return text;
}

void Attack::heal_later(const Fault& fault, std::string target, const std::string& what,
                        Heal heal) {
  tell(to_string(fault) + ": " + target);
  busy_.insert(target);
  healings_.push_back({Clock::now() + fault.lasts, what, std::move(target), std::move(heal)});
}

void Attack::carry_out(const Fault& fault) {
  const bool done = attack_processes(fault) || attack_proxy(fault) || attack_network(fault);
  auto& count = counts_[static_cast<std::size_t>(fault.kind)];
  ++(done ? count.done : count.skipped);
}

void Attack::tick() {
  check_interrupted();
  // Healing may take a while, and a healing may not wait for others.
  const auto now = Clock::now();
  auto healings = std::exchange(healings_, {});
  std::erase_if(healings, [&](const Healing& healing) {
    if (healing.due > now || !healing.heal()) return false;
    busy_.erase(healing.target);
    if (!healing.what.empty()) tell(healing.what);
    return true;
  });
  healings_ = std::move(healings);
  world_.check_alive();
}

void Attack::heal_all() {
  for (auto& healing : healings_) healing.due = Clock::now();
  await("the end of all faults", [&] {
    tick();
    return healings_.empty();
  });
}

Party* Attack::free_party(const Fault& fault, std::vector<Party*> parties) const {
  std::erase_if(parties,
                [&](const Party* party) { return !party->running() || !is_free(party->name()); });
  return parties.empty() ? nullptr : parties[fault.target % parties.size()];
}

void Attack::stop_and_continue(const Fault& fault, Party& party) {
  party.process().signal(SIGSTOP);
  heal_later(fault, party.name(), party.name() + " goes on", [&party] {
    party.process().signal(SIGCONT);
    return true;
  });
}

bool Attack::attack_processes(const Fault& fault) {
  return attack_broker(fault) || attack_client(fault) || attack_worker(fault);
}

bool Attack::attack_broker(const Fault& fault) {
  const bool meant = fault.kind == FaultKind::kKillBroker || fault.kind == FaultKind::kStopBroker ||
                     fault.kind == FaultKind::kLeaveBroker;
  std::vector<Party*> parties;
  for (auto& party : world_.brokers()) parties.push_back(&party->party);
  Party* broker = meant ? free_party(fault, parties) : nullptr;
  if (broker == nullptr) return false;
  const auto at = std::ranges::find(world_.brokers(), broker, [](auto& b) { return &b->party; });
  const auto restart = [this, &party = **at] {
    world_.start_broker(party);
    return true;
  };
  switch (fault.kind) {
    case FaultKind::kKillBroker:
      broker->kill();
      heal_later(fault, broker->name(), broker->name() + " is started again", restart);
      return true;
    case FaultKind::kLeaveBroker:
      broker->process().signal(SIGTERM);
      broker->expect_end();
      heal_later(fault, broker->name(), broker->name() + " is started again", [broker, restart] {
        const auto ending = broker->take_ending();
        if (!ending) return false;
        if (ending != kSucceeded) {
          throw Failure(broker->name() + " left badly:\n" + broker->log_tail());
        }
        return restart();
      });
      return true;
    default:
      stop_and_continue(fault, *broker);
      return true;
  }
}

bool Attack::attack_client(const Fault& fault) {
  if (fault.kind != FaultKind::kKillClient && fault.kind != FaultKind::kStopClient) return false;
  std::vector<Party*> parties;
  for (auto& client : world_.clients()) parties.push_back(&client->party);
  Party* party = free_party(fault, parties);
  if (party == nullptr) return false;
  if (fault.kind == FaultKind::kStopClient) {
    stop_and_continue(fault, *party);
    return true;
  }
  const auto at = std::ranges::find(world_.clients(), party, [](auto& c) { return &c->party; });
  ClientParty& client = **at;
  party->kill();
  heal_later(fault, party->name(), "another client comes", [this, &client] {
    world_.start_client(client);
    return true;
  });
  return true;
}

bool Attack::attack_worker(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::kKillTask:
      return kill_tasks(fault);
    case FaultKind::kKillWorker:
    case FaultKind::kStopWorker:
    case FaultKind::kStopMachine:
    case FaultKind::kStopTask:
    case FaultKind::kDrainWorker:
    case FaultKind::kDrainWorkerTwice:
      break;
    default:
      return false;
  }
  std::vector<Party*> parties;
  for (auto& worker : world_.workers()) parties.push_back(&worker->party);
  Party* party = free_party(fault, parties);
  if (party == nullptr) return false;
  WorkerParty& worker =
      **std::ranges::find(world_.workers(), party, [](auto& w) { return &w->party; });
  switch (fault.kind) {
    case FaultKind::kKillWorker:
      party->kill();
      ++worker.kills;
      if (fault.amount > 0) fs::remove_all(worker.folder / "programs");
      heal_later(fault, party->name(), party->name() + " is started again", [this, &worker] {
        world_.start_worker(worker);
        return true;
      });
      return true;
    case FaultKind::kStopWorker:
      stop_and_continue(fault, *party);
      return true;
    case FaultKind::kStopMachine:
    case FaultKind::kStopTask:
      stop_tasks(fault, worker, fault.kind == FaultKind::kStopMachine);
      return true;
    default:
      if (!takes_sigterm(party->pid())) return false;  // It was started just now.
      drain(fault, worker);
      return true;
  }
}

void Attack::drain(const Fault& fault, WorkerParty& worker) {
  worker.party.process().signal(SIGTERM);
  const bool twice = fault.kind == FaultKind::kDrainWorkerTwice;
  worker.party.expect_end();
  heal_later(fault, worker.party.name(), worker.party.name() + " has left and is started again",
             [this, &worker, twice, told = 1]() mutable {
               if (twice && told == 1) {
                 worker.party.process().signal(SIGTERM);
                 told = 2;
               }
               const auto ending = worker.party.take_ending();
               if (!ending) return false;
               // The second signal may find it gone already.
               if (ending != kSucceeded && !(twice && ending == Ending{1, 0})) {
                 std::ostringstream what;
                 what << worker.party.name() << " was asked to leave and ended with " << *ending
                      << ":\n"
                      << worker.party.log_tail();
                 throw Failure(what.str());
               }
               world_.start_worker(worker);
               return true;
             });
}

void Attack::stop_tasks(const Fault& fault, WorkerParty& worker, bool with_daemon) {
  auto tasks = worker.tasks();
  if (!with_daemon && tasks.size() > 1) tasks = {tasks[fault.target % tasks.size()]};
  if (with_daemon) worker.party.process().signal(SIGSTOP);
  for (const pid_t pid : tasks) ::kill(pid, SIGSTOP);
  heal_later(fault, worker.party.name(), worker.party.name() + " goes on",
             [&worker, tasks, with_daemon] {
               // The numbers of those that are gone may be others' by now.
               const auto now = worker.tasks();
               for (const pid_t pid : tasks) {
                 if (std::ranges::count(now, pid) > 0) ::kill(pid, SIGCONT);
               }
               if (with_daemon) worker.party.process().signal(SIGCONT);
               return true;
             });
}

bool Attack::kill_tasks(const Fault& fault) {
  auto& worker = *world_.workers()[fault.target % world_.workers().size()];
  auto tasks = worker.tasks();
  if (tasks.empty()) return false;
  // Now and then all of a worker's at once.
  if (fault.target % 5 != 0) tasks = {tasks[fault.target % tasks.size()]};
  for (const pid_t pid : tasks) ::kill(pid, SIGKILL);
  tasks_killed_ += tasks.size();
  tell(std::string(name_of(fault.kind)) + ": " + std::to_string(tasks.size()) + " of " +
       worker.party.name());
  return true;
}

template <class Take>
void Attack::each_link(Take take) const {
  for (auto& worker : world_.workers()) take(worker->party, worker->link);
  for (auto& client : world_.clients()) take(client->party, client->link);
}

std::vector<std::pair<std::string, TcpProxy*>> Attack::free_proxies() const {
  std::vector<std::pair<std::string, TcpProxy*>> proxies;
  each_link([&](const Party& party, const Link& link) {
    for (std::size_t i = 0; i < link.proxies.size(); ++i) {
      auto name = link_name(party, *world_.brokers()[i]);
      if (is_free(name)) proxies.emplace_back(std::move(name), link.proxies[i].get());
    }
  });
  return proxies;
}

std::vector<std::pair<std::string, Network::Party*>> Attack::free_nets(const Fault& fault) const {
  std::vector<std::pair<std::string, Network::Party*>> nets;
  const auto consider = [&](const Party& party, Network::Party* net) {
    if (is_free(link_name(party))) nets.emplace_back(link_name(party), net);
  };
  if (fault.kind == FaultKind::kDropBroker) {
    for (auto& broker : world_.brokers()) consider(broker->party, broker->net);
  } else {
    each_link([&](const Party& party, const Link& link) { consider(party, link.net); });
  }
  return nets;
}

bool Attack::attack_proxy(const Fault& fault) {
  ProxyWeather weather;
  bool lasting = true;
  switch (fault.kind) {
    case FaultKind::kReset:
    case FaultKind::kResetMidway:
      lasting = false;
      break;
    case FaultKind::kRefuse:
      weather.refuse = true;
      break;
    case FaultKind::kHoldBoth:
      weather.hold_requests = weather.hold_answers = true;
      break;
    case FaultKind::kHoldRequests:
      weather.hold_requests = true;
      break;
    case FaultKind::kHoldAnswers:
      weather.hold_answers = true;
      break;
    case FaultKind::kDelay:
      weather.delay = std::chrono::milliseconds(fault.amount);
      break;
    case FaultKind::kThrottle:
      weather.bytes_per_second = fault.amount;
      break;
    default:
      return false;
  }
  const auto proxies = free_proxies();
  if (proxies.empty()) return false;
  const auto& [name, target] = proxies[fault.target % proxies.size()];
  TcpProxy& proxy = *target;
  if (!lasting) {
    if (fault.kind == FaultKind::kReset) {
      proxy.reset();
    } else {
      proxy.reset_after(fault.amount);
    }
    tell(std::string(name_of(fault.kind)) + " " + std::to_string(fault.amount) + ": " + name);
    return true;
  }
  if (weather.refuse) proxy.reset();
  proxy.set_weather(weather);
  heal_later(fault, name, name + " is well again", [&proxy] {
    proxy.set_weather({});
    return true;
  });
  return true;
}

bool Attack::attack_network(const Fault& fault) {
  Network* network = world_.network();
  if (network == nullptr) return false;
  const auto nets = free_nets(fault);
  if (nets.empty()) return false;
  const auto& [name, target] = nets[fault.target % nets.size()];
  Network::Party& party = *target;
  Heal heal = [network, &party] {
    network->stop_dropping(party);
    return true;
  };
  switch (fault.kind) {
    case FaultKind::kDropBoth:
    case FaultKind::kDropBroker:
      network->drop_incoming(party);
      network->drop_outgoing(party);
      break;
    case FaultKind::kDropIncoming:
      network->drop_incoming(party);
      break;
    case FaultKind::kDropOutgoing:
      network->drop_outgoing(party);
      break;
    case FaultKind::kSlowLink:
      network->slow_down(party, fault.amount);
      heal = [network, &party] {
        network->stop_slowing(party);
        return true;
      };
      break;
    case FaultKind::kUnplug:
      network->unplug(party);
      heal = [network, &party] {
        network->plug_in(party);
        return true;
      };
      break;
    default:
      return false;
  }
  heal_later(fault, name, name + " is well again", std::move(heal));
  return true;
}

}  // namespace achilles::tests
