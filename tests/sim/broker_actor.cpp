#include "tests/sim/broker_actor.hpp"

#include <utility>

namespace achilles::sim {

void BrokerActor::restart() {
  broker::SchedulerOptions options;
  options.boot = {++boots_};
  options.host = "broker";
  options.job_window_bytes = world_.plan().job_window_bytes;
  inbox_.clear();
  scheduler_ = std::make_unique<broker::Scheduler>(std::move(options), world_.now());
}

void BrokerActor::turn() {
  broker::Commands out;
  while (!inbox_.empty()) {
    auto event = std::move(inbox_.front());
    inbox_.pop_front();
    scheduler_->step(world_.now(), std::move(event), out);
    carry_out(out);
  }
  if (const auto due = scheduler_->next_deadline(); due && *due <= world_.now()) {
    scheduler_->expire(world_.now(), out);
    carry_out(out);
  }
  scheduler_->settle(world_.now(), out);
  carry_out(out);
}

void BrokerActor::carry_out(broker::Commands& commands) {
  world_.note_step();
  scheduler_->check_invariants();
  for (const auto& command : std::exchange(commands, {})) {
    if (const auto* send = std::get_if<broker::SendMessage>(&command)) {
      const auto* rejected = std::get_if<p::Rejected>(&send->message);
      world_.demand(rejected == nullptr || rejected->reason == p::RejectReason::kUnknownSession,
                    rejected == nullptr ? "" : rejected->detail.c_str());
      world_.send_to_peer(send->peer, send->message);
    }
  }
}

}  // namespace achilles::sim
