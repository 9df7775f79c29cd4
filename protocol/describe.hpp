// Messages for people: one line, with byte strings shortened to their sizes.
#pragma once

#include <string>

#include "protocol/messages.hpp"

namespace achilles::protocol {

/// SUBMIT job=7f3a9c21/4 chunks=[{first=0 items={count=3 stride=8 24 bytes}}]
std::string describe(const Message& message);

}  // namespace achilles::protocol
