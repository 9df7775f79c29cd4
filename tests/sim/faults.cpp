#include "tests/sim/faults.hpp"

#include <algorithm>

#include "tests/sim/broker_actor.hpp"
#include "tests/sim/client_actor.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {
namespace {

constexpr std::uint64_t kToldMax = 200;
/// Longer than a lease now and then.
constexpr p::Duration kHeldMax = 8s;
constexpr p::Duration kStalledMax = 12s;
constexpr p::Duration kClientStalledMax = 60s;
constexpr p::Duration kDownMax = 8s;
constexpr p::Duration kBrokerDownMax = 3s;
constexpr p::Duration kBrokerAwayMax = 30s;
constexpr p::Duration kPartedMax = 20s;
constexpr p::Duration kIllMax = 10s;
/// How long a broker that stops waits for its peers.
constexpr p::Duration kFarewellMax = 2s;

std::string in_ms(p::Duration time) {
  return std::to_string(time / 1ms) + " ms";
}

}  // namespace

Faults::Faults(World& world)
    : world_(world), random_(world.plan().seed * 4 + 3), end_(world.now()) {
  const Plan& plan = world.plan();
  if (std::ranges::all_of(plan.fault_weights, [](unsigned weight) { return weight == 0; })) return;
  for (unsigned i = 0; i < plan.faults; ++i) {
    const auto kind = static_cast<FaultKind>(random_.weighted(plan.fault_weights));
    const p::Duration when = random_.between(0us, plan.faults_within);
    end_ = std::max(end_, world.now() + when);
    world.timeline.after(when, [this, kind] { strike(kind); });
  }
}

p::TimePoint Faults::lasts(p::Duration time) {
  end_ = std::max(end_, world_.now() + time);
  return world_.now() + time;
}

void Faults::tell(FaultKind kind, const std::string& what) {
  ++world_.count().faults[static_cast<std::size_t>(kind)];
  const std::string line = std::string(name_of(kind)) + ": " + what;
  if (world_.tells_story()) world_.tell("FAULT " + line);
  if (++told_ > kToldMax) return;
  const auto since = world_.timeline.elapsed();
  story_ += "\n  " + std::to_string(since / 1us) + " us: " + line;
}

void Faults::strike(FaultKind kind) {
  switch (kind) {
    case FaultKind::kCut:
    case FaultKind::kCutToBroker:
    case FaultKind::kCutToPeer:
    case FaultKind::kHold:
    case FaultKind::kHoldToBroker:
    case FaultKind::kHoldToPeer:
    case FaultKind::kReconnect:
    case FaultKind::kPart:
      return strike_network(kind);
    case FaultKind::kStallBroker:
    case FaultKind::kRestartBroker:
    case FaultKind::kStopBroker:
      return strike_broker(kind);
    case FaultKind::kStallClient:
    case FaultKind::kCrashClient:
      return strike_client(kind);
    default:
      return strike_worker(kind);
  }
}

Party& Faults::any_party() {
  const std::uint64_t which = random_.below(world_.workers_.size() + world_.clients_.size());
  if (which < world_.workers_.size()) return *world_.workers_[which];
  return *world_.clients_[which - world_.workers_.size()];
}

void Faults::strike_network(FaultKind kind) {
  Party& party = any_party();
  if (party.peer.value == 0) return;
  if (kind == FaultKind::kPart) {
    const p::Duration time = random_.between(10ms, kPartedMax);
    const std::size_t broker = random_.below(world_.plan().brokers);
    world_.network().part(party, broker, lasts(time));
    return tell(kind, "peer " + std::to_string(party.peer.value) + " and broker " +
                          std::to_string(broker) + " for " + in_ms(time));
  }
  const std::string who = "peer " + std::to_string(party.peer.value);
  const bool up = kind != FaultKind::kCutToPeer && kind != FaultKind::kHoldToPeer;
  const bool down = kind != FaultKind::kCutToBroker && kind != FaultKind::kHoldToBroker;
  switch (kind) {
    case FaultKind::kReconnect:
      world_.network().reconnect_beneath(party);
      return tell(kind, who + " is now peer " + std::to_string(party.peer.value));
    case FaultKind::kHold:
    case FaultKind::kHoldToBroker:
    case FaultKind::kHoldToPeer: {
      const p::Duration time = random_.between(10ms, kHeldMax);
      world_.network().hold(party.peer, up, down, lasts(time));
      return tell(kind, who + " for " + in_ms(time));
    }
    default:
      world_.network().cut(party.peer, up, down);
      return tell(kind, who);
  }
}

void Faults::stall(FaultKind kind, Actor& actor, const std::string& who, p::Duration longest) {
  const p::Duration time = random_.between(1ms, longest);
  const bool machine = random_.chance(50);
  world_.stall(actor, lasts(time), machine);
  tell(kind, who + (machine ? " sleeps with its machine for " : " is stopped for ") + in_ms(time));
}

void Faults::strike_broker(FaultKind kind) {
  const unsigned brokers = world_.plan().brokers;
  const std::size_t which = brokers > 1 ? random_.below(brokers) : 0;
  BrokerActor& broker = world_.broker(which);
  const std::string who = "broker " + std::to_string(which);
  if (kind == FaultKind::kStallBroker) return stall(kind, broker, who, kStalledMax);
  // With others to go to, it may be away for long.
  const p::Duration down = random_.between(0us, brokers > 1 ? kBrokerAwayMax : kBrokerDownMax);
  if (kind == FaultKind::kRestartBroker) {
    lasts(down);
    world_.replace_broker(which, down);
    return tell(kind, who + " is down for " + in_ms(down));
  }
  if (broker.stopping() || broker.stalled(world_.now())) return;
  lasts(down + kFarewellMax);
  broker.stop(down);
  tell(kind, who + ", then down for " + in_ms(down));
}

void Faults::strike_client(FaultKind kind) {
  const std::uint64_t which = random_.below(world_.clients_.size());
  ClientActor& client = *world_.clients_[which];
  const std::string who = "client " + std::to_string(which);
  if (kind == FaultKind::kStallClient) {
    return stall(kind, client, who, random_.chance(10) ? kClientStalledMax : kStalledMax);
  }
  if (!client.up() || client.over()) return;
  const p::Duration down = random_.between(0us, kDownMax);
  lasts(down);
  client.crash(down);
  tell(kind, who + "; it runs again after " + in_ms(down));
}

void Faults::strike_worker(FaultKind kind) {
  const std::uint64_t which = random_.below(world_.workers_.size());
  WorkerActor& worker = *world_.workers_[which];
  const std::string who = "worker " + std::to_string(which);
  const p::Duration down = random_.between(0us, kDownMax);
  const p::Duration ill = random_.between(100ms, kIllMax);
  switch (kind) {
    case FaultKind::kStallWorker:
      return stall(kind, worker, who, kStalledMax);
    case FaultKind::kCrashWorker:
      lasts(down);
      worker.crash(down);
      return tell(kind, who + "; another comes after " + in_ms(down));
    case FaultKind::kDrainWorker:
    case FaultKind::kStopWorker:
      if (!worker.up()) return;
      worker.interrupt(down);
      if (kind == FaultKind::kStopWorker && worker.up()) worker.interrupt(down);
      return tell(kind, who + "; another comes " + in_ms(down) + " after it left");
    case FaultKind::kKillTask:
      if (worker.kill_a_busy_task()) tell(kind, "of " + who);
      return;
    case FaultKind::kEndIdleTask:
      if (worker.end_an_idle_task()) tell(kind, "of " + who);
      return;
    case FaultKind::kSlowWorker: {
      const auto times = static_cast<unsigned>(random_.between(2, 10));
      worker.be_slow(times, lasts(ill));
      return tell(kind, who + " takes " + std::to_string(times) + " times as long");
    }
    case FaultKind::kBrokenWorker:
      worker.be_broken(lasts(ill));
      return tell(kind, who + " for " + in_ms(ill));
    default:
      worker.be_deadly(lasts(ill));
      return tell(kind, who + " for " + in_ms(ill));
  }
}

}  // namespace achilles::sim
