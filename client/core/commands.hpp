// All that the client's core can ask for.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "protocol/messages.hpp"

namespace achilles::client {

struct SendToBroker {
  protocol::Message message;
};
/// The broker was silent too long: close the connection, make a new one, then call connect.
struct Reconnect {
  std::string reason;
};
/// A job has something new for its user: a result, room for input, its end or its failure.
struct WakeConsumer {
  protocol::JobId job;
};
/// A worker needs a part of the program: send a PROGRAM_PART.
struct ServeProgram {
  protocol::NeedProgram request;
};
/// The first WELCOME of a broker.
struct Connected {
  std::uint32_t workers = 0;
  std::uint32_t slots = 0;
};
/// A line for the user: the broker cannot be reached yet.
struct Note {
  std::string text;
};

using Command = std::variant<SendToBroker, Reconnect, WakeConsumer, ServeProgram, Connected, Note>;
using Commands = std::vector<Command>;

}  // namespace achilles::client
