#include <deque>
#include <stdexcept>
#include <utility>
#include <zmq.hpp>

#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/socket.hpp"
#include "protocol/transport/zmq_frames.hpp"

namespace achilles::protocol {

struct DealerSocket::Queue {
  std::deque<Frames> unsent;
  bool stalled = false;  ///< The last try failed although the library had said that there is room.
};

DealerSocket::DealerSocket(Context& context, const SocketOptions& options)
    : Socket(context, Kind::kDealer, options), queue_(std::make_unique<Queue>()) {}

DealerSocket::~DealerSocket() = default;

void DealerSocket::connect(const std::string& endpoint) {
  const Endpoint address = parse_peer_endpoint(endpoint);
  try {
    if (is_ipv6(address)) state_->zmq.set(zmq::sockopt::ipv6, 1);
    state_->zmq.connect(to_string(address));
  } catch (const zmq::error_t& error) {
    throw std::runtime_error("cannot connect to \"" + endpoint + "\": " + error.what() +
                             ". An endpoint looks like tcp://HOST:PORT.");
  }
}

std::optional<Frames> DealerSocket::receive() {
  Frames frames;
  if (!receive_parts(state_->zmq, nullptr, frames)) return std::nullopt;
  return frames;
}

SendResult DealerSocket::send(Frames frames) {
  if (queue_->unsent.empty() && send_parts(state_->zmq, nullptr, frames) == PartResult::kTaken) {
    return SendResult::kSent;
  }
  unsent_bytes_ += total_bytes(frames);
  queue_->unsent.push_back(std::move(frames));
  return SendResult::kQueued;
}

void DealerSocket::drop_unsent() {
  queue_->unsent.clear();
  unsent_bytes_ = 0;
}

bool DealerSocket::poll_prepare() {
  // The answer must come from the last look at the library's state: a look takes the wake-up away.
  queue_->stalled = false;
  for (;;) {
    const int events = state_->zmq.get(zmq::sockopt::events);
    const bool may_send = (events & ZMQ_POLLOUT) != 0 && !queue_->unsent.empty();
    if (!may_send || queue_->stalled) return (events & ZMQ_POLLIN) != 0;
    while (!queue_->unsent.empty() && !queue_->stalled) {
      const Frames& frames = queue_->unsent.front();
      queue_->stalled = send_parts(state_->zmq, nullptr, frames) != PartResult::kTaken;
      if (queue_->stalled) break;
      unsent_bytes_ -= total_bytes(frames);
      queue_->unsent.pop_front();
    }
  }
}

bool DealerSocket::wants_retry() const {
  return queue_->stalled && !queue_->unsent.empty();
}

}  // namespace achilles::protocol
