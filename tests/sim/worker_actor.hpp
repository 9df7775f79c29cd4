// The worker's core, a cache of programs, and imitated task processes: each works on its chunks one
// after another, in virtual time, as their job's plan says.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "tests/sim/world.hpp"
#include "worker/core/agent.hpp"

namespace achilles::sim {

class WorkerActor final : public Party {
 public:
  WorkerActor(World& world, const WorkerPlan& plan, std::uint64_t id);

  /// Ends this daemon and its task processes at once; a new one comes after a while.
  void replace(std::uint64_t new_id, p::Duration after);
  bool idle() const { return agent_ == nullptr || agent_->idle(); }
  /// Idle task processes end now and then.
  void end_an_idle_task();

  void receive(p::Message message) override {
    if (agent_) inbox_.push_back(worker::BrokerMessage{std::move(message)});
  }
  bool has_news() const override { return !inbox_.empty(); }
  std::optional<p::TimePoint> next_deadline() const override;
  void turn() override;

 private:
  struct Task {
    p::ProgramId program;
    std::set<p::JobId> knows;
    std::set<p::JobId> skips;
    std::deque<p::Assignment> holds;
    bool ready = false;
    bool running = false;
    bool hung_up = false;
    p::ItemIndex running_item = 0;
  };

  void start(std::uint64_t id);
  /// Later, unless this daemon was replaced or the task process ended meanwhile.
  void later(p::Duration delay, worker::TaskId id, std::function<void(Task&)> what);
  void step(worker::Event event);
  void carry_out();
  void obey(worker::Command& command);
  void tell(worker::TaskId id, p::Message message);
  void say(worker::TaskId id, const p::Message& message);
  void run_next(worker::TaskId id, Task& task);
  void finish(worker::TaskId id, Task& task);
  void exit(worker::TaskId id, std::string how);
  void load(p::ProgramId program);
  void store(const p::ProgramPart& part);

  World& world_;
  WorkerPlan plan_;
  std::unique_ptr<worker::Agent> agent_;
  std::uint64_t life_ = 0;
  std::uint64_t id_ = 0;
  bool left_ = false;
  std::map<worker::TaskId, Task> tasks_;
  std::set<p::ProgramId> cache_;
  std::map<p::ProgramId, std::uint64_t> stored_;
  std::deque<worker::Event> inbox_;
  worker::Commands out_;
};

}  // namespace achilles::sim
