// What the broker's core costs in a world: processor time for a chunk and for heartbeats, heap for
// a worker and for a chunk.
//
// What is said to the broker is copied through the codec onto its account first, as its shell would
// read it from a socket; what it says is taken from it at once.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/broker_actor.hpp"

namespace achilles::sim {

class World;

/// A measured world begins so: the workers come, then wait for a while.
inline constexpr p::Duration kWorkersHaveCome = 3s;
inline constexpr p::Duration kFirstJob = 12s;

class BrokerMeter final : public Meter {
 public:
  explicit BrokerMeter(World& world);
  ~BrokerMeter() override;
  BrokerMeter(const BrokerMeter&) = delete;
  BrokerMeter& operator=(const BrokerMeter&) = delete;

  void begins() override;
  void ends() override;
  void own(broker::Event& event) override;
  /// Several lines. REQUIRES: the world has run.
  std::string describe() const;

 private:
  World& world_;
  double calibrated_ns_ = 0;  ///< What looking at the clock twice costs.
  std::uint64_t began_ns_ = 0;
  double joining_ns_ = 0;  ///< While the workers come,
  double waiting_ns_ = 0;  ///< while nothing but heartbeats is sent,
  double working_ns_ = 0;  ///< from the first job on.
  std::int64_t bytes_before_ = 0;
  std::int64_t idle_bytes_ = 0;  ///< With all workers, before the first job.
  std::int64_t peak_bytes_ = 0;  ///< When most chunks were there.
  std::uint64_t peak_chunks_ = 0;
};

}  // namespace achilles::sim
