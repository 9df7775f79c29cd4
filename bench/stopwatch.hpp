// Stopwatch: wall-clock seconds since it was made.
#pragma once

#include <chrono>

namespace achilles::bench {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace achilles::bench
