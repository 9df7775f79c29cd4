#include "tests/sim/world.hpp"

#include <algorithm>
#include <utility>

#include "protocol/limits.hpp"
#include "tests/sim/broker_actor.hpp"
#include "tests/sim/client_actor.hpp"
#include "tests/sim/faults.hpp"

namespace achilles::sim {
namespace {

/// After the last user's program is over and the last fault has healed: what ran for it ends, lost
/// peers are noticed, closed jobs are forgotten.
constexpr p::Duration kToRest = 20s;
/// The same where a client may have left without a word: the broker waits for it.
constexpr p::Duration kToRestWithoutClient = kToRest + kClientGrace + 10s;
/// At rest nothing but heartbeats is sent, for so long.
constexpr p::Duration kQuiet = 3s;
constexpr p::Duration kRestCheckEvery = 100ms;
/// A core that has something to do again and again at one moment never rests.
constexpr int kTurnsAtOnceMax = 10'000;

}  // namespace

World::World(Plan plan) : random(plan.seed * 4 + 1), plan_(std::move(plan)), network_(*this) {
  for (unsigned i = 0; i < plan_.brokers; ++i) {
    brokers_.push_back(std::make_unique<BrokerActor>(*this, i));
  }
  faults_ = std::make_unique<Faults>(*this);
  for (const auto& worker : plan_.workers) {
    workers_.push_back(std::make_unique<WorkerActor>(*this, worker));
  }
  for (const auto& client : plan_.clients) {
    clients_.push_back(std::make_unique<ClientActor>(*this, client));
  }
}

World::~World() = default;

void World::fail(const std::string& what) const {
  std::string text = "seed " + std::to_string(plan_.seed) + ": " + what + "\nat " +
                     std::to_string(timeline.elapsed() / 1us) + " us, after:" + faults_->story();
  for (const auto& client : clients_) text += "\n" + client->describe();
  constexpr std::size_t kWorkersTold = 20;
  std::size_t told = 0;
  for (const auto& worker : workers_) {
    if (!worker->idle() && ++told <= kWorkersTold) text += "\n" + worker->describe();
  }
  for (const auto& broker : brokers_) {
    if (!broker->idle()) text += "\na broker is not idle";
  }
  throw Broken(text);
}

Tally World::tally() const {
  Tally tally = tally_;
  tally.worlds = 1;
  tally.virtual_time = timeline.elapsed();
  tally.messages = network_.messages();
  tally.coded_messages = network_.coded_messages();
  return tally;
}

bool World::was_calm() const {
  return plan_.faults == 0 && !restarts_planned_ && plan_.duplicate_percent == 0;
}

bool World::to_be_checked(std::uint64_t& steps) {
  if (++steps < plan_.check_every) return false;
  steps = 0;
  ++tally_.checks;
  return true;
}

// ---- time -----------------------------------------------------------------------------------

void World::run(p::Duration at_most) {
  try {
    while (!came_to_rest(at_most)) {
      turn_ready();
      const auto next = timeline.next();
      demand(next.has_value(), "nothing will ever happen again");
      timeline.now = *next;
      while (auto happening = timeline.take_due()) happen(std::move(*happening));
      turn_ready();
    }
  } catch (const Broken&) {
    throw;
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
}

void World::happen(Happening happening) {
  if (auto* parcel = std::get_if<Parcel>(&happening)) {
    network_.deliver(std::move(*parcel));
  } else if (auto* step = std::get_if<TaskStep>(&happening)) {
    step->worker->happen(std::move(*step));
  } else if (const auto* wake = std::get_if<Wake>(&happening)) {
    Actor& actor = *wake->actor;
    if (actor.wakes_at_ != now()) return;  // An earlier wake was planned meanwhile.
    actor.wakes_at_ = p::TimePoint::max();
    const auto due = actor.next_deadline();
    if (due && *due <= now()) {
      has_news(actor);
    } else {
      plan_wake(actor);
    }
  } else if (const auto& call = std::get<std::function<void()>>(happening)) {
    call();
  }
}

void World::has_news(Actor& actor) {
  if (std::exchange(actor.listed_, true)) return;
  ready_.push_back(&actor);
}

void World::turn_ready() {
  // Turns may list more actors, themselves among them.
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    Actor& actor = *ready_[i];
    actor.listed_ = false;
    if (actor.stalled(now())) continue;  // It is listed when it goes on.
    actor.turns_at_once_ =
        std::exchange(actor.turned_at_, now()) == now() ? actor.turns_at_once_ + 1 : 0;
    demand(actor.turns_at_once_ < kTurnsAtOnceMax, "a core does not come to rest");
    actor.turn();
    if (actor.has_news()) {
      has_news(actor);
    } else {
      plan_wake(actor);
    }
  }
  ready_.clear();
}

void World::plan_wake(Actor& actor) {
  // A deadline that moves away costs nothing: the wake comes in vain and plans the next one.
  const auto due = actor.next_deadline();
  if (!due) return;
  const p::TimePoint at = std::max(*due, now());
  if (at >= actor.wakes_at_) return;
  actor.wakes_at_ = at;
  timeline.after(at - now(), Wake{&actor});
}

void World::stall(Actor& actor, p::TimePoint until, bool machine) {
  actor.stall(now(), until);
  timeline.after(until - now(), [this, &actor] { has_news(actor); });
  if (!machine) return;
  const auto hold = [&](Party& party, bool to_broker, bool to_peer) {
    if (party.peer.value != 0) network_.hold(party.peer, to_broker, to_peer, until);
  };
  for (std::size_t i = 0; i < brokers_.size(); ++i) {
    if (&actor != brokers_[i].get()) continue;
    for (Party* party : parties()) {
      if (network_.broker_of(*party) == i) hold(*party, true, false);
    }
    return;
  }
  hold(static_cast<Party&>(actor), false, true);
}

std::vector<Party*> World::parties() const {
  std::vector<Party*> parties;
  for (const auto& worker : workers_) parties.push_back(worker.get());
  for (const auto& client : clients_) parties.push_back(client.get());
  return parties;
}

void World::replace_broker(std::size_t index, p::Duration down) {
  BrokerActor& broker = *brokers_[index];
  broker.stall(now(), now() + down);
  broker.restart(broker.stalled_until());
  timeline.after(down, [this, &broker] { has_news(broker); });
  network_.broker_died(index, parties());
}

// ---- the end --------------------------------------------------------------------------------

bool World::over() const {
  return std::ranges::all_of(clients_, [](const auto& client) { return client->over(); });
}

bool World::at_rest() const {
  return std::ranges::all_of(brokers_, [](const auto& broker) { return broker->idle(); }) &&
         std::ranges::all_of(workers_, [](const auto& worker) { return worker->idle(); }) &&
         std::ranges::all_of(clients_, [](const auto& client) { return client->idle(); });
}

bool World::came_to_rest(p::Duration at_most) {
  if (!over()) {
    over_since_.reset();
    demand(now() < faults_->end() + at_most, "it takes too long: somebody waits for ever");
    return false;
  }
  if (!over_since_) over_since_ = now();
  if (now() < faults_->end() || now() < next_rest_check_) return false;
  next_rest_check_ = now() + kRestCheckEvery;
  const p::Duration to_rest = was_calm() ? kToRest : kToRestWithoutClient;
  demand(now() < std::max(*over_since_, faults_->end()) + to_rest,
         at_rest() ? "nothing is left to do, but more is sent than heartbeats"
                   : "all programs are over, but not all work is forgotten");
  // What was under way when the last program ended may still stir somebody.
  if (!at_rest() ||
      std::exchange(busy_messages_, network_.busy_messages()) != network_.busy_messages()) {
    rest_since_ = now();
  }
  return now() >= rest_since_ + kQuiet;
}

// ---- jobs -----------------------------------------------------------------------------------

JobRecord& World::open_job(p::JobId id, const JobPlan& plan) {
  JobRecord& record = jobs_[id];
  record.plan = plan;
  record.runs.resize(plan.items);
  return record;
}

void World::note_run(JobRecord& job, p::ItemIndex item) {
  ++tally_.item_runs;
  if (job.runs[item]++ == 0) return;
  ++tally_.repeated_item_runs;
  demand(!plan_.runs_once, "an item ran twice");
}

p::ProgramPart World::program_part(const p::NeedProgram& need) const {
  // Program 1 is small, program 2 has two parts.
  static const p::Bytes kContents = p::Bytes::own(std::vector<std::byte>(p::kPartBytes + 10));
  const std::uint64_t total = need.program.hash[0] == 1 ? 100 : kContents.size();
  demand(need.offset < total, "a part behind a program's end is wanted");
  const std::uint64_t count = std::min(p::kPartBytes, total - need.offset);
  return {need.program, total, need.offset, kContents.slice(need.offset, count)};
}

}  // namespace achilles::sim
