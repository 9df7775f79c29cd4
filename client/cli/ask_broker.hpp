// Asks a broker something. Blocks the calling thread, for a bounded time.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <variant>

#include "protocol/messages.hpp"

namespace achilles::cli {

/// Why there is no answer, in one sentence.
struct NoAnswer {
  std::string sentence;
};

/// Sends a STATUS_REQUEST or WHY_REQUEST and answers the reply to it, of the type that belongs to
/// it. `on_waiting` is called once, when the answer takes longer than one would expect.
std::variant<protocol::Message, NoAnswer> ask_broker(const std::string& endpoint,
                                                     const protocol::Message& request,
                                                     std::chrono::milliseconds timeout,
                                                     const std::function<void()>& on_waiting);

}  // namespace achilles::cli
