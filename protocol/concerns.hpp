// What a message is about: messages that are about the same job, or the same attempt, keep their
// order on a connection, whatever their size.
#pragma once

#include <variant>
#include <vector>

#include "protocol/ids.hpp"
#include "protocol/messages.hpp"

namespace achilles::protocol {

using Concern = std::variant<JobId, AttemptId>;

/// Every job and attempt that the message names, each once, in order. A status names jobs without
/// being about them.
std::vector<Concern> concerns_of(const Message& message);

}  // namespace achilles::protocol
