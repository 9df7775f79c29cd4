// EventQueue: what waits for an actor, in order. Side by side in one block, which is used again
// once all is taken: a deque's blocks hold two events, and come and go with them.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace achilles::sim {

template <class Event>
class EventQueue {
 public:
  bool empty() const { return taken_ == events_.size(); }
  void push(Event event) { events_.push_back(std::move(event)); }
  const Event& front() const { return events_[taken_]; }
  /// REQUIRES: it is not empty.
  Event take() {
    Event event = std::move(events_[taken_++]);
    if (empty()) clear();
    return event;
  }
  void clear() {
    events_.clear();
    taken_ = 0;
  }
  template <class Predicate>
  void erase_if(Predicate goes) {
    events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
    std::erase_if(events_, goes);
  }

 private:
  std::vector<Event> events_;
  std::size_t taken_ = 0;  ///< The first so many are gone.
};

}  // namespace achilles::sim
