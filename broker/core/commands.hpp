// All that the broker's core can ask for.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "broker/core/events.hpp"
#include "protocol/messages.hpp"

namespace achilles::broker {

struct SendMessage {
  PeerId peer;
  protocol::Message message;
};

/// Nothing more will be sent to the peer: forget it and what is queued for it.
struct ForgetPeer {
  PeerId peer;
};

/// A line for the log.
struct Note {
  enum class Level { kInfo, kWarning };
  Level level = Level::kInfo;
  std::string text;
};

using Command = std::variant<SendMessage, ForgetPeer, Note>;
using Commands = std::vector<Command>;

}  // namespace achilles::broker
