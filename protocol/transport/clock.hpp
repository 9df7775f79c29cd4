// The one place that reads a clock.
#pragma once

#include "protocol/time.hpp"

namespace achilles::protocol {

/// Steady: never goes back, says nothing about the time of day. From any thread.
TimePoint now();

}  // namespace achilles::protocol
