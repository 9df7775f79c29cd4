#include "broker/core/liveness.hpp"

#include <algorithm>

#include "protocol/limits.hpp"

namespace achilles::broker {

using protocol::kLostAfter;
using protocol::kSuspectAfter;
using protocol::TimePoint;

TimePoint Liveness::due_of(const Peer& peer) const {
  const TimePoint lost = peer.heard + kLostAfter * interval_;
  if (!peer.known()) return lost;
  const TimePoint lease = peer.suspect ? lost : peer.heard + kSuspectAfter * interval_;
  return std::min(lease, peer.sent + interval_);
}

void Liveness::watch(Peer& peer) {
  due_.erase({peer.due, peer.id});
  peer.due = due_of(peer);
  due_.insert({peer.due, peer.id});
}

void Liveness::forget(const Peer& peer) {
  due_.erase({peer.due, peer.id});
}

std::optional<TimePoint> Liveness::next() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

std::optional<PeerId> Liveness::take_due(TimePoint now) {
  if (due_.empty() || due_.begin()->first > now) return std::nullopt;
  const PeerId peer = due_.begin()->second;
  due_.erase(due_.begin());
  return peer;
}

bool Liveness::needs_heartbeat(const Peer& peer, TimePoint now) const {
  return peer.known() && now >= peer.sent + interval_;
}

bool Liveness::is_suspect(const Peer& peer, TimePoint now) const {
  return peer.known() && now >= peer.heard + kSuspectAfter * interval_;
}

bool Liveness::is_lost(const Peer& peer, TimePoint now) const {
  return now >= peer.heard + kLostAfter * interval_;
}

bool Liveness::stalled(TimePoint last, TimePoint now) const {
  const auto due = next();
  return due && now - last > interval_ && now > *due + interval_;
}

void Liveness::check(const PeerTable& peers) const {
  require(due_.size() == peers.all().size(), "not every peer is watched once");
  for (const auto& [id, peer] : peers.all()) {
    require(due_.contains({peer.due, id}), "a peer is not watched at the time it is due");
    require(peer.due <= due_of(peer), "a peer would be looked at too late");
  }
}

}  // namespace achilles::broker
