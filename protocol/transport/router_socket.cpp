#include <deque>
#include <map>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <zmq.hpp>

#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/socket.hpp"
#include "protocol/transport/zmq_frames.hpp"

namespace achilles::protocol {
namespace {

/// Where others never stop talking, a peer that is gone is lost after so many messages at last.
constexpr std::size_t kLastWordsMax = 10'000;

struct Peer {
  std::string routing_id;
  std::deque<Frames> unsent;
  std::uint64_t unsent_bytes = 0;
  bool gone = false;
};

std::string advice_for(int error) {
  switch (error) {
    case EADDRINUSE:
      return "another program already uses this port. Stop it, or choose another port (0 for any "
             "free one).";
    case EADDRNOTAVAIL:
    case ENODEV:
      return "this machine has no such address. Give one of its own addresses, or * for all.";
    case EACCES:
      return "ports below 1024 need privileges. Choose a higher one.";
    default:
      return std::string(zmq_strerror(error)) + ".";
  }
}

}  // namespace

struct RouterSocket::Peers {
  std::unordered_map<std::string, PeerHandle> by_routing_id;
  std::unordered_map<PeerHandle, Peer> by_handle;
  /// Those with unsent frames, in order of handle. Each try goes through all of them: few at any
  /// time.
  std::map<PeerHandle, Peer*> stuck;
  std::vector<PeerHandle> lost;
  /// Their connections are gone, but what they said last may wait to be received.
  std::vector<PeerHandle> leaving;
  std::size_t received_since_one_left = 0;
  PeerHandle last_handle = 0;
};

RouterSocket::RouterSocket(Context& context, const SocketOptions& options)
    : Socket(context, Kind::kRouter, options), peers_(std::make_unique<Peers>()) {}

RouterSocket::~RouterSocket() = default;

std::string RouterSocket::bind(const std::string& endpoint) {
  const Endpoint address = parse_endpoint(endpoint);
  try {
    if (is_ipv6(address)) state_->zmq.set(zmq::sockopt::ipv6, 1);
    state_->zmq.bind(to_string(address));
  } catch (const zmq::error_t& error) {
    throw std::runtime_error("cannot listen on \"" + endpoint + "\": " + advice_for(error.num()));
  }
  return state_->zmq.get(zmq::sockopt::last_endpoint);
}

std::optional<RouterSocket::Received> RouterSocket::receive() {
  std::string routing_id;
  Received received;
  const bool any = receive_parts(state_->zmq, &routing_id, received.frames);
  if (!peers_->leaving.empty() && (!any || ++peers_->received_since_one_left == kLastWordsMax)) {
    for (const PeerHandle handle : std::exchange(peers_->leaving, {})) {
      if (!peers_->by_handle.contains(handle)) continue;  // Forgotten meanwhile.
      forget(handle);
      peers_->lost.push_back(handle);
    }
  }
  if (!any) return std::nullopt;
  const auto [known, is_new] = peers_->by_routing_id.try_emplace(routing_id, 0);
  if (is_new) {
    known->second = ++peers_->last_handle;
    peers_->by_handle[known->second].routing_id = std::move(routing_id);
  }
  received.peer = known->second;
  return received;
}

SendResult RouterSocket::send(PeerHandle handle, Frames frames) {
  const auto found = peers_->by_handle.find(handle);
  if (found == peers_->by_handle.end()) return SendResult::kUnreachable;
  Peer& peer = found->second;
  if (peer.gone) return SendResult::kUnreachable;
  if (peer.unsent.empty()) {
    switch (send_parts(state_->zmq, &peer.routing_id, frames)) {
      case PartResult::kTaken:
        return SendResult::kSent;
      case PartResult::kWouldBlock:
        break;
      case PartResult::kGone:
        let_go(handle);
        return SendResult::kUnreachable;
    }
    peers_->stuck.emplace(handle, &peer);
  }
  const std::uint64_t bytes = total_bytes(frames);
  peer.unsent_bytes += bytes;
  unsent_bytes_ += bytes;
  peer.unsent.push_back(std::move(frames));
  return SendResult::kQueued;
}

std::uint64_t RouterSocket::unsent_bytes(PeerHandle handle) const {
  const auto found = peers_->by_handle.find(handle);
  return found == peers_->by_handle.end() ? 0 : found->second.unsent_bytes;
}

void RouterSocket::let_go(PeerHandle handle) {
  Peer& peer = peers_->by_handle.at(handle);
  unsent_bytes_ -= std::exchange(peer.unsent_bytes, 0);
  peer.unsent.clear();
  peer.gone = true;
  peers_->stuck.erase(handle);
  peers_->leaving.push_back(handle);
  peers_->received_since_one_left = 0;
}

void RouterSocket::forget(PeerHandle handle) {
  const auto found = peers_->by_handle.find(handle);
  if (found == peers_->by_handle.end()) return;
  unsent_bytes_ -= found->second.unsent_bytes;
  peers_->stuck.erase(handle);
  peers_->by_routing_id.erase(found->second.routing_id);
  peers_->by_handle.erase(found);
}

std::vector<PeerHandle> RouterSocket::take_lost() {
  return std::exchange(peers_->lost, {});
}

std::size_t RouterSocket::peer_count() const {
  return peers_->by_handle.size();
}

bool RouterSocket::poll_prepare() {
  for (auto at = peers_->stuck.begin(); at != peers_->stuck.end();) {
    const auto [handle, peer] = *at++;  // forget() erases it.
    PartResult result = PartResult::kTaken;
    while (!peer->unsent.empty() && result == PartResult::kTaken) {
      result = send_parts(state_->zmq, &peer->routing_id, peer->unsent.front());
      if (result != PartResult::kTaken) break;
      const std::uint64_t bytes = total_bytes(peer->unsent.front());
      peer->unsent.pop_front();
      peer->unsent_bytes -= bytes;
      unsent_bytes_ -= bytes;
    }
    if (result == PartResult::kGone) {
      let_go(handle);
    } else if (peer->unsent.empty()) {
      peers_->stuck.erase(handle);
    }
  }
  return (state_->zmq.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0 || !peers_->lost.empty() ||
         !peers_->leaving.empty();
}

// Sending to one peer may take in the library's news that another has room again.
bool RouterSocket::wants_retry() const {
  return !peers_->stuck.empty();
}

}  // namespace achilles::protocol
