// What `achilles status` prints, as functions from the broker's answer to text. Pure.
#pragma once

#include <string>

#include "protocol/messages.hpp"

namespace achilles::cli {

/// For people: a line about the broker, a table of workers, a table of jobs. Names come from other
/// machines, so control characters in them are replaced before they reach a terminal.
std::string status_table(const protocol::StatusReply& status, const std::string& endpoint);

/// For programs: one JSON object with "broker", "workers" and "jobs". Ids are hexadecimal strings,
/// because many readers of JSON round large numbers.
std::string status_json(const protocol::StatusReply& status, const std::string& endpoint);

}  // namespace achilles::cli
