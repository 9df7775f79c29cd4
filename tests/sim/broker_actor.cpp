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

BrokerActor::BrokerActor(World& world, std::size_t index) : world_(world), index_(index) {
  restart(world.now());
}

void BrokerActor::restart(p::TimePoint begins) {
  broker::SchedulerOptions options;
  options.boot = {++boots_ + index_ * 1000};
  options.host = "broker";
  options.job_window_bytes = world_.plan().job_window_bytes;
  options.client_grace = kClientGrace;
  inbox_.clear();
  mirror_ = {};
  down_.reset();
  scheduler_ = std::make_unique<broker::Scheduler>(std::move(options), begins);
}

void BrokerActor::stop(p::Duration down) {
  down_ = down;
  scheduler_->farewell(world_.now(), "it was told to stop", out_);
  carry_out(0, 0);
}

void BrokerActor::turn() {
  ++world_.count().broker_turns;
  batch_.clear();
  while (!inbox_.empty() && batch_.size() < kMessagesPerTurn) {
    mirror_.heard(inbox_.front());
    batch_.push_back(inbox_.take());
    if (meter_ != nullptr) meter_->own(batch_.back());
  }
  const auto [judged_from, judged_to] = work();
  carry_out(judged_from, judged_to);
  if (const auto fault = mirror_.fault()) world_.fail(*fault);
  if (down_ && scheduler_->left(world_.now())) world_.replace_broker(index_, *down_);
}

std::pair<std::size_t, std::size_t> BrokerActor::work() {
  const Metered metered(meter_);
  const p::TimePoint now = world_.now();
  for (auto& event : batch_) {
    scheduler_->step(now, std::move(event), out_);
    check();
  }
  const std::size_t judged_from = out_.size();
  if (const auto due = scheduler_->next_deadline(); due && *due <= now) {
    scheduler_->expire(now, out_);
    check();
  }
  const std::size_t judged_to = out_.size();
  scheduler_->settle(now, out_);
  check();
  return {judged_from, judged_to};
}

void BrokerActor::check() {
  ++world_.count().steps;
  if (world_.to_be_checked(steps_)) scheduler_->check_invariants();
}

void BrokerActor::carry_out(std::size_t judged_from, std::size_t judged_to) {
  carried_out_ = std::exchange(out_, {});
  for (std::size_t i = 0; i < carried_out_.size(); ++i) {
    const auto* gone = std::get_if<broker::ForgetPeer>(&carried_out_[i]);
    const bool was_in_session = gone != nullptr && mirror_.in_session(gone->peer);
    mirror_.told(carried_out_[i]);
    if (auto* send = std::get_if<broker::SendMessage>(&carried_out_[i])) {
      const auto* rejected = std::get_if<p::Rejected>(&send->message);
      // Over a connection that ended, a HELLO may come after its successor's.
      const bool may_be = rejected == nullptr ||
                          rejected->reason == p::RejectReason::kUnknownSession ||
                          !world_.network().leads_to_party(send->peer);
      if (!may_be) world_.fail("a message was rejected: " + rejected->detail);
      world_.network().send_to_peer(index_, send->peer, std::move(send->message));
    } else if (const auto* forget = std::get_if<broker::ForgetPeer>(&carried_out_[i])) {
      if (i < judged_from || i >= judged_to || !was_in_session) continue;
      // Nobody is lost because the broker itself slept, nor while something of it waits unread.
      const p::Duration silence = alert(world_.now()) - world_.network().heard_at(forget->peer);
      world_.demand(silence >= kSilenceMin, "the broker gave up a peer that was not silent");
      world_.demand(!world_.was_calm(), "a peer is lost although nothing is wrong");
    }
  }
  carried_out_.clear();
}

}  // namespace achilles::sim
