// BrokerChoice: which of several brokers a client or worker is with.
//
// Pure; owned by its core. Brokers do not know of each other, so all who are given the same list
// must come to the same broker by themselves: each takes the first in the list that answers, and
// one that is with a later broker looks from time to time whether an earlier one answers again.
//
// Invariants:
//  1. current() is an index into the list.
//  2. There is something to ask only while a session is with another broker than the first.
#pragma once

#include <cstddef>
#include <optional>

#include "protocol/time.hpp"

namespace achilles::protocol {

/// Shorter than a broker withholds what came from another one, so that workers and clients that
/// move meet before anything runs twice.
inline constexpr Duration kAskEarlierEvery = std::chrono::seconds(2);
/// Of a broker that answered and then was no good: twice as long each time.
inline constexpr Duration kAskEarlierEveryMax = std::chrono::minutes(1);

class BrokerChoice {
 public:
  /// REQUIRES: count > 0.
  explicit BrokerChoice(std::size_t count) : count_(count) {}

  bool several() const { return count_ > 1; }
  std::size_t current() const { return current_; }

  /// There is a session with the current one.
  void joined(TimePoint now);
  /// The session is over, and the next one is to be with the same broker.
  void stays() { ask_due_.reset(); }
  /// It fell silent, or left: from the top, but not to itself.
  void lost();
  /// There was no answer: the next one.
  void unanswered();

  std::optional<TimePoint> next_due() const { return ask_due_; }
  /// The earlier broker to ask now; the next one another time.
  std::optional<std::size_t> take_due(TimePoint now);
  /// One that was asked has answered. True: go there.
  bool answered(std::size_t broker);

 private:
  std::size_t count_;
  std::size_t current_ = 0;
  std::size_t next_asked_ = 0;
  bool moved_back_ = false;  ///< To the current one, because it answered; no session yet.
  Duration ask_every_ = kAskEarlierEvery;
  std::optional<TimePoint> ask_due_;
};

}  // namespace achilles::protocol
