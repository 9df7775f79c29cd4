// Actors: the machines of a simulated world. Each has a core, an inbox, and a small shell between
// them that does what the real shell does.
#pragma once

#include <algorithm>
#include <optional>

#include "broker/core/events.hpp"
#include "protocol/limits.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"
#include "tests/sim/random.hpp"

namespace achilles::sim {

/// Messages that a shell takes in before its timers have their turn, as in the real ones.
inline constexpr std::size_t kMessagesPerTurn = 256;
/// Nobody may be given up for lost after a shorter silence, by the awake time of who gives up: five
/// intervals, but whoever was stalled for less than two need not have noticed.
inline constexpr p::Duration kSilenceMin = (p::kLostAfter - 2) * p::kHeartbeatInterval;

/// How long the broker waits for a client that fell silent: less than usual, so that stopped clients
/// come back before and after.
inline constexpr p::Duration kClientGrace = 30s;

/// Whoever has time and deadlines. An actor that is stalled (a stopped process, a suspended
/// machine) is not called; what came for it meanwhile is read first when it goes on.
class Actor {
 public:
  Actor() = default;
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;
  virtual ~Actor() = default;
  /// Something waits in its inbox.
  virtual bool has_news() const = 0;
  virtual std::optional<p::TimePoint> next_deadline() const = 0;
  /// Takes in what waits, then does what is due.
  virtual void turn() = 0;

  bool stalled(p::TimePoint now) const { return stalled_until_ > now; }
  /// Once more makes it longer.
  void stall(p::TimePoint now, p::TimePoint until) {
    if (!stalled(now)) {
      stalls_ += stalled_until_ - stalled_from_;
      stalled_from_ = now;
      stalled_until_ = now;
    }
    stalled_until_ = std::max(stalled_until_, until);
  }
  p::TimePoint stalled_until() const { return stalled_until_; }
  /// For how long it has run: its age without its stalls.
  p::Duration awake(p::TimePoint now) const {
    const p::TimePoint until = std::min(now, stalled_until_);
    const p::Duration last_stall = until > stalled_from_ ? until - stalled_from_ : p::Duration{};
    return now.time_since_epoch() - stalls_ - last_stall;
  }

 private:
  p::TimePoint stalled_from_{};
  p::TimePoint stalled_until_{};
  p::Duration stalls_{};  ///< All but the last one.

  friend class World;
  bool listed_ = false;                          ///< It gets a turn at this moment.
  p::TimePoint wakes_at_ = p::TimePoint::max();  ///< The wake that counts.
  p::TimePoint turned_at_{};
  int turns_at_once_ = 0;
};

/// A client or a worker: an actor with a connection to the broker.
class Party : public Actor {
 public:
  virtual void receive(p::Message message) = 0;
  /// Added to the latency of its connection.
  virtual p::Duration far_away() const { return {}; }
  /// The link to the broker, and when it last brought something, in the party's awake time.
  broker::PeerId peer;
  p::Duration heard_at{};
};

}  // namespace achilles::sim
