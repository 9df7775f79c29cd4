// Asks a broker how it is. Blocks the calling thread, for a bounded time.
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

/// `on_waiting` is called once, when the answer takes longer than one would expect.
std::variant<protocol::StatusReply, NoAnswer> ask_status(const std::string& endpoint,
                                                         std::chrono::milliseconds timeout,
                                                         const std::function<void()>& on_waiting);

}  // namespace achilles::cli
