// Clients: their jobs, and the results on their way to them.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "broker/core/events.hpp"
#include "protocol/messages.hpp"

namespace achilles::broker {

struct Client {
  protocol::ClientId id;
  PeerId peer;
  std::set<protocol::JobId> jobs;
  /// Jobs that the broker ended: what the client sent before it learnt of it is no offence.
  std::set<protocol::JobId> failed_jobs;
  /// Results of this batch of events; settle sends them.
  std::vector<protocol::ChunkResult> outbox;
};

class ClientTable {
 public:
  Client* find(protocol::ClientId id) {
    const auto at = clients_.find(id);
    return at == clients_.end() ? nullptr : &at->second;
  }
  Client& add(protocol::ClientId id, PeerId peer) {
    Client& client = clients_[id];
    client.id = id;
    client.peer = peer;
    return client;
  }
  void remove(protocol::ClientId id) { clients_.erase(id); }
  std::map<protocol::ClientId, Client>& all() { return clients_; }
  const std::map<protocol::ClientId, Client>& all() const { return clients_; }

 private:
  std::map<protocol::ClientId, Client> clients_;
};

}  // namespace achilles::broker
