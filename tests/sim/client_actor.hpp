// The client's core, and users that loop over its jobs as the Pool's shell lets them: a thread
// that waits is looked at again only when the core wakes it.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "client/core/session.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {

class ClientActor final : public Party {
 public:
  ClientActor(World& world, const ClientPlan& plan, std::uint64_t id);

  /// All threads have done all their loops.
  bool over() const;
  /// Where its threads are, for people.
  std::string describe() const;

  void receive(p::Message message) override {
    inbox_.push_back(client::BrokerMessage{std::move(message)});
  }
  bool has_news() const override { return !inbox_.empty(); }
  std::optional<p::TimePoint> next_deadline() const override;
  void turn() override;

 private:
  struct Loop {
    p::JobId job;
    std::uint64_t submitted = 0;
    bool input_ended = false;
    std::vector<bool> seen;
    std::uint64_t taken = 0;
    std::uint64_t next_inner = 0;
  };
  struct Thread {
    ThreadPlan plan;
    std::size_t next_job = 0;
    std::vector<Loop> loops;  ///< The innermost one is the last.
    p::TimePoint busy_until{};
    bool waits = false;
  };

  /// One thing that the thread does. False: it waits, is busy, or is over.
  bool advance(Thread& thread);
  void open(Thread& thread, const JobPlan& plan);
  void submit(Loop& loop, std::uint64_t count);
  void take(Thread& thread);
  void check(Loop& loop, const p::ChunkResult& piece);
  void check_item(const JobPlan& plan, p::ItemIndex item, const p::ItemError* error,
                  std::span<const std::byte> value);
  void close(Thread& thread);
  void step(client::Event event);
  void carry_out();

  World& world_;
  client::Session session_;
  p::ClientId id_;
  std::vector<Thread> threads_;
  std::uint64_t last_job_ = 0;
  std::deque<client::Event> inbox_;
  client::Commands out_;
};

}  // namespace achilles::sim
