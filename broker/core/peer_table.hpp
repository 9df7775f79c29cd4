// The peers: who talks to the broker, under which id, and when they last did.
//
// A peer without a session is a stranger: it has not said HELLO, or it asked for the status only.
// Invariants:
//  1. At most one peer with a session has a given (role, id); observers are not counted.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "broker/core/events.hpp"
#include "broker/core/id_table.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"

namespace achilles::broker {

struct Peer {
  PeerId id;
  protocol::SessionId session;  ///< 0: a stranger.
  protocol::Role role = protocol::Role::kObserver;
  std::uint64_t number = 0;  ///< The ClientId's or WorkerId's value.
  std::uint64_t incarnation = 0;
  std::string name;
  std::string host;
  std::uint32_t pid = 0;

  protocol::TimePoint heard;  ///< The last sign of life.
  protocol::TimePoint sent;   ///< The last message to it.
  protocol::TimePoint due;    ///< Liveness looks at it then.
  bool suspect = false;
  std::uint32_t rejected_messages = 0;

  bool known() const { return session.value != 0; }
  bool is(protocol::Role r) const { return known() && role == r; }
  /// For people: "client word_count@pc7:4711", "peer 5".
  std::string title() const;
};

class PeerTable {
 public:
  Peer* find(PeerId id) { return peers_.find(id); }
  /// The peer; a new stranger when it was not there.
  Peer& meet(PeerId id, protocol::TimePoint now);
  Peer* find(protocol::Role role, std::uint64_t number);
  const Peer* find(protocol::Role role, std::uint64_t number) const;
  /// Gives a stranger its session. REQUIRES: nobody else has this role and id.
  void welcome(Peer& peer, const protocol::Hello& hello);
  /// The peer becomes a stranger again.
  void end_session(Peer& peer);
  void remove(PeerId id);
  bool any_session() const;

  const IdTable<PeerId, Peer>& all() const { return peers_; }
  IdTable<PeerId, Peer>& all() { return peers_; }
  void check() const;

 private:
  IdTable<PeerId, Peer> peers_;
  std::map<std::pair<protocol::Role, std::uint64_t>, PeerId> by_number_;
  std::uint64_t sessions_ = 0;
};

/// The beginning of a text that a peer sent, where all of it would be too much to pass on.
std::string clipped(std::string_view text, std::size_t bytes_max);

/// For invariants: throws std::logic_error when `holds` is false.
void require(bool holds, const char* what);

}  // namespace achilles::broker
