#include "tests/sim/network.hpp"

#include <algorithm>
#include <utility>

#include "protocol/codec.hpp"
#include "protocol/describe.hpp"
#include "tests/sim/broker_actor.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {
namespace {

/// Messages arrive on a grid, so that those of several senders come at one moment now and then.
constexpr p::Duration kGrid = 50us;
constexpr p::Duration kDuplicateComesWithin = 2s;

bool is_of_everyday(const p::Message& message) {
  return std::holds_alternative<p::Heartbeat>(message) ||
         std::holds_alternative<p::Hello>(message) || std::holds_alternative<p::Welcome>(message) ||
         std::holds_alternative<p::WorkerState>(message) ||
         std::holds_alternative<p::Rejected>(message) || std::holds_alternative<p::Bye>(message);
}

}  // namespace

Network::Network(World& world) : world_(world), random_(world.plan().seed * 4 + 2), wires_(1) {}

// ---- connections ----------------------------------------------------------------------------

Network::Wire& Network::new_wire(Party& party) {
  party.peer = {wires_.size()};
  party.heard_at = party.alert_when_hearing(world_.now());
  Wire& wire = wires_.emplace_back();
  wire.party = &party;
  wire.heard_at = world_.broker().alert_when_hearing(world_.now());
  return wire;
}

void Network::end(Wire& wire, bool may_move) {
  wire.party = nullptr;
  const Way& way = wire.to_broker;
  wire.kept = way.delivered + random_.below(way.sent - way.delivered + 1);
  if (may_move) wire.moved = wire.kept + random_.below(way.sent - wire.kept + 1);
}

void Network::connect(Party& party) {
  if (party.peer.value != 0) end(wires_[party.peer.value], false);
  new_wire(party);
}

void Network::disconnect(Party& party, bool lingers) {
  if (party.peer.value == 0) return;
  Wire& wire = wires_[party.peer.value];
  end(wire, false);
  if (lingers) wire.kept = UINT64_MAX;
  party.peer = {};
}

void Network::reconnect_beneath(Party& party) {
  if (party.peer.value == 0) return;
  const std::uint64_t former = party.peer.value;
  end(wires_[former], true);
  const p::Duration heard_at = party.heard_at;
  const p::TimePoint last = wires_[former].to_broker.last;
  Wire& wire = new_wire(party);
  party.heard_at = heard_at;
  wire.to_broker.last = last;
  wires_[former].successor = party.peer.value;
}

void Network::broker_died(const std::vector<Party*>& parties) {
  for (Party* party : parties) {
    if (party->peer.value == 0) continue;
    const std::uint64_t former = party->peer.value;
    reconnect_beneath(*party);
    wires_[former].kept = wires_[former].to_broker.delivered;
  }
}

void Network::cut(broker::PeerId peer, bool to_broker, bool to_peer) {
  Wire& wire = wires_[peer.value];
  wire.to_broker.cut = wire.to_broker.cut || to_broker;
  wire.to_peer.cut = wire.to_peer.cut || to_peer;
}

void Network::hold(broker::PeerId peer, bool to_broker, bool to_peer, p::TimePoint until) {
  Wire& wire = wires_[peer.value];
  if (to_broker) wire.to_broker.held_until = std::max(wire.to_broker.held_until, until);
  if (to_peer) wire.to_peer.held_until = std::max(wire.to_peer.held_until, until);
}

// ---- messages -------------------------------------------------------------------------------

p::Duration Network::until_arrival(Way& way, const Party& party) {
  const auto steps_of = [](p::Duration latency) {
    return static_cast<std::uint64_t>(latency / kGrid);
  };
  const std::uint64_t steps =
      random_.between(steps_of(world_.plan().latency_min), steps_of(world_.plan().latency_max));
  const p::Duration latency = kGrid * static_cast<p::Duration::rep>(steps) + party.far_away();
  way.last = std::max(way.last, std::max(world_.now(), way.held_until) + latency);
  return way.last - world_.now();
}

void Network::note(const p::Message& message, std::uint64_t wire, bool to_broker) {
  ++messages_;
  if (!is_of_everyday(message)) ++busy_messages_;
  digest_.add(static_cast<std::uint64_t>(world_.now().time_since_epoch().count()));
  digest_.add(wire * 2 + (to_broker ? 1 : 0));
  digest_.add(message);
  if (world_.tells_story()) {
    world_.tell(std::to_string(wire) + (to_broker ? " > " : " < ") + p::describe(message));
  }
}

bool Network::duplicates(const p::Message& message) {
  const unsigned percent = world_.plan().duplicate_percent;
  return percent != 0 && std::holds_alternative<p::Results>(message) && random_.chance(percent);
}

void Network::send_to_broker(const Party& party, p::Message message) {
  note(message, party.peer.value, true);
  Way& way = wires_[party.peer.value].to_broker;
  if (way.cut) return;
  const p::Duration delay = until_arrival(way, party);
  message = through_codec(std::move(message));
  if (duplicates(message)) {
    world_.timeline.after(delay + random_.between(0us, kDuplicateComesWithin),
                          Parcel{party.peer.value, 0, true, message});
  }
  world_.timeline.after(delay, Parcel{party.peer.value, ++way.sent, true, std::move(message)});
}

void Network::send_to_peer(broker::PeerId peer, p::Message message) {
  note(message, peer.value, false);
  Wire& wire = wires_[peer.value];
  if (wire.party == nullptr) {
    // The router notices when it wants to send, and not always; of a party that left in peace only
    // when its last words have come.
    const bool speaks = wire.kept == UINT64_MAX && wire.to_broker.delivered < wire.to_broker.sent;
    if (!speaks && random_.chance(50)) world_.broker().receive(broker::PeerUnreachable{peer});
    return;
  }
  if (wire.to_peer.cut) return;
  const p::Duration delay = until_arrival(wire.to_peer, *wire.party);
  message = through_codec(std::move(message));
  if (duplicates(message)) {
    world_.timeline.after(delay + random_.between(0us, kDuplicateComesWithin),
                          Parcel{peer.value, 0, false, message});
  }
  world_.timeline.after(delay, Parcel{peer.value, ++wire.to_peer.sent, false, std::move(message)});
}

void Network::deliver(Parcel parcel) {
  if (parcel.to_broker) return deliver_to_broker(std::move(parcel));
  Party* party = wires_[parcel.wire].party;
  if (party == nullptr) return;
  party->heard_at = party->alert_when_hearing(world_.now());
  party->receive(std::move(parcel.message));
  world_.has_news(*party);
}

void Network::deliver_to_broker(Parcel parcel) {
  Wire* wire = &wires_[parcel.wire];
  wire->to_broker.delivered = std::max(wire->to_broker.delivered, parcel.order);
  if (parcel.order == 0 && wire->party == nullptr) return;
  if (parcel.order > wire->kept) {
    if (parcel.order <= wire->moved) return;
    parcel.wire = wire->successor;
    wire = &wires_[parcel.wire];
    if (wire->party == nullptr) return;
  }
  wire->heard_at = world_.broker().alert_when_hearing(world_.now());
  world_.broker().receive(broker::MessageReceived{{parcel.wire}, std::move(parcel.message)});
  world_.has_news(world_.broker());
}

p::Message Network::through_codec(p::Message message) {
  if (++codec_turn_ < world_.plan().codec_every) return message;
  codec_turn_ = 0;
  ++coded_messages_;
  const p::Frames frames = p::encode(message);
  auto decoded = p::decode(frames);
  if (const auto* malformed = std::get_if<p::Malformed>(&decoded)) {
    world_.fail("does not survive the codec: " + p::describe(message) + ": " + malformed->detail);
  }
  auto& arrived = std::get<p::Message>(decoded);
  if (arrived != message)
    world_.fail("is another message after the codec: " + p::describe(message));
  return std::move(arrived);
}

}  // namespace achilles::sim
