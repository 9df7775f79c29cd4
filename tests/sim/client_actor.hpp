// The client's core, and users that loop over its jobs as the Pool's shell lets them: a thread
// that waits is looked at again only when the core wakes it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/core/session.hpp"
#include "tests/sim/actor.hpp"
#include "tests/sim/event_queue.hpp"
#include "tests/sim/plan.hpp"

namespace achilles::sim {

class World;
struct JobRecord;

class ClientActor final : public Party {
 public:
  ClientActor(World& world, const ClientPlan& plan);

  /// The user's program is killed, and run again after a while: another client, from the beginning.
  void crash(p::Duration down);
  bool up() const { return session_ != nullptr; }

  /// All threads have done all their loops.
  bool over() const;
  bool idle() const { return !session_ || (!session_->has_jobs() && inbox_.empty()); }
  /// Where its threads are, for people.
  std::string describe() const;

  void receive(p::Message message) override {
    if (session_) inbox_.push(client::BrokerMessage{std::move(message)});
  }
  void broker_there(std::size_t broker) override {
    if (session_) inbox_.push(client::BrokerThere{broker});
  }
  bool has_news() const override { return session_ && !inbox_.empty(); }
  std::optional<p::TimePoint> next_deadline() const override;
  void turn() override;

 private:
  struct Loop {
    p::JobId job;
    JobRecord* record = nullptr;
    std::uint64_t submitted = 0;
    bool input_ended = false;
    std::vector<bool> seen;
    std::uint64_t taken = 0;
    std::uint64_t next_inner = 0;
    std::uint64_t largest_result = 0;  ///< What the dearest one cost.
  };
  struct Thread {
    ThreadPlan plan;
    std::size_t next_job = 0;
    std::vector<Loop> loops;  ///< The innermost one is the last.
    p::TimePoint busy_until{};
    bool waits = false;
  };

  void start();
  void start_after(p::Duration down);
  void leave();
  /// One thing that the thread does. False: it waits, is busy, or is over.
  bool advance(Thread& thread);
  void open(Thread& thread, const JobPlan& plan);
  void submit(Loop& loop, std::uint64_t count);
  void take(Thread& thread);
  void check(Loop& loop, const p::ChunkResult& piece);
  void check_item(const Loop& loop, p::ItemIndex item, const p::ItemError* error,
                  std::span<const std::byte> value);
  void check_crashed(const Loop& loop, p::ItemIndex item, const p::ErrorRecord& error);
  Loop* find_loop(p::JobId job);
  /// How many are of jobs that are open.
  std::uint64_t note_costs(const p::Results& results);
  void check_credit();
  void failed(Thread& thread, const p::ErrorRecord& failure);
  void close(Thread& thread);
  void step(client::Event event);
  void carry_out(bool judging = false);

  World& world_;
  ClientPlan plan_;
  std::unique_ptr<client::Session> session_;
  std::uint64_t life_ = 0;
  p::ClientId id_;
  std::vector<Thread> threads_;
  std::uint64_t last_job_ = 0;
  EventQueue<client::Event> inbox_;
  client::Commands out_;
  std::uint64_t steps_ = 0;
  std::uint64_t accepted_ = 0;  ///< Results, in this step.
};

}  // namespace achilles::sim
