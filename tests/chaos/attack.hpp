// Attack: carries planned faults out on a world, and heals each when its time is over.
//
// A party suffers one fault of its process and one of its link at a time; a fault that finds no
// free target is skipped.
//
// Thread ownership: one thread.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/plan.hpp"
#include "tests/chaos/world.hpp"

namespace achilles::tests {

class Attack {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Attack(World& world) : world_(world), began_(Clock::now()) {}

  /// What can be done to this world on this machine.
  static Weapons weapons(Mode mode, const Network::Means& means);

  void carry_out(const Fault& fault);
  /// Heals what is over, starts what was killed again, collects who was told to leave. Throws
  /// Failure.
  void tick();
  /// Ends all faults now and returns when everyone is up again. Throws Failure.
  void heal_all();

  struct Count {
    int done = 0;
    int skipped = 0;
  };
  const std::array<Count, kFaultKinds>& counts() const { return counts_; }
  std::uint64_t tasks_killed() const { return tasks_killed_; }
  /// The latest faults and healings, a line each.
  std::string story() const;
  /// Called with each line of the story as it happens.
  void on_line(std::function<void(const std::string&)> tell) { tell_ = std::move(tell); }

 private:
  struct Healing {
    Clock::time_point due;
    std::string what;
    /// Frees the target when it has healed.
    std::string target;
    /// False: not yet; it is called again.
    std::function<bool()> heal;
  };
  using Heal = std::function<bool()>;

  bool attack_processes(const Fault& fault);
  bool attack_broker(const Fault& fault);
  bool attack_client(const Fault& fault);
  bool attack_worker(const Fault& fault);
  bool attack_proxy(const Fault& fault);
  bool attack_network(const Fault& fault);

  void stop_and_continue(const Fault& fault, Party& party);
  void drain(const Fault& fault, WorkerParty& worker);
  void stop_tasks(const Fault& fault, WorkerParty& worker, bool with_daemon);
  bool kill_tasks(const Fault& fault);

  Party* free_party(const Fault& fault, std::vector<Party*> parties) const;
  template <class Take>
  void each_link(Take take) const;
  std::vector<std::pair<std::string, TcpProxy*>> free_proxies() const;
  std::vector<std::pair<std::string, Network::Party*>> free_nets(const Fault& fault) const;
  bool is_free(const std::string& target) const { return !busy_.contains(target); }
  void heal_later(const Fault& fault, std::string target, const std::string& what, Heal heal);
  void tell(const std::string& line);

  World& world_;
  Clock::time_point began_;
  std::vector<Healing> healings_;
  std::set<std::string> busy_;
  std::array<Count, kFaultKinds> counts_{};
  std::uint64_t tasks_killed_ = 0;
  std::deque<std::string> story_;
  std::function<void(const std::string&)> tell_;
};

}  // namespace achilles::tests
