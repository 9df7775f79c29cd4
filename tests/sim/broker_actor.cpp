#include "tests/sim/broker_actor.hpp"

#include <utility>

#include "protocol/codec.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {
namespace {

class Metered {
 public:
  explicit Metered(Meter* meter) : meter_(meter) {
    if (meter_ != nullptr) meter_->begins();
  }
  ~Metered() {
    if (meter_ != nullptr) meter_->ends();
  }
  Metered(const Metered&) = delete;
  Metered& operator=(const Metered&) = delete;

 private:
  Meter* meter_;
};

}  // namespace

BrokerActor::BrokerActor(World& world) : world_(world) {
  restart();
}

void BrokerActor::restart() {
  broker::SchedulerOptions options;
  options.boot = {++boots_};
  options.host = "broker";
  options.job_window_bytes = world_.plan().job_window_bytes;
  inbox_.clear();
  mirror_ = {};
  down_.reset();
  scheduler_ = std::make_unique<broker::Scheduler>(std::move(options), world_.now());
}

void BrokerActor::stop(p::Duration down) {
  down_ = down;
  scheduler_->farewell(world_.now(), "it was told to stop", out_);
  carry_out(false);
}

void BrokerActor::turn() {
  ++world_.count().broker_turns;
  for (int i = 0; i < kMessagesPerTurn && !inbox_.empty(); ++i) {
    auto event = std::move(inbox_.front());
    inbox_.pop_front();
    step(std::move(event));
  }
  carry_out(false);
  if (const auto due = scheduler_->next_deadline(); due && *due <= world_.now()) {
    {
      const Metered metered(meter_);
      scheduler_->expire(world_.now(), out_);
    }
    check();
    carry_out(true);
  }
  {
    const Metered metered(meter_);
    scheduler_->settle(world_.now(), out_);
  }
  check();
  carry_out(false);
  if (const auto fault = mirror_.fault()) world_.fail(*fault);
  if (down_ && scheduler_->left(world_.now())) world_.replace_broker(*down_);
}

void BrokerActor::step(broker::Event event) {
  mirror_.heard(event);
  {
    const Metered metered(meter_);
    scheduler_->step(world_.now(), std::move(event), out_);
  }
  check();
}

void BrokerActor::check() {
  ++world_.count().steps;
  if (world_.to_be_checked(steps_)) scheduler_->check_invariants();
}

void BrokerActor::carry_out(bool judging) {
  carried_out_.clear();
  carried_out_.swap(out_);
  for (auto& command : carried_out_) {
    mirror_.told(command);
    if (auto* send = std::get_if<broker::SendMessage>(&command)) {
      const auto* rejected = std::get_if<p::Rejected>(&send->message);
      // Over a connection that ended, a HELLO may come after its successor's.
      const bool may_be = rejected == nullptr ||
                          rejected->reason == p::RejectReason::kUnknownSession ||
                          !world_.network().leads_to_party(send->peer);
      if (!may_be) world_.fail("a message was rejected: " + rejected->detail);
      world_.network().send_to_peer(send->peer, std::move(send->message));
    } else if (const auto* forget = std::get_if<broker::ForgetPeer>(&command)) {
      // Nobody is lost because the broker itself slept, nor while something of it waits unread.
      const p::Duration silence = awake(world_.now()) - world_.network().heard_at(forget->peer);
      world_.demand(!judging || silence >= kSilenceMin,
                    "the broker gave up a peer that was not silent");
      world_.demand(!world_.was_calm() || !judging, "a peer is lost although nothing is wrong");
    }
  }
}

}  // namespace achilles::sim
