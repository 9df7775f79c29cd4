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
    rise({now + delay, ++last_, place});
  }
  std::optional<p::TimePoint> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at;
  }
  /// The next of what was to happen by now.
  std::optional<Happening> take_due() {
    if (heap_.empty() || heap_.front().at > now) return std::nullopt;
    const std::uint32_t place = heap_.front().place;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(last);
    free_.push_back(place);
    return std::move(places_[place]);
  }

 private:
  struct Entry {
    p::TimePoint at;
    std::uint64_t order;
    std::uint32_t place;
    bool before(const Entry& other) const {
      return at != other.at ? at < other.at : order < other.order;
    }
  };
  /// A heap in which each entry comes before its four children: half as deep as one of two.
  static constexpr std::size_t kChildren = 4;

  void rise(const Entry& entry) {
    std::size_t hole = heap_.size();
    heap_.push_back(entry);
    while (hole > 0) {
      const std::size_t parent = (hole - 1) / kChildren;
      if (!entry.before(heap_[parent])) break;
      heap_[hole] = heap_[parent];
      hole = parent;
    }
    heap_[hole] = entry;
  }
  /// From the top, which is free.
  void sink(const Entry& entry) {
    std::size_t hole = 0;
    while (true) {
      const std::size_t first = hole * kChildren + 1;
      if (first >= heap_.size()) break;
      std::size_t best = first;
      const std::size_t end = std::min(first + kChildren, heap_.size());
      for (std::size_t child = first + 1; child < end; ++child) {
        if (heap_[child].before(heap_[best])) best = child;
      }
      if (!heap_[best].before(entry)) break;
      heap_[hole] = heap_[best];
      hole = best;
    }
    heap_[hole] = entry;
  }

  std::vector<Entry> heap_;
  std::vector<Happening> places_;
  std::vector<std::uint32_t> free_;
  std::uint64_t last_ = 0;
};

}  // namespace achilles::sim
