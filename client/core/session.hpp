// The client's core: its jobs, what of them is at the broker, and which results the user may take.
//
// Pure: no socket, no thread, no clock. Events go in, commands come out; questions are const, and
// the one other entrance is take_result. One owner, no locking.
//
// Invariants:
// 1. Each submitted item's input is kept until its result is accepted; each result is accepted
// once.
// 2. A job's chunks at the broker stay within its window; its results within its credit, except the
//    one that its user waits for.
// 3. Jobs do not touch each other: one job's unread results never hold up another's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "client/core/commands.hpp"
#include "client/core/events.hpp"
#include "protocol/time.hpp"

namespace achilles::client {

struct SessionOptions {
  protocol::ClientId id;
  std::string name;
  std::string host;
  std::uint32_t pid = 0;
  /// How many there are to choose from. connect is to the first; Reconnect names another.
  std::size_t brokers = 1;
  /// How long a broker may be out of reach before jobs fail; 0: for ever.
  protocol::Duration connect_timeout = std::chrono::seconds(30);
  /// Results of one job that may wait here for their user, in bytes.
  std::uint64_t result_bytes_max = 8ULL << 20;
};

class Session {
 public:
  Session(SessionOptions options, protocol::TimePoint now);
  ~Session();

  /// Says HELLO. Call once, and again after each Reconnect has been carried out.
  void connect(protocol::TimePoint now, Commands& out);
  void step(protocol::TimePoint now, Event event, Commands& out);
  void expire(protocol::TimePoint now, Commands& out);
  std::optional<protocol::TimePoint> next_deadline() const;

  /// The job's next result can be taken now.
  bool has_result(protocol::JobId job) const;
  /// REQUIRES: has_result(job).
  protocol::ChunkResult take_result(protocol::TimePoint now, protocol::JobId job, Commands& out);
  /// There is room for another chunk.
  bool wants_input(protocol::JobId job) const;
  /// How many items it should hold.
  std::uint64_t next_chunk_items(protocol::JobId job) const;
  /// How many of them may come in one ChunkClosed. REQUIRES: wants_input(job).
  std::uint64_t chunks_wanted(protocol::JobId job) const;
  /// The largest item, or chunk of several, that can be sent.
  std::uint64_t max_payload_bytes() const;
  /// All input was submitted and every result taken.
  bool finished(protocol::JobId job) const;
  /// Why the job cannot go on: what the broker said of it, or that there is no broker.
  const protocol::ErrorRecord* failure(protocol::JobId job) const;
  /// Why there is no broker, once connect_timeout has passed without one.
  const std::optional<std::string>& unreachable() const;
  bool connected() const;
  bool has_jobs() const;
  /// Results of the job that wait for their user, by what they cost. For tests.
  std::uint64_t unread_bytes(protocol::JobId job) const;

  /// Throws std::logic_error naming the first broken invariant. For tests.
  void check_invariants() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::client
