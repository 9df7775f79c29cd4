// All that can happen to the broker's core.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "protocol/messages.hpp"

namespace achilles::broker {

/// A connection as the shell knows it. Not a name on the wire: a peer that reconnects is a new one.
using PeerId = protocol::Id<struct PeerTag>;

struct MessageReceived {
  PeerId peer;
  protocol::Message message;
};

/// Bytes arrived that are no message.
struct MessageMalformed {
  PeerId peer;
  protocol::RejectReason reason = protocol::RejectReason::kMalformed;
  std::string detail;
};

/// A part of a message arrived, or the peer took parts: a sign of life and nothing more.
struct PeerHeard {
  PeerId peer;
};

/// A message could not be sent: the peer's connection is gone.
struct PeerUnreachable {
  PeerId peer;
};

using Event = std::variant<MessageReceived, MessageMalformed, PeerHeard, PeerUnreachable>;

}  // namespace achilles::broker
