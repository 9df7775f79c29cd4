// The network of a simulated world: one wire for each connection, which delivers whole messages in
// order, late, or not at all.
//
// What it may do is what ZeroMQ over TCP does: a message is lost only together with all that is
// under way behind it on its connection; what a party queued while its connection was made anew may
// come to the broker over the new one, though neither core was told; what it sent last before it
// left may still come, after its successor's HELLO.
//
// Messages are handed over as values; a sample of them (all of them in small worlds) goes through
// the codec. What a wire swallows is told to nobody.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/actor.hpp"
#include "tests/sim/digest.hpp"

namespace achilles::sim {

class World;

/// A message on its way.
struct Parcel {
  std::uint64_t wire = 0;
  std::uint64_t order = 0;  ///< Among those of its direction; 0: a duplicate, in no order.
  bool to_broker = false;
  p::Message message;
};

class Network {
 public:
  explicit Network(World& world);

  /// A connection that the party makes. Of its former one, it hears no more; what it sent last may
  /// still come.
  void connect(Party& party, std::size_t broker = 0);
  /// Is that broker there? The party is told, unless it is not, or cannot be reached.
  void ask(Party& party, std::size_t broker);
  /// Nothing gets from one to the other until then, over old or new connections; it arrives later.
  void part(const Party& party, std::size_t broker, p::TimePoint until);
  /// The same beneath the party, which is not told.
  void reconnect_beneath(Party& party);
  /// The party's process is gone: so is its connection, and unless it `lingers` some of what was
  /// under way.
  void disconnect(Party& party, bool lingers);
  void send_to_broker(const Party& party, p::Message message);
  void send_to_peer(std::size_t broker, broker::PeerId peer, p::Message message);
  void deliver(Parcel parcel);

  void cut(broker::PeerId peer, bool to_broker, bool to_peer);
  void hold(broker::PeerId peer, bool to_broker, bool to_peer, p::TimePoint until);
  /// The broker's process is gone: so are all connections with it. Parties are not told.
  void broker_died(std::size_t broker, const std::vector<Party*>& parties);
  /// Which broker the party's connection leads to.
  std::size_t broker_of(const Party& party) const { return wires_[party.peer.value].broker; }

  bool leads_to_party(broker::PeerId peer) const { return wires_[peer.value].party != nullptr; }
  /// When the broker last got something from the peer, in the broker's alert time.
  p::Duration heard_at(broker::PeerId peer) const { return wires_.at(peer.value).heard_at; }
  /// What arrives at the far end of a wire.
  p::Message through_codec(p::Message message);
  std::uint64_t digest() const { return digest_.value(); }
  std::uint64_t messages() const { return messages_; }
  std::uint64_t coded_messages() const { return coded_messages_; }
  /// Messages other than heartbeats, and HELLO and its answers.
  std::uint64_t busy_messages() const { return busy_messages_; }

 private:
  struct Way {
    bool cut = false;
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;
    p::TimePoint last{};  ///< When the last one sent arrives.
    p::TimePoint held_until{};
  };
  struct Wire {
    Party* party = nullptr;  ///< Null: the party hears nothing from it any more.
    std::size_t broker = 0;
    bool lingers = false;  ///< It ended, and all that was under way to the broker arrives.
    Way to_broker;
    Way to_peer;
    /// What was under way when the connection ended: orders above `kept` are lost, except those
    /// above `moved`, which come over the wire `successor`.
    std::uint64_t kept = UINT64_MAX;
    std::uint64_t moved = UINT64_MAX;
    std::uint64_t successor = 0;
    p::Duration heard_at{};
  };

  Wire& new_wire(Party& party, std::size_t broker);
  bool parted(const Party& party, std::size_t broker) const;
  void end(Wire& wire, bool may_move);
  /// Until the next message on this way arrives: never before an earlier one.
  p::Duration until_arrival(Way& way, const Party& party);
  void note(const p::Message& message, std::uint64_t wire, bool to_broker);
  void deliver_to_broker(Parcel parcel);
  bool duplicates(const p::Message& message);

  World& world_;
  Random random_;
  std::vector<Wire> wires_;  ///< By the peer's id.
  std::map<std::pair<const Party*, std::size_t>, p::TimePoint> parted_;
  Digest digest_;
  std::uint64_t messages_ = 0;
  std::uint64_t coded_messages_ = 0;
  std::uint64_t busy_messages_ = 0;
  std::uint64_t codec_turn_ = 0;
};

}  // namespace achilles::sim
