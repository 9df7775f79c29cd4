// The three real cores together, under virtual time: clients, a broker or several, workers with
// imitated task processes, and a network between them. Whatever happens is drawn from one seed: the
// same plan gives the same run, message by message (digest() tells).
//
// Safety is demanded at every step: of the cores their invariants, of the actors what the protocol
// promises. When the faults are over the network heals; then all programs must come to their end
// within the plan's patience, and after them nothing may be left anywhere.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tests/sim/actor.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/tally.hpp"
#include "tests/sim/timeline.hpp"
#include "tests/sim/worker_actor.hpp"

namespace achilles::sim {

class BrokerActor;
class ClientActor;
class Faults;

/// A promise or an invariant is broken: what, when, and what had happened.
class Broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An actor's deadline may have come.
struct Wake {
  Actor* actor = nullptr;
};

using Happening = std::variant<std::function<void()>, Parcel, TaskStep, Wake>;

/// A job that was opened, and what its items went through.
struct JobRecord {
  JobPlan plan;
  std::vector<std::uint16_t> runs;                ///< Of each item, begun.
  std::map<p::ItemIndex, std::uint32_t> crashes;  ///< As its fate says.
  std::map<p::ItemIndex, std::uint32_t> deaths;   ///< Of task processes that ran it.
};

class World {
 public:
  explicit World(Plan plan);
  ~World();

  /// Until all users' programs are over and nothing is left. Throws Broken.
  void run() { run(plan_.patience()); }
  void run(p::Duration at_most);

  /// Called with each message and fault, for people.
  std::function<void(p::TimePoint, std::string_view)> on_story;
  Tally tally() const;
  std::uint64_t digest() const { return network_.digest(); }
  std::uint64_t delivered() const { return tally_.delivered_items; }

  // ---- for the actors
  Timeline<Happening> timeline;
  Random random;
  p::TimePoint now() const { return timeline.now; }
  const Plan& plan() const { return plan_; }
  Network& network() { return network_; }
  BrokerActor& broker(std::size_t index = 0) { return *brokers_.at(index); }
  [[noreturn]] void fail(const std::string& what) const;
  void demand(bool holds, const char* what) const {
    if (!holds) fail(what);
  }
  void has_news(Actor& actor);
  /// The actor stands still until then; if its machine does, nothing reaches it before either.
  void stall(Actor& actor, p::TimePoint until, bool machine);
  /// The broker's process is gone; another one comes after a while.
  void replace_broker(std::size_t index, p::Duration down);
  /// So planned: that long after the beginning.
  void restart_broker_after(p::Duration time, p::Duration down) {
    restarts_planned_ = true;
    timeline.after(time, [this, down] { replace_broker(0, down); });
  }
  /// One step of many: its tables are looked through.
  bool to_be_checked(std::uint64_t& steps);
  Tally& count() { return tally_; }
  bool tells_story() const { return static_cast<bool>(on_story); }
  void tell(std::string_view what) const { on_story(now(), what); }

  JobRecord& open_job(p::JobId id, const JobPlan& plan);
  JobRecord& job(p::JobId id) { return jobs_.at(id); }
  p::ProgramPart program_part(const p::NeedProgram& need) const;
  std::uint64_t draw_id() { return ++last_id_; }
  void note_run(JobRecord& job, p::ItemIndex item);
  /// Nobody is taken for lost after less.
  p::Duration silence_min() const {
    return plan_.brokers > 1 ? p::kSuspectAfter * p::kHeartbeatInterval : kSilenceMin;
  }
  /// No fault, nothing twice: much more can be demanded.
  bool was_calm() const;

 private:
  friend class Faults;

  void happen(Happening happening);
  void turn_ready();
  void plan_wake(Actor& actor);
  std::vector<Party*> parties() const;
  bool over() const;
  bool at_rest() const;
  /// All programs are over, nothing is left, and nothing but heartbeats is sent.
  bool came_to_rest(p::Duration at_most);

  Plan plan_;
  Tally tally_;
  Network network_;
  std::vector<std::unique_ptr<BrokerActor>> brokers_;
  std::vector<std::unique_ptr<ClientActor>> clients_;
  std::vector<std::unique_ptr<WorkerActor>> workers_;
  std::unique_ptr<Faults> faults_;
  std::vector<Actor*> ready_;
  std::map<p::JobId, JobRecord> jobs_;
  std::uint64_t last_id_ = 0;
  bool restarts_planned_ = false;

  std::optional<p::TimePoint> over_since_;
  p::TimePoint rest_since_{};
  std::uint64_t busy_messages_ = 0;
  p::TimePoint next_rest_check_{};
};

}  // namespace achilles::sim
