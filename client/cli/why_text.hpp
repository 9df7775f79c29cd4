// What `achilles status --why JOB` prints, as functions from the broker's answer to text. Pure.
#pragma once

#include <string>

#include "protocol/messages.hpp"

namespace achilles::cli {

/// For people: what the job waits for, then what happened to it.
std::string why_text(const protocol::WhyReply& why);

/// For programs: one JSON object with "job", "reasons" and "story".
std::string why_json(const protocol::WhyReply& why);

}  // namespace achilles::cli
