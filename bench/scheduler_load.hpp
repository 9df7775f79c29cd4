// SchedulerLoad: the broker's core under a load of tiny chunks, without sockets or real workers.
//
// Any number of workers that answer at once, and a client that submits as many chunks as it gets
// results, so that the queue stays as long as it was. Only the core's own time is measured.
//
// Thread ownership: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "broker/core/scheduler.hpp"

namespace achilles::bench {

class SchedulerLoad {
 public:
  struct Size {
    std::uint64_t workers = 10;
    std::uint64_t queued_items = 1'000;
    std::uint64_t items_of_chunk = 1;
  };
  explicit SchedulerLoad(Size size);

  /// Nanoseconds of the core for a chunk, over so many chunks at least.
  double run(std::uint64_t chunks);

 private:
  void step(std::uint64_t peer, protocol::Message message);
  void settle();
  void take(broker::Commands& commands);
  void take(std::uint64_t peer, protocol::Assign& assign);
  void hello(std::uint64_t peer, protocol::Role role);
  void open_job(std::uint64_t number);
  void submit(std::uint64_t number, std::uint64_t chunks);

  Size size_;
  std::uint64_t jobs_ = 0;
  protocol::TimePoint now_{std::chrono::seconds(1000)};
  broker::Scheduler scheduler_;
  std::vector<broker::Event> events_;                 ///< What the peers say next.
  std::vector<std::uint64_t> next_item_;              ///< Of each job.
  std::map<std::uint64_t, std::uint64_t> to_submit_;  ///< By job: chunks that left the queue.
  protocol::Accepted accepted_;
  std::uint64_t delivered_ = 0;
  double busy_ns_ = 0;
};

}  // namespace achilles::bench
