// Liveness: when a peer must hear from the broker, and when it has been silent for too long.
//
// A message costs nothing here: it only moves the peer's `heard` or `sent`. Each peer is looked at
// when it was due by what was known the last time; if it has been heard from since, it becomes due
// again later. So a deadline may come too early, never too late.
// Invariants:
//  1. Each watched peer is in `due_` once, at peer.due.
//  2. peer.due is not later than the earliest thing that could be due for it.
#pragma once

#include <optional>
#include <set>
#include <utility>

#include "broker/core/peer_table.hpp"
#include "protocol/time.hpp"

namespace achilles::broker {

class Liveness {
 public:
  explicit Liveness(protocol::Duration interval) : interval_(interval) {}

  void watch(Peer& peer);
  void forget(const Peer& peer);
  std::optional<protocol::TimePoint> next() const;
  /// A peer that is due by `now`. It must be watched or forgotten before the next call.
  std::optional<PeerId> take_due(protocol::TimePoint now);

  bool needs_heartbeat(const Peer& peer, protocol::TimePoint now) const;
  bool is_suspect(const Peer& peer, protocol::TimePoint now) const;
  bool is_lost(const Peer& peer, protocol::TimePoint now) const;
  /// The broker itself stood still from `last` to `now` although it had something to do.
  bool stalled(protocol::TimePoint last, protocol::TimePoint now) const;

  protocol::Duration interval() const { return interval_; }
  void check(const PeerTable& peers) const;

 private:
  protocol::TimePoint due_of(const Peer& peer) const;

  protocol::Duration interval_;
  std::set<std::pair<protocol::TimePoint, PeerId>> due_;
};

}  // namespace achilles::broker
