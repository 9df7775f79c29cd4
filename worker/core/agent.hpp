// The worker's core: slots, task processes and what runs where.
//
// Pure: no socket, no thread, no clock. Events go in, commands come out. One owner, no locking.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "protocol/time.hpp"
#include "worker/core/commands.hpp"
#include "worker/core/events.hpp"

namespace achilles::worker {

struct AgentOptions {
  protocol::WorkerId id;
  std::string name;
  std::string host;
  std::uint32_t pid = 0;
  std::uint32_t slots = 1;
  /// How many brokers there are to choose from. connect is to the first; Reconnect names another.
  std::size_t brokers = 1;
  /// Payload bytes of assigned, unfinished chunks.
  std::uint64_t window_bytes = 64ULL << 20;
  /// Results that wait here for a GRANT; beyond it no chunk is begun that is not granted.
  std::uint64_t held_result_bytes_max = 64ULL << 20;
  /// Idle task processes kept warm for programs other than the ones in use.
  std::uint32_t warm_tasks_max = 8;
};

class Agent {
 public:
  Agent(AgentOptions options, protocol::TimePoint now);
  ~Agent();

  /// Says HELLO. Call once, and again after each Reconnect has been carried out.
  /// After Leave, all calls do nothing.
  void connect(protocol::TimePoint now, Commands& out);
  void step(protocol::TimePoint now, Event event, Commands& out);
  /// Hands chunks to task processes. Call when no more events are at hand, and after expire.
  void settle(protocol::TimePoint now, Commands& out);
  void expire(protocol::TimePoint now, Commands& out);
  std::optional<protocol::TimePoint> next_deadline() const;

  bool idle() const;
  /// Throws std::logic_error naming the first broken invariant. For tests.
  void check_invariants() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::worker
