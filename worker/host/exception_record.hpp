// Exceptions as plain data.
#pragma once

#include "protocol/errors.hpp"

namespace achilles::host {

/// The exception being handled and those nested in it, outermost first. Call inside a catch block.
/// Never throws: what cannot be told is left out.
std::vector<protocol::Cause> describe_current_exception() noexcept;

}  // namespace achilles::host
