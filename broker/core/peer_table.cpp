#include "broker/core/peer_table.hpp"

#include <algorithm>
#include <stdexcept>

namespace achilles::broker {

using protocol::Role;

namespace {
/// Of a peer's name and host: they end up in other peers' messages and in the log.
constexpr std::size_t kNameBytesMax = 128;
}  // namespace

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(std::string("broken invariant of the broker's core: ") + what);
}

std::string clipped(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  return std::string(text.substr(0, bytes_max)) + "…";
}

std::string Peer::title() const {
  if (!known()) return "peer " + std::to_string(id.value);
  const char* kind = role == Role::kClient   ? "client "
                     : role == Role::kWorker ? "worker "
                                             : "observer ";
  const std::string who = name.empty() ? protocol::to_hex(number).substr(0, 8) : name;
  return kind + who + "@" + host + ":" + std::to_string(pid);
}

Peer& PeerTable::meet(PeerId id, protocol::TimePoint now) {
  if (Peer* peer = peers_.find(id)) return *peer;
  Peer& peer = peers_.get(id);
  peer.id = id;
  peer.heard = peer.sent = peer.due = now;
  return peer;
}

Peer* PeerTable::find(Role role, std::uint64_t number) {
  const auto at = by_number_.find({role, number});
  return at == by_number_.end() ? nullptr : find(at->second);
}

const Peer* PeerTable::find(Role role, std::uint64_t number) const {
  const auto at = by_number_.find({role, number});
  return at == by_number_.end() ? nullptr : peers_.find(at->second);
}

void PeerTable::welcome(Peer& peer, const protocol::Hello& hello) {
  peer.session = {++sessions_};
  peer.role = hello.role;
  peer.number = hello.id;
  peer.incarnation = hello.incarnation;
  peer.name = clipped(hello.name, kNameBytesMax);
  peer.host = clipped(hello.host, kNameBytesMax);
  peer.pid = hello.pid;
  peer.suspect = false;
  if (peer.role != Role::kObserver) by_number_[{peer.role, peer.number}] = peer.id;
}

void PeerTable::end_session(Peer& peer) {
  if (!peer.known()) return;
  if (peer.role != Role::kObserver) by_number_.erase({peer.role, peer.number});
  peer.session = {};
  peer.suspect = false;
}

void PeerTable::remove(PeerId id) {
  if (Peer* peer = find(id)) {
    end_session(*peer);
    peers_.remove(id);
  }
}

bool PeerTable::any_session() const {
  return std::ranges::any_of(peers_, [](const auto& entry) { return entry.second.known(); });
}

void PeerTable::check() const {
  std::size_t named = 0;
  for (const auto& [id, peer] : peers_) {
    require(peer.id == id, "a peer is filed under another's id");
    if (!peer.known() || peer.role == Role::kObserver) continue;
    ++named;
    const auto at = by_number_.find({peer.role, peer.number});
    require(at != by_number_.end() && at->second == id, "a peer's (role, id) leads elsewhere");
  }
  require(named == by_number_.size(), "a (role, id) leads to a peer that is gone");
}

}  // namespace achilles::broker
