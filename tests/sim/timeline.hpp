// Virtual time: what happens when, in an order that depends on nothing but the seed. Of two things
// that happen at one moment, the one that was planned first happens first.
//
// A heap of small entries; what happens lies beside it in places that are used again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "protocol/time.hpp"
#include "tests/sim/random.hpp"

namespace achilles::sim {

template <class Happening>
class Timeline {
 public:
  p::TimePoint now{1h};

  /// Since the beginning.
  p::Duration elapsed() const { return now - p::TimePoint(1h); }

  void after(p::Duration delay, Happening what) {
    std::uint32_t place = static_cast<std::uint32_t>(places_.size());
    if (free_.empty()) {
      places_.push_back(std::move(what));
    } else {
      place = free_.back();
      free_.pop_back();
      places_[place] = std::move(what);
    }
    heap_.push_back({now + delay, ++last_, place});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  std::optional<p::TimePoint> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at;
  }
  /// The next of what was to happen by now.
  std::optional<Happening> take_due() {
    if (heap_.empty() || heap_.front().at > now) return std::nullopt;
    const std::uint32_t place = heap_.front().place;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
    free_.push_back(place);
    return std::exchange(places_[place], Happening{});
  }

 private:
  struct Entry {
    p::TimePoint at;
    std::uint64_t order;
    std::uint32_t place;
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  std::vector<Entry> heap_;
  std::vector<Happening> places_;
  std::vector<std::uint32_t> free_;
  std::uint64_t last_ = 0;
};

}  // namespace achilles::sim
