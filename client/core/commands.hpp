// All that the client's core can ask for.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "protocol/messages.hpp"

namespace achilles::client {

struct SendToBroker {
  protocol::Message message;
};
/// The broker was silent too long, or another one is to be tried: close the connection, make a new
/// one to this broker of the list, then call connect.
struct Reconnect {
  std::string reason;
  std::size_t broker = 0;
};
/// Does this broker of the list answer? Another question takes the place of an unanswered one.
struct AskWhetherThere {
  std::size_t broker = 0;
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

using Command = std::variant<SendToBroker, Reconnect, AskWhetherThere, WakeConsumer, ServeProgram,
                             Connected, Note>;
using Commands = std::vector<Command>;

}  // namespace achilles::client
