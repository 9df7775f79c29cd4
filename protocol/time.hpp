// Time as the cores see it: a number they are given, never one they ask for.
//
// CoreClock has no now(): only protocol/transport reads a clock. A test or a simulator makes time
// up.
#pragma once

#include <chrono>

namespace achilles::protocol {

using Duration = std::chrono::nanoseconds;

struct CoreClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<CoreClock, Duration>;
  static constexpr bool is_steady = true;
};

using TimePoint = CoreClock::time_point;

}  // namespace achilles::protocol
