// Network: a small network of namespaces on this machine: one for each party, all on one bridge in
// a namespace of its own. Links can be cut, both ways or one way, slowed and unplugged.
//
// Nothing of it has a name outside: the kernel takes namespaces, links and rules away with the last
// process and descriptor that hold them, however the run ends.
//
// Thread ownership: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace achilles::tests {

class NetworkNamespace {
 public:
  /// A new one, without any link. Throws std::system_error when the kernel does not allow it.
  NetworkNamespace();
  ~NetworkNamespace();
  NetworkNamespace(const NetworkNamespace&) = delete;
  NetworkNamespace& operator=(const NetworkNamespace&) = delete;

  /// For commands that take a file: /proc/PID/fd/N.
  std::string file() const;
  /// For good: back is not always allowed.
  void enter() const;

 private:
  int fd_ = -1;
};

/// Calls the function in a thread inside the namespace, where what it starts and opens is then,
/// too; without a namespace, directly.
void run_inside(const NetworkNamespace* where, const std::function<void()>& function);

class Network {
 public:
  /// What this machine lets us do.
  struct Means {
    bool namespaces = false;
    bool drop = false;    ///< iptables
    bool slow = false;    ///< tc tbf
    std::string missing;  ///< What does not work, and what it said.
  };
  /// Tries each on a network of its own.
  static Means probe();

  class Party {
   public:
    const std::string& address() const { return address_; }
    const NetworkNamespace& place() const { return place_; }

   private:
    friend class Network;
    NetworkNamespace place_;
    std::string address_;
    std::string bridge_end_;  ///< The name of its link's other end, on the bridge.
  };

  Network();
  ~Network();
  /// Lives as long as the network.
  Party& add_party();
  const NetworkNamespace& hub() const { return hub_; }

  void drop_incoming(const Party& party) const;
  void drop_outgoing(const Party& party) const;
  void stop_dropping(const Party& party) const;
  /// Both ways.
  void slow_down(const Party& party, std::uint32_t kilobits_per_second) const;
  void stop_slowing(const Party& party) const;
  void unplug(const Party& party) const;
  void plug_in(const Party& party) const;

 private:
  NetworkNamespace hub_;
  std::vector<std::unique_ptr<Party>> parties_;
};

/// Runs a program of the system there; throws std::runtime_error with what it said when it fails.
std::string run_command(const NetworkNamespace& where, const std::vector<std::string>& command);

}  // namespace achilles::tests
