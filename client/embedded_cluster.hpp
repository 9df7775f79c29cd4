// EmbeddedCluster: broker, worker and task processes inside the Pool's own process.
//
// The same cores as on a network, in one loop: messages are handed over as values, without sockets,
// threads or encoding. Only the task processes are real.
//
// Thread ownership: as Cluster says.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "broker/core/scheduler.hpp"
#include "client/cluster.hpp"
#include "client/own_program.hpp"
#include "worker/core/agent.hpp"
#include "worker/task_manager.hpp"

namespace achilles::client {

class EmbeddedCluster final : public Cluster {
 public:
  EmbeddedCluster(std::uint32_t slots, std::shared_ptr<const OwnProgram> program,
                  protocol::TimePoint now);

  void carry_out(SendToBroker command) override;
  void carry_out(Reconnect command) override;
  void carry_out(AskWhetherThere command) override;
  void carry_out(ServeProgram command) override;
  void turn(protocol::TimePoint now, std::vector<Event>& events) override;
  int ready_fd() const override { return tasks_.ready_fd(); }
  std::optional<protocol::TimePoint> next_deadline() const override;
  bool needs_heartbeats() const override { return false; }
  std::vector<int> task_pids() const override { return tasks_.task_pids(); }
  std::string description() const override { return "the embedded cluster"; }

 private:
  bool move_messages(protocol::TimePoint now, std::vector<Event>& events);
  void carry_out_broker(protocol::TimePoint now, std::vector<Event>& events);
  void carry_out_worker(protocol::TimePoint now);

  std::shared_ptr<const OwnProgram> program_;
  broker::Scheduler scheduler_;
  worker::Agent agent_;
  worker::TaskManager tasks_;
  std::vector<protocol::Message> from_client_;
  broker::Commands broker_commands_;
  worker::Commands worker_commands_;
  std::vector<worker::Event> worker_events_;
};

}  // namespace achilles::client
