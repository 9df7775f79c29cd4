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
/// Nobody may be given up for lost after a shorter silence, by the alert time of who gives up.
inline constexpr p::Duration kSilenceMin = p::kLostAfter * p::kHeartbeatInterval;
/// Whoever was stalled for so long need not have noticed; of longer stalls, so much may count.
inline constexpr p::Duration kUnnoticedMax = 2 * p::kHeartbeatInterval;

/// How long the broker waits for a client that fell silent: less than usual, so that stopped
/// clients come back before and after.
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
      const p::Duration last = stalled_until_ - stalled_from_;
      stalls_ += last;
      noticed_stalls_ += std::max(last - kUnnoticedMax, p::Duration{});
      stalled_from_ = now;
      stalled_until_ = now;
    }
    stalled_until_ = std::max(stalled_until_, until);
  }
  p::TimePoint stalled_until() const { return stalled_until_; }
  /// For how long it has run: its age without its stalls.
  p::Duration awake(p::TimePoint now) const {
    return now.time_since_epoch() - stalls_ - last_stall(now);
  }
  /// Its age without what it must have noticed of its stalls: no core thinks that more time passed.
  p::Duration alert(p::TimePoint now) const {
    const p::Duration last = last_stall(now);
    return now.time_since_epoch() - noticed_stalls_ - std::max(last - kUnnoticedMax, p::Duration{});
  }

  /// The least that this was when it took in what comes to it now: a stall may end unnoticed that
  /// began before.
  p::Duration alert_when_hearing(p::TimePoint now) const {
    if (!stalled(now)) return alert(now);
    return now.time_since_epoch() - noticed_stalls_ - last_stall(now);
  }

 private:
  p::Duration last_stall(p::TimePoint now) const {
    const p::TimePoint until = std::min(now, stalled_until_);
    return until > stalled_from_ ? until - stalled_from_ : p::Duration{};
  }

  p::TimePoint stalled_from_{};
  p::TimePoint stalled_until_{};
  p::Duration stalls_{};          ///< All but the last one.
  p::Duration noticed_stalls_{};  ///< Of these, what was too long to be overlooked.

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
  /// It asked, and this broker of the list answered.
  virtual void broker_there(std::size_t broker) = 0;
  /// Added to the latency of its connection.
  virtual p::Duration far_away() const { return {}; }
  /// The link to the broker, and when it last brought something, in the party's alert time.
  broker::PeerId peer;
  p::Duration heard_at{};
};

}  // namespace achilles::sim
