// The broker's core with a shell of strings: in the world's inbox, out over its wires.
#pragma once

#include <deque>
#include <memory>

#include "broker/core/scheduler.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {

class BrokerActor final : public Actor {
 public:
  explicit BrokerActor(World& world) : world_(world) { restart(); }

  /// A new life that knows nothing of the former one.
  void restart();
  void receive(broker::Event event) { inbox_.push_back(std::move(event)); }
  bool idle() const { return scheduler_->idle(); }

  bool has_news() const override { return !inbox_.empty(); }
  std::optional<p::TimePoint> next_deadline() const override { return scheduler_->next_deadline(); }
  void turn() override;

 private:
  void carry_out(broker::Commands& commands);

  World& world_;
  std::unique_ptr<broker::Scheduler> scheduler_;
  std::uint64_t boots_ = 0;
  std::deque<broker::Event> inbox_;
};

}  // namespace achilles::sim
