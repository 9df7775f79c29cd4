// Cluster: where a Pool's messages go. Either the three cores in this process, or a broker far
// away.
//
// Thread ownership: everything under the engine's mutex; ready_fd's number may be polled without
// it.
#pragma once

#include <optional>
#include <vector>

#include "client/core/commands.hpp"
#include "client/core/events.hpp"
#include "protocol/time.hpp"

namespace achilles::client {

class Cluster {
 public:
  Cluster() = default;
  virtual ~Cluster() = default;
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  virtual void carry_out(SendToBroker command) = 0;
  virtual void carry_out(Reconnect command) = 0;
  virtual void carry_out(AskWhetherThere command) = 0;
  virtual void carry_out(ServeProgram command) = 0;

  /// Moves everything that can move without blocking; what it means for the client is appended.
  virtual void turn(protocol::TimePoint now, std::vector<Event>& events) = 0;
  /// Readable when turn has something to do.
  virtual int ready_fd() const = 0;
  /// When turn has something to do all the same.
  virtual std::optional<protocol::TimePoint> next_deadline() const = 0;
  /// Wants to be driven even while the client has no job: a broker expects heartbeats.
  virtual bool needs_heartbeats() const = 0;
  virtual std::vector<int> task_pids() const { return {}; }
  /// For messages: "the broker at tcp://…", "the embedded cluster".
  virtual std::string description() const = 0;
};

}  // namespace achilles::client
