#include "protocol/broker_choice.hpp"

#include <algorithm>

namespace achilles::protocol {

void BrokerChoice::joined(TimePoint now) {
  moved_back_ = false;
  if (current_ == 0) {
    ask_every_ = kAskEarlierEvery;
    return ask_due_.reset();
  }
  next_asked_ = 0;
  ask_due_ = now + ask_every_;
}

void BrokerChoice::lost() {
  ask_due_.reset();
  current_ = current_ == 0 && several() ? 1 : 0;
}

void BrokerChoice::unanswered() {
  ask_due_.reset();
  if (moved_back_) ask_every_ = std::min(2 * ask_every_, kAskEarlierEveryMax);
  moved_back_ = false;
  current_ = (current_ + 1) % count_;
}

std::optional<std::size_t> BrokerChoice::take_due(TimePoint now) {
  if (!ask_due_ || *ask_due_ > now) return std::nullopt;
  ask_due_ = now + ask_every_;
  const std::size_t asked = next_asked_;
  next_asked_ = (next_asked_ + 1) % current_;
  return asked;
}

bool BrokerChoice::answered(std::size_t broker) {
  if (!ask_due_ || broker >= current_) return false;
  ask_due_.reset();
  current_ = broker;
  moved_back_ = true;
  return true;
}

}  // namespace achilles::protocol
