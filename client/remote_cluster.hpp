// RemoteCluster: a broker far away, over ZeroMQ.
//
// Thread ownership: as Cluster says; the socket is only touched under the engine's mutex, whichever
// thread holds it.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "client/cluster.hpp"
#include "client/own_program.hpp"
#include "protocol/hop.hpp"
#include "protocol/transport/broker_question.hpp"
#include "protocol/transport/socket.hpp"

namespace achilles::client {

class RemoteCluster final : public Cluster {
 public:
  /// Connects to the first of `endpoints`, of which there is one at least. Throws
  /// std::invalid_argument when it is malformed. Does not wait for the broker.
  RemoteCluster(std::vector<std::string> endpoints, std::shared_ptr<const OwnProgram> program);
  /// Says goodbye; waits up to a second until that is out.
  ~RemoteCluster() override;

  void carry_out(SendToBroker command) override;
  void carry_out(Reconnect command) override;
  void carry_out(AskWhetherThere command) override;
  void carry_out(ServeProgram command) override;
  void turn(protocol::TimePoint now, std::vector<Event>& events) override;
  int ready_fd() const override { return socket_->poll_fd(); }
  std::optional<protocol::TimePoint> next_deadline() const override;
  bool needs_heartbeats() const override { return true; }
  std::string description() const override { return "the broker at " + endpoints_[broker_]; }

 private:
  void connect(std::size_t broker);
  void send(const protocol::Message& message);
  void flush();

  std::vector<std::string> endpoints_;
  std::size_t broker_ = 0;  ///< The present one.
  std::shared_ptr<const OwnProgram> program_;
  protocol::Context context_;
  std::unique_ptr<protocol::DealerSocket> socket_;
  /// Whether another broker is there.
  std::optional<protocol::BrokerQuestion> question_;
  protocol::Hop hop_{protocol::Hop::End::kPeer};
  bool more_to_receive_ = false;
  protocol::TimePoint last_turn_;
};

}  // namespace achilles::client
