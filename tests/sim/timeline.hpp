// Virtual time: what happens when, in an order that depends on nothing but the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <utility>

#include "protocol/time.hpp"

namespace achilles::sim {

namespace p = achilles::protocol;
using namespace std::chrono_literals;

class Timeline {
 public:
  p::TimePoint now{1h};

  void after(p::Duration delay, std::function<void()> what) {
    queue_.emplace(std::pair(now + delay, ++last_), std::move(what));
  }
  std::optional<p::TimePoint> next() const {
    if (queue_.empty()) return std::nullopt;
    return queue_.begin()->first.first;
  }
  /// All that was to happen by now.
  void fire() {
    while (!queue_.empty() && queue_.begin()->first.first <= now) {
      queue_.extract(queue_.begin()).mapped()();
    }
  }

 private:
  std::map<std::pair<p::TimePoint, std::uint64_t>, std::function<void()>> queue_;
  std::uint64_t last_ = 0;
};

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }
  p::Duration between(p::Duration least, p::Duration most) {
    return least + p::Duration(below(static_cast<std::uint64_t>((most - least).count()) + 1));
  }
  bool chance(std::uint64_t percent) { return below(100) < percent; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace achilles::sim
