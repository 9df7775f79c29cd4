// The broker's core: which chunk goes to which worker, and what becomes of it.
//
// Pure: no socket, no thread, no clock. Events go in, commands come out. One owner, no locking.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "broker/core/commands.hpp"
#include "broker/core/events.hpp"
#include "protocol/time.hpp"

namespace achilles::broker {

struct SchedulerOptions {
  protocol::BootId boot;
  protocol::Duration heartbeat_interval = std::chrono::seconds(1);
  /// For the status: who this broker is.
  std::string host;
  std::uint32_t pid = 0;
  /// What one job may keep at the broker, unfinished.
  std::uint64_t job_window_bytes = 8ULL << 20;
  std::uint64_t max_payload_bytes = 1ULL << 30;
  /// Jobs that one client may have open.
  std::uint64_t client_jobs_max = 10'000;
  /// Bytes of unfinished chunks and of bound values, of all jobs. At it, no more jobs are opened;
  /// those that are go on within their windows.
  std::uint64_t kept_bytes_max = 8ULL << 30;
  /// A client that falls silent is waited for so long: it may be stopped, or in a debugger.
  protocol::Duration client_grace = std::chrono::minutes(5);
  /// One whose connection is gone: it is dead, or makes a new one at once.
  protocol::Duration client_reconnect = std::chrono::seconds(10);
  /// How long peers have to answer the broker's BYE.
  protocol::Duration farewell_max = std::chrono::seconds(2);
};

class Scheduler {
 public:
  Scheduler(SchedulerOptions options, protocol::TimePoint now);
  ~Scheduler();

  /// Takes one event in. Hands out no chunks yet: that is settle's, once for a whole batch of
  /// events.
  void step(protocol::TimePoint now, Event event, Commands& out);
  /// Hands out chunks, windows and grants. Call when no more events are at hand, and after expire.
  void settle(protocol::TimePoint now, Commands& out);
  /// Does what is due: heartbeats, lost peers. A spurious call does nothing.
  void expire(protocol::TimePoint now, Commands& out);
  /// When expire has something to do next.
  std::optional<protocol::TimePoint> next_deadline() const;

  /// Says BYE to every peer that has a session: the broker is about to stop. From now on it takes
  /// nothing in but their answers. What has arrived at a peer and was not read yet is lost with the
  /// connection, so the broker stays until all have answered, or have had farewell_max for it.
  void farewell(protocol::TimePoint now, const std::string& reason, Commands& out);
  /// After farewell: nobody's answer is waited for any more.
  bool left(protocol::TimePoint now) const;

  /// Nothing assigned, nothing queued, no job open. For tests and for shutting down.
  bool idle() const;
  /// Nobody is known, nothing is kept but programs that were left over. For tests.
  bool empty() const;
  /// Throws std::logic_error naming the first broken invariant across the tables. For tests.
  void check_invariants() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::broker
