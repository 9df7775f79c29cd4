#include "broker/core/client_table.hpp"

#include "broker/core/peer_table.hpp"

namespace achilles::broker {

using protocol::ClientId;
using protocol::TimePoint;

Client* ClientTable::find(ClientId id) {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : &at->second;
}

const Client* ClientTable::find(ClientId id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : &at->second;
}

Client& ClientTable::welcome(ClientId id, PeerId peer) {
  Client& client = by_id_[id];
  if (!client.present()) due_.erase({client.away_until, id});
  client.id = id;
  client.peer = peer;
  client.greeted = false;
  client.kept.clear();
  return client;
}

Client& ClientTable::wait_for(ClientId id, TimePoint until) {
  Client& client = by_id_[id];
  if (!client.present()) due_.erase({client.away_until, id});
  client.id = id;
  client.peer = {};
  client.away_until = until;
  client.greeted = false;
  client.kept.clear();
  client.outbox.clear();
  due_.insert({until, id});
  return client;
}

void ClientTable::remove(ClientId id) {
  const Client* client = find(id);
  if (client == nullptr) return;
  due_.erase({client->away_until, id});
  by_id_.erase(id);
}

std::optional<TimePoint> ClientTable::next_due() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

std::optional<ClientId> ClientTable::due(TimePoint now) const {
  if (due_.empty() || due_.begin()->first > now) return std::nullopt;
  return due_.begin()->second;
}

void ClientTable::check() const {
  std::size_t away = 0;
  for (const auto& [id, client] : by_id_) {
    require(client.id == id, "a client is filed under another's id");
    const bool waited_for = due_.contains({client.away_until, id});
    require(waited_for == !client.present(), "a client that is away is not waited for");
    away += client.present() ? 0 : 1;
  }
  require(away == due_.size(), "a client that is gone is waited for");
}

}  // namespace achilles::broker
