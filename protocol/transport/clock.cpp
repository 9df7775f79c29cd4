#include "protocol/transport/clock.hpp"

#include <chrono>

namespace achilles::protocol {

TimePoint now() {
  return TimePoint(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

}  // namespace achilles::protocol
