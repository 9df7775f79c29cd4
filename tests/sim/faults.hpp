// The faults of a world: drawn when it begins, carried out when their time has come, and over when
// the last of them has healed.
#pragma once

#include <string>

#include "tests/sim/actor.hpp"
#include "tests/sim/fault_kinds.hpp"

namespace achilles::sim {

class ClientActor;
class World;
class WorkerActor;

class Faults {
 public:
  explicit Faults(World& world);

  /// When the last one has healed.
  p::TimePoint end() const { return end_; }
  /// What happened so far, one line each, for people; the first ones of very many.
  const std::string& story() const { return story_; }

 private:
  void strike(FaultKind kind);
  void strike_network(FaultKind kind);
  void strike_broker(FaultKind kind);
  void strike_client(FaultKind kind);
  void strike_worker(FaultKind kind);
  void stall(FaultKind kind, Actor& actor, const std::string& who, p::Duration longest);
  void tell(FaultKind kind, const std::string& what);
  /// The fault lasts until then.
  p::TimePoint lasts(p::Duration time);
  Party& any_party();

  World& world_;
  Random random_;
  p::TimePoint end_;
  std::string story_;
  std::uint64_t told_ = 0;
};

}  // namespace achilles::sim
