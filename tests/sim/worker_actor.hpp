// The worker's core, a cache of programs, and imitated task processes: each works on its chunks one
// after another, in virtual time, as their job's plan says.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "tests/sim/actor.hpp"
#include "tests/sim/answer_ledger.hpp"
#include "tests/sim/event_queue.hpp"
#include "tests/sim/plan.hpp"
#include "worker/core/agent.hpp"

namespace achilles::sim {

class World;
class WorkerActor;

/// Something happens in or to a task process, unless its daemon was replaced or it ended before.
struct TaskStep {
  enum class What : std::uint8_t { kTold, kDone, kDies, kEnds };
  What what = What::kTold;
  WorkerActor* worker = nullptr;
  std::uint64_t life = 0;
  worker::TaskId task;
  p::Message message = p::StatusRequest{};  ///< What it is told.
};

class WorkerActor final : public Party {
 public:
  WorkerActor(World& world, const WorkerPlan& plan);

  // ---- faults
  /// Ends this daemon and its task processes at once; a new one comes after a while.
  void crash(p::Duration down);
  /// SIGTERM; a second one stops it at once. When it has left, a new one comes after a while.
  void interrupt(p::Duration down);
  /// A task process ends: one that is idle, or one that works (false: there is none).
  bool end_an_idle_task();
  bool kill_a_busy_task();
  void be_slow(unsigned times, p::TimePoint until) { slow_times_ = times, slow_until_ = until; }
  /// Task processes die before they are ready; at whatever they run.
  void be_broken(p::TimePoint until) { broken_until_ = until; }
  void be_deadly(p::TimePoint until) { deadly_until_ = until; }

  bool up() const { return agent_ != nullptr; }
  bool idle() const {
    return agent_ == nullptr ||
           (agent_->idle() && ledger_.holds_nothing() && ledger_.knows_no_job() && inbox_.empty());
  }
  std::string describe() const;
  void happen(TaskStep step);

  void receive(p::Message message) override {
    if (agent_) inbox_.push(worker::BrokerMessage{std::move(message)});
  }
  void broker_there(std::size_t broker) override {
    if (agent_) inbox_.push(worker::BrokerThere{broker});
  }
  p::Duration far_away() const override { return plan_.far_away; }
  bool has_news() const override { return agent_ && !inbox_.empty(); }
  std::optional<p::TimePoint> next_deadline() const override;
  void turn() override;

 private:
  struct Task {
    p::ProgramId program;
    std::set<p::JobId> knows;
    std::map<p::JobId, p::Duration> skips;  ///< Since when, in the worker's awake time.
    struct Held : p::Assignment {
      std::uint64_t turn = 0;  ///< Among all that it was ever told of, from 1 on.
    };
    std::deque<Held> holds;
    std::uint64_t told = 0;
    std::uint64_t come_to = 0;   ///< The turn of the one begun last.
    std::uint64_t left_out = 0;  ///< Up to this turn, what was not begun was taken back.
    bool ready = false;
    bool running = false;
    bool hung_up = false;
    p::ItemIndex running_item = 0;
    p::TimePoint began{};
  };

  void start();
  void start_after(p::Duration down);
  /// This daemon is gone, with all its task processes.
  void end_daemon(bool lingers);
  /// Later, unless this daemon was replaced or the task process ended meanwhile.
  void later(p::Duration delay, worker::TaskId id, std::function<void(Task&)> what);
  void plan_step(p::Duration delay, TaskStep::What what, worker::TaskId id);
  void news(worker::Event event);
  void step(worker::Event event);
  void count(const p::Message& message);
  void take_back(const worker::TakeBackFromTask& command);
  void carry_out(bool judging);
  void obey(worker::Command& command, bool judging);
  void leave();
  void check_drain();
  void start_task(const worker::StartTask& start);
  void tell(worker::TaskId id, p::Message message);
  void say(worker::TaskId id, p::Message message);
  void run_next(worker::TaskId id, Task& task);
  void finish(worker::TaskId id, Task& task);
  void exit(worker::TaskId id, std::string how);
  void load(p::ProgramId program);
  void store(const p::ProgramPart& part);
  p::Duration slowed(p::Duration time) const;

  World& world_;
  WorkerPlan plan_;
  std::unique_ptr<worker::Agent> agent_;
  AnswerLedger ledger_;
  std::uint64_t life_ = 0;
  std::uint64_t id_ = 0;
  int interrupts_ = 0;
  /// Since when nothing runs although it was told to end, in its awake time.
  std::optional<p::Duration> drained_since_;
  p::Duration down_{};
  std::map<worker::TaskId, Task> tasks_;
  std::set<p::ProgramId> cache_;
  std::map<p::ProgramId, std::uint64_t> stored_;
  EventQueue<worker::Event> inbox_;
  worker::Commands out_;
  worker::Commands carried_out_;
  std::uint64_t steps_ = 0;
  unsigned slow_times_ = 1;
  p::TimePoint slow_until_{};
  p::TimePoint broken_until_{};
  p::TimePoint deadly_until_{};
};

}  // namespace achilles::sim
