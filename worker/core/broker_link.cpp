#include "worker/core/broker_link.hpp"

#include <algorithm>
#include <utility>

#include "protocol/mutant.hpp"

namespace achilles::worker {

using protocol::mutant;
using protocol::Mutant;

void BrokerLink::say_hello(protocol::TimePoint now, Commands& out) {
  stage_ = Stage::kHello;
  ++hello_.incarnation;
  send(now, hello_, out);
}

void BrokerLink::hello_later(protocol::TimePoint now) {
  stage_ = Stage::kHello;
  last_sent_ = now;
}

void BrokerLink::send(protocol::TimePoint now, protocol::Message message, Commands& out) {
  last_sent_ = now;
  out.push_back(SendToBroker{std::move(message)});
}

BrokerLink::Answer BrokerLink::welcome(protocol::TimePoint now, const protocol::Welcome& welcome) {
  if (welcome.incarnation != hello_.incarnation) return Answer::kStale;
  if (stage_ == Stage::kSession) {
    const bool same = welcome.boot == boot_ && welcome.session == session_;
    return same ? Answer::kStale : Answer::kOtherSession;
  }
  stage_ = Stage::kSession;
  boot_ = welcome.boot;
  session_ = welcome.session;
  interval_ = protocol::kHeartbeatInterval;
  if (welcome.heartbeat_interval_ms > 0) {
    // Shorter than this, heartbeats would be all that is sent.
    const std::uint32_t shortest_ms = 10;
    interval_ = std::chrono::milliseconds(std::max(welcome.heartbeat_interval_ms, shortest_ms));
  }
  last_heard_ = now;
  return Answer::kOpened;
}

bool BrokerLink::lost(protocol::TimePoint now) const {
  if (mutant(Mutant::kBrokersSilenceIgnored)) return false;
  return stage_ != Stage::kClosed && now >= last_heard_ + patience();
}

protocol::Duration BrokerLink::patience() const {
  const bool short_of_it = stage_ == Stage::kHello && others_to_try_;
  return (short_of_it ? protocol::kSuspectAfter : protocol::kLostAfter) * interval_;
}

void BrokerLink::expire(protocol::TimePoint now, Commands& out) {
  if (stage_ == Stage::kClosed || now < last_sent_ + interval_) return;
  if (stage_ == Stage::kHello) {
    say_hello(now, out);
  } else {
    send(now, protocol::Heartbeat{session_}, out);
    if (mutant(Mutant::kHeartbeatsForgotten)) out.pop_back();
  }
}

std::optional<protocol::TimePoint> BrokerLink::deadline() const {
  if (stage_ == Stage::kClosed) return std::nullopt;
  return std::min(last_sent_ + interval_, last_heard_ + patience());
}

}  // namespace achilles::worker
