// The conversation with the broker: HELLO until WELCOME, then a session with leases both ways.
//
// Invariants:
//  1. A session is of the newest HELLO only: an answer to an older one is stale.
//  2. In a session something is sent at least once per heartbeat interval.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/limits.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"
#include "worker/core/commands.hpp"

namespace achilles::worker {

class BrokerLink {
 public:
  /// With others to try, a broker that does not answer is waited for less long.
  BrokerLink(protocol::Hello hello, bool others_to_try)
      : hello_(std::move(hello)), others_to_try_(others_to_try) {}

  bool in_session() const { return stage_ == Stage::kSession; }
  bool closed() const { return stage_ == Stage::kClosed; }

  void say_hello(protocol::TimePoint now, Commands& out);
  /// Waits one interval before the next HELLO, lest two sides that disagree storm each other.
  void hello_later(protocol::TimePoint now);
  /// Nothing is expected, nothing sent, until say_hello.
  void close() { stage_ = Stage::kClosed; }
  void send(protocol::TimePoint now, protocol::Message message, Commands& out);
  /// Any sign of life from the broker.
  void heard(protocol::TimePoint now) { last_heard_ = now; }

  enum class Answer : std::uint8_t { kStale, kOpened, kOtherSession };
  Answer welcome(protocol::TimePoint now, const protocol::Welcome& welcome);

  /// The broker was silent for so long that the session, or the wait for one, is lost: the
  /// connection may lead nowhere (a router on the way forgot it, and drops all without a word).
  bool lost(protocol::TimePoint now) const;
  /// The silence after which it is.
  protocol::Duration patience() const;
  /// HELLO again, or a heartbeat, if it is time.
  void expire(protocol::TimePoint now, Commands& out);
  std::optional<protocol::TimePoint> deadline() const;
  /// We did not look for so long: the broker may well have spoken meanwhile.
  void extend(protocol::Duration gap) { last_heard_ += gap; }
  protocol::Duration interval() const { return interval_; }

 private:
  enum class Stage : std::uint8_t { kClosed, kHello, kSession };
  Stage stage_ = Stage::kClosed;
  protocol::Hello hello_;
  bool others_to_try_;
  protocol::BootId boot_;
  protocol::SessionId session_;
  protocol::Duration interval_ = protocol::kHeartbeatInterval;
  protocol::TimePoint last_sent_;
  protocol::TimePoint last_heard_;
};

}  // namespace achilles::worker
