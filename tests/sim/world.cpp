#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "protocol/codec.hpp"
#include "protocol/describe.hpp"
#include "protocol/limits.hpp"
#include "tests/sim/broker_actor.hpp"
#include "tests/sim/client_actor.hpp"
#include "tests/sim/worker_actor.hpp"
#include "tests/support/catch.hpp"

namespace achilles::sim {
namespace {

/// After the last user's program is over: what ran for it ends, closed jobs are forgotten.
constexpr p::Duration kToRest = 10s;
/// A core that has something to do again and again at one moment never rests.
constexpr int kTurnsAtOnceMax = 1000;

bool story_wanted() {
  return std::getenv("ACHILLES_STORY") != nullptr;
}

}  // namespace

World::World(Plan plan) : random(plan.seed * 2 + 1), plan_(std::move(plan)) {
  broker_ = std::make_unique<BrokerActor>(*this);
  std::uint64_t id = 0;
  for (const auto& worker : plan_.workers) {
    workers_.push_back(std::make_unique<WorkerActor>(*this, worker, ++id));
  }
  id = 100;
  for (const auto& client : plan_.clients) {
    clients_.push_back(std::make_unique<ClientActor>(*this, client, ++id));
  }
  actors_.push_back(broker_.get());
  for (const auto& worker : workers_) actors_.push_back(worker.get());
  for (const auto& client : clients_) actors_.push_back(client.get());
  schedule_faults();
}

World::~World() = default;

void World::fail(const std::string& what) const {
  std::string text = "seed " + std::to_string(plan_.seed) + ": " + what + "\nat " +
                     std::to_string((now() - p::TimePoint(1h)) / 1us) + " us, after:" + story_;
  for (const auto& client : clients_) text += "\n" + client->describe();
  FAIL(text);
  std::abort();
}

void World::run(p::Duration at_most) {
  const p::TimePoint end = now() + at_most;
  int turns_at_once = 0;
  std::optional<p::TimePoint> over_since;
  turn_all();
  while (true) {
    const auto next = next_time();
    demand(next.has_value(), "nothing will ever happen again");
    turns_at_once = *next > now() ? 0 : turns_at_once + 1;
    demand(turns_at_once < kTurnsAtOnceMax, "a core does not come to rest");
    timeline.now = std::max(now(), *next);
    timeline.fire();
    turn_all();
    if (!over()) {
      demand(now() < end, "it takes too long: somebody waits for ever");
      continue;
    }
    const bool at_rest = broker_->idle() && std::ranges::all_of(workers_, [](const auto& worker) {
                           return worker->idle();
                         });
    if (at_rest) return;
    if (!over_since) over_since = now();
    demand(now() < *over_since + kToRest, "all programs are over, but not all work is forgotten");
  }
}

void World::turn_all() {
  for (Actor* actor : actors_) {
    if (actor->stalled_until > now()) continue;
    const auto due = actor->next_deadline();
    if (actor->has_news() || (due && *due <= now())) actor->turn();
  }
}

std::optional<p::TimePoint> World::next_time() const {
  auto next = timeline.next();
  for (const Actor* actor : actors_) {
    auto at = actor->has_news() ? now() : actor->next_deadline();
    if (!at) continue;
    at = std::max(*at, actor->stalled_until);
    if (!next || *at < *next) next = at;
  }
  return next;
}

bool World::over() const {
  return std::ranges::all_of(clients_, [](const auto& client) { return client->over(); });
}

// ---- the network ----------------------------------------------------------------------------

void World::connect(Party& party) {
  wires_.erase(party.peer);
  party.peer = {++last_peer_};
  wires_[party.peer].party = &party;
}

p::Duration World::arrival(p::TimePoint& last) {
  // On a grid, so that messages of several senders arrive at one moment now and then.
  last = std::max(last, now() + 50us * static_cast<int>(random.between(1, 6)));
  return last - now();
}

void World::send_to_broker(const Party& party, const p::Message& message) {
  Wire& wire = wires_.at(party.peer);
  if (story_wanted()) {
    std::cerr << (now() - p::TimePoint(1h)) / 1us << " us " << party.peer.value << " > "
              << p::describe(message) << "\n";
  }
  if (wire.cut) return;
  const auto deliver = [this, peer = party.peer, decoded = through_codec(message)] {
    if (wires_.contains(peer)) broker_->receive(broker::MessageReceived{peer, decoded});
  };
  timeline.after(arrival(wire.to_broker), deliver);
  if (std::holds_alternative<p::Results>(message) && random.chance(plan_.duplicate_percent)) {
    timeline.after(arrival(wire.to_broker) + random.between(0us, 2s), deliver);
  }
}

void World::send_to_peer(broker::PeerId peer, const p::Message& message) {
  if (story_wanted()) {
    std::cerr << (now() - p::TimePoint(1h)) / 1us << " us " << peer.value << " < "
              << p::describe(message) << "\n";
  }
  const auto at = wires_.find(peer);
  if (at == wires_.end()) {
    // The router notices when it wants to send, and not always.
    if (random.chance(50)) broker_->receive(broker::PeerUnreachable{peer});
    return;
  }
  if (at->second.cut) return;
  const auto deliver = [this, peer, decoded = through_codec(message)] {
    const auto wire = wires_.find(peer);
    if (wire != wires_.end()) wire->second.party->receive(decoded);
  };
  timeline.after(arrival(at->second.to_peer), deliver);
  if (std::holds_alternative<p::Results>(message) && random.chance(plan_.duplicate_percent)) {
    timeline.after(arrival(at->second.to_peer) + random.between(0us, 2s), deliver);
  }
}

p::Message World::through_codec(const p::Message& message) const {
  const p::Frames frames = p::encode(message);
  auto decoded = p::decode(frames);
  if (const auto* malformed = std::get_if<p::Malformed>(&decoded)) {
    fail("does not survive the codec: " + p::describe(message) + ": " + malformed->detail);
  }
  return std::get<p::Message>(std::move(decoded));
}

p::ProgramPart World::program_part(const p::NeedProgram& need) const {
  // Program 1 is small, program 2 has two parts.
  static const p::Bytes kContents = p::Bytes::own(std::vector<std::byte>(p::kPartBytes + 10));
  const std::uint64_t total = need.program.hash[0] == 1 ? 100 : kContents.size();
  demand(need.offset < total, "a part behind a program's end is wanted");
  const std::uint64_t count = std::min(p::kPartBytes, total - need.offset);
  return {need.program, total, need.offset, kContents.slice(need.offset, count)};
}

// ---- faults ---------------------------------------------------------------------------------

void World::schedule_faults() {
  for (unsigned i = 0; i < plan_.faults; ++i) {
    timeline.after(random.between(0us, plan_.faults_within), [this] { fault(); });
  }
}

Party& World::any_party() {
  const std::uint64_t which = random.below(workers_.size() + clients_.size());
  if (which < workers_.size()) return *workers_[which];
  return *clients_[which - workers_.size()];
}

void World::fault() {
  const auto tell = [&](const std::string& what) {
    story_ += "\n  at " + std::to_string((now() - p::TimePoint(1h)) / 1us) + " us: " + what;
    if (story_wanted()) std::cerr << story_.substr(story_.rfind('\n') + 1) << "\n";
  };
  switch (random.below(6)) {
    case 0: {
      const Party& party = any_party();
      tell("the wire of peer " + std::to_string(party.peer.value) + " is cut");
      if (const auto at = wires_.find(party.peer); at != wires_.end()) at->second.cut = true;
      return;
    }
    case 1: {
      const auto which = random.below(workers_.size());
      tell("worker " + std::to_string(which) + " dies; another comes");
      return workers_[which]->replace(++last_peer_ + 1000, random.between(0us, 8s));
    }
    case 2:
      tell("the broker is started again");
      return restart_broker();
    case 3: {
      Actor& actor = *actors_[random.below(actors_.size())];
      actor.stalled_until = now() + random.between(1ms, 12s);
      tell("somebody stalls for " + std::to_string((actor.stalled_until - now()) / 1ms) + " ms");
      return;
    }
    case 4: {
      // A connection that is made anew beneath: what was under way is lost, and both sides learn
      // it from the answers they get.
      Party& party = any_party();
      tell("peer " + std::to_string(party.peer.value) + " has a new connection");
      return connect(party);
    }
    default:
      tell("an idle task process ends");
      return workers_[random.below(workers_.size())]->end_an_idle_task();
  }
}

void World::restart_broker() {
  broker_->restart();
  const p::TimePoint up = now() + random.between(0us, 3s);
  broker_->stalled_until = up;
  for (const auto& worker : workers_) connect(*worker);
  for (const auto& client : clients_) connect(*client);
}

}  // namespace achilles::sim
