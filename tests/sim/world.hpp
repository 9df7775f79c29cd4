// The three real cores together, under virtual time: clients, one broker, workers with imitated
// task processes, and a network between them. Whatever happens is drawn from one seed.
//
// Every message goes through the codec. After each step of a core its invariants are checked.
// A world is over when every user's program is; then nothing may be left anywhere.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/events.hpp"
#include "protocol/messages.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/timeline.hpp"

namespace achilles::sim {

class BrokerActor;
class ClientActor;
class WorkerActor;

/// Whoever has time and deadlines. An actor that is stalled (a stopped process, a suspended
/// machine) is not called; what came for it meanwhile is read first when it goes on.
class Actor {
 public:
  Actor() = default;
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;
  virtual ~Actor() = default;
  /// Something waits in its inbox.
  virtual bool has_news() const = 0;
  virtual std::optional<p::TimePoint> next_deadline() const = 0;
  /// Takes in all that waits, then does what is due.
  virtual void turn() = 0;

  p::TimePoint stalled_until{};
};

/// A client or a worker: an actor with a connection to the broker.
class Party : public Actor {
 public:
  virtual void receive(p::Message message) = 0;
  broker::PeerId peer;  ///< Of its present connection.
};

class World {
 public:
  explicit World(Plan plan);
  ~World();

  /// Until all users' programs are over and nothing is left. Fails when that takes longer.
  void run(p::Duration at_most);
  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t steps() const { return steps_; }

  // ---- for the actors
  Timeline timeline;
  Random random;
  p::TimePoint now() const { return timeline.now; }
  const Plan& plan() const { return plan_; }
  [[noreturn]] void fail(const std::string& what) const;
  void demand(bool holds, const char* what) const {
    if (!holds) fail(what);
  }
  void note_step() { ++steps_; }
  void note_delivered(std::uint64_t items) { delivered_ += items; }

  /// A new connection; what is under way on the former one is lost.
  void connect(Party& party);
  void send_to_broker(const Party& party, const p::Message& message);
  void send_to_peer(broker::PeerId peer, const p::Message& message);
  /// What arrives at the far end of a wire.
  p::Message through_codec(const p::Message& message) const;

  void add_job(p::JobId id, const JobPlan& plan) { jobs_.emplace(id, plan); }
  const JobPlan& job(p::JobId id) const { return jobs_.at(id); }
  p::ProgramPart program_part(const p::NeedProgram& need) const;
  /// How often a task process has died on the item; counts this time.
  std::uint32_t count_crash(p::JobId id, p::ItemIndex item) { return crashes_[{id, item}]++; }

 private:
  struct Wire {
    Party* party = nullptr;
    bool cut = false;  ///< Swallows everything, and nobody is told.
    p::TimePoint to_broker{};
    p::TimePoint to_peer{};
  };

  void schedule_faults();
  void fault();
  void restart_broker();
  void turn_all();
  bool over() const;
  std::optional<p::TimePoint> next_time() const;
  /// When the next message on this way arrives: never before an earlier one.
  p::Duration arrival(p::TimePoint& last);
  Party& any_party();

  Plan plan_;
  std::unique_ptr<BrokerActor> broker_;
  std::vector<std::unique_ptr<ClientActor>> clients_;
  std::vector<std::unique_ptr<WorkerActor>> workers_;
  std::vector<Actor*> actors_;
  std::map<broker::PeerId, Wire> wires_;
  std::uint64_t last_peer_ = 0;
  std::map<p::JobId, JobPlan> jobs_;
  std::map<std::pair<p::JobId, p::ItemIndex>, std::uint32_t> crashes_;
  std::uint64_t delivered_ = 0;
  std::uint64_t steps_ = 0;
  std::string story_;  ///< The faults so far, for people.
};

}  // namespace achilles::sim
