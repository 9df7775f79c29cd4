#include "tests/chaos/network.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "tests/support/process.hpp"

namespace achilles::tests {
namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";
constexpr const char* kBridge = "hub";
constexpr const char* kLink = "eth0";
/// Of the network, which nothing outside of it sees.
constexpr const char* kAddresses = "10.77.0.";
constexpr std::size_t kPartiesMax = 250;

std::filesystem::path find_program(const std::string& name) {
  // Ordinary users' $PATH seldom has the system's folders.
  for (const char* folder : {"/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"}) {
    auto path = std::filesystem::path(folder) / name;
    if (std::filesystem::exists(path)) return path;
  }
  throw std::runtime_error(name + " is not installed");
}

}  // namespace

NetworkNamespace::NetworkNamespace() {
  int error = 0;
  // A thread of its own leaves, so that we stay where we are.
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) == 0) fd_ = ::open(kOwnNamespace, O_RDONLY | O_CLOEXEC);
    error = errno;
  }).join();
  if (fd_ < 0) throw std::system_error(error, std::generic_category(), "a network namespace");
}

NetworkNamespace::~NetworkNamespace() {
  ::close(fd_);
}

std::string NetworkNamespace::file() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_);
}

void NetworkNamespace::enter() const {
  if (::setns(fd_, CLONE_NEWNET) != 0) {
    throw std::system_error(errno, std::generic_category(), "entering a network namespace");
  }
}

void run_inside(const NetworkNamespace* where, const std::function<void()>& function) {
  if (where == nullptr) return function();
  std::exception_ptr failure;
  std::thread([&] {
    try {
      where->enter();
      function();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

std::string run_command(const NetworkNamespace& where, const std::vector<std::string>& command) {
  const auto program = find_program(command.at(0));
  std::optional<Process> started;
  run_inside(&where, [&] {
    started.emplace(program, ProcessOptions{.arguments = {command.begin() + 1, command.end()}});
  });
  Process& process = *started;
  const auto ending = process.wait();
  if (ending == kSucceeded) return process.out();
  std::string line;
  for (const auto& word : command) line += word + " ";
  throw std::runtime_error(line + "failed: " + (ending ? process.err() : "it does not end"));
}

Network::Network() {
  run_command(hub_, {"ip", "link", "add", kBridge, "type", "bridge"});
  run_command(hub_, {"ip", "addr", "add", std::string(kAddresses) + "254/24", "dev", kBridge});
  run_command(hub_, {"ip", "link", "set", kBridge, "up"});
  run_command(hub_, {"ip", "link", "set", "lo", "up"});
}

Network::~Network() = default;

Network::Party& Network::add_party() {
  if (parties_.size() == kPartiesMax) throw std::runtime_error("too many parties in a network");
  parties_.push_back(std::make_unique<Party>());
  Party& party = *parties_.back();
  const std::string number = std::to_string(parties_.size());
  party.address_ = kAddresses + number;
  party.bridge_end_ = "to" + number;
  run_command(hub_, {"ip", "link", "add", party.bridge_end_, "type", "veth", "peer", "name", kLink,
                     "netns", party.place_.file()});
  run_command(hub_, {"ip", "link", "set", party.bridge_end_, "master", kBridge, "up"});
  run_command(party.place_, {"ip", "addr", "add", party.address_ + "/24", "dev", kLink});
  run_command(party.place_, {"ip", "link", "set", kLink, "up"});
  run_command(party.place_, {"ip", "link", "set", "lo", "up"});
  return party;
}

void Network::drop_incoming(const Party& party) const {
  run_command(party.place_, {"iptables", "-w", "-A", "INPUT", "-i", kLink, "-j", "DROP"});
}
void Network::drop_outgoing(const Party& party) const {
  run_command(party.place_, {"iptables", "-w", "-A", "OUTPUT", "-o", kLink, "-j", "DROP"});
}
void Network::stop_dropping(const Party& party) const {
  run_command(party.place_, {"iptables", "-w", "-F"});
}

void Network::slow_down(const Party& party, std::uint32_t kilobits_per_second) const {
  const std::string rate = std::to_string(kilobits_per_second) + "kbit";
  const auto limit = [&](const NetworkNamespace& where, const std::string& link) {
    run_command(where, {"tc", "qdisc", "replace", "dev", link, "root", "tbf", "rate", rate, "burst",
                        "16kb", "latency", "300ms"});
  };
  limit(party.place_, kLink);
  limit(hub_, party.bridge_end_);
}
void Network::stop_slowing(const Party& party) const {
  run_command(party.place_, {"tc", "qdisc", "del", "dev", kLink, "root"});
  run_command(hub_, {"tc", "qdisc", "del", "dev", party.bridge_end_, "root"});
}

void Network::unplug(const Party& party) const {
  run_command(hub_, {"ip", "link", "set", party.bridge_end_, "down"});
}
void Network::plug_in(const Party& party) const {
  run_command(hub_, {"ip", "link", "set", party.bridge_end_, "up"});
}

Network::Means Network::probe() {
  Means means;
  const auto works = [&](const char* what, const auto& attempt) {
    try {
      attempt();
      return true;
    } catch (const std::exception& error) {
      if (!means.missing.empty()) means.missing += "; ";
      means.missing += std::string(what) + ": " + error.what();
      while (means.missing.ends_with('\n')) means.missing.pop_back();
      return false;
    }
  };
  means.namespaces = works("network namespaces", [] { Network().add_party(); });
  if (!means.namespaces) return means;
  Network network;
  const Party& party = network.add_party();
  means.drop = works("iptables", [&] {
    network.drop_incoming(party);
    network.drop_outgoing(party);
    network.stop_dropping(party);
  });
  means.slow = works("tc tbf", [&] {
    network.slow_down(party, 1000);
    network.stop_slowing(party);
  });
  return means;
}

}  // namespace achilles::tests
