// ShortWaits: whether a wait is likely to be over before it is worth going to sleep.
//
// To be woken takes some 10 to 30 us, most of what a short call takes. A thread whose last waits
// were shorter than that looks again and again for a while instead; one whose waits are long, or
// get long because it takes the processor from whom it waits for, sleeps at once.
//
// Pure. Thread ownership: whoever waits, or who guards it with a mutex.
#pragma once

#include <algorithm>
#include <chrono>

#include "protocol/time.hpp"

namespace achilles::protocol {

class ShortWaits {
 public:
  /// The longest time to look again and again.
  static constexpr Duration kSpinMax = std::chrono::microseconds(50);

  bool likely() const { return average_ < kSpinMax; }
  void note(Duration waited) { average_ += (std::min(waited, kNotedMax) - average_) / 4; }

 private:
  /// One long wait among short ones is forgotten after a few.
  static constexpr Duration kNotedMax = 8 * kSpinMax;

  Duration average_ = kNotedMax;
};

}  // namespace achilles::protocol
