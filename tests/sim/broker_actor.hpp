// The broker's core with a shell of strings: in the world's inbox, out over its wires.
#pragma once

#include <memory>

#include "broker/core/scheduler.hpp"
#include "tests/sim/actor.hpp"
#include "tests/sim/event_queue.hpp"
#include "tests/sim/queue_mirror.hpp"

namespace achilles::sim {

class World;

/// Told when the broker's core begins to work, and when it has ended.
class Meter {
 public:
  virtual ~Meter() = default;
  virtual void begins() = 0;
  virtual void ends() = 0;
  /// Makes the event the core's own, before it begins.
  virtual void own(broker::Event& event) = 0;
};

class BrokerActor final : public Actor {
 public:
  BrokerActor(World& world, std::size_t index);

  /// A new life, from then on, that knows nothing of the former one.
  void restart(p::TimePoint begins);
  /// It says BYE to all, waits for their answers, and is started again after a while.
  void stop(p::Duration down);
  bool stopping() const { return down_.has_value(); }
  void receive(broker::Event event) { inbox_.push(std::move(event)); }
  bool idle() const { return scheduler_->idle(); }
  void measure(Meter* meter) { meter_ = meter; }
  /// What it has queued or handed out.
  std::uint64_t chunks() const { return mirror_.chunks(); }

  bool has_news() const override { return !inbox_.empty(); }
  std::optional<p::TimePoint> next_deadline() const override { return scheduler_->next_deadline(); }
  void turn() override;

 private:
  /// All that the core does in one turn. Says which commands come from its judging others.
  std::pair<std::size_t, std::size_t> work();
  void check();
  void carry_out(std::size_t judged_from, std::size_t judged_to);

  World& world_;
  std::size_t index_;  ///< In the list that all have.
  std::unique_ptr<broker::Scheduler> scheduler_;
  QueueMirror mirror_;
  std::uint64_t boots_ = 0;
  std::optional<p::Duration> down_;  ///< While it stops.
  EventQueue<broker::Event> inbox_;
  std::vector<broker::Event> batch_;
  broker::Commands out_;
  broker::Commands carried_out_;
  std::uint64_t steps_ = 0;
  Meter* meter_ = nullptr;
};

}  // namespace achilles::sim
