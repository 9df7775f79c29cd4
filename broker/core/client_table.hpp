// Clients: their jobs, the results on their way to them, and how long those that are away are
// waited for.
//
// Invariants:
//  1. A client is present (it has a peer) or away; those that are away are in `due_` once.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "broker/core/events.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"

namespace achilles::broker {

struct Client {
  protocol::ClientId id;
  PeerId peer;                     ///< 0: away.
  protocol::TimePoint away_until;  ///< While away: then its jobs are closed.
  bool greeted = false;            ///< It has said in this session which jobs it keeps.
  std::set<protocol::JobId> kept;  ///< Of those, the ones that it has not opened yet.
  std::set<protocol::JobId> jobs;
  /// Jobs that the broker ended: what the client sent before it learnt of it is no offence.
  std::set<protocol::JobId> failed_jobs;
  /// Results of this batch of events; settle sends them.
  std::vector<protocol::ChunkResult> outbox;

  bool present() const { return peer.value != 0; }
};

class ClientTable {
 public:
  Client* find(protocol::ClientId id);
  const Client* find(protocol::ClientId id) const;
  /// It is here now, for the first time or again.
  Client& welcome(protocol::ClientId id, PeerId peer);
  /// Waits for a client that nothing was known of, or that has just gone.
  Client& wait_for(protocol::ClientId id, protocol::TimePoint until);
  void remove(protocol::ClientId id);

  /// When the next one is waited for no longer.
  std::optional<protocol::TimePoint> next_due() const;
  std::optional<protocol::ClientId> due(protocol::TimePoint now) const;
  std::size_t present() const { return by_id_.size() - due_.size(); }

  std::map<protocol::ClientId, Client>& all() { return by_id_; }
  const std::map<protocol::ClientId, Client>& all() const { return by_id_; }
  void check() const;

 private:
  std::map<protocol::ClientId, Client> by_id_;
  std::set<std::pair<protocol::TimePoint, protocol::ClientId>> due_;
};

}  // namespace achilles::broker
