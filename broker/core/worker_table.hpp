// Workers: what each holds, and which of them should get the next chunk.
//
// A chunk that is done but whose result waits for a GRANT no longer counts against the worker's
// windows: the unread results of one job must not keep another job's chunks away (the consumer of
// the first may be waiting for the second).
// Invariants:
//  1. running, window_bytes_filled, running_ns, budget_ns: sums over the attempts that are at work.
//  2. held_bytes: the sum over the held ones; `holding()` lists the workers where it is not 0.
//  3. slots_: the sum over the workers that do not drain.
//  4. `candidates()` lists the workers that have room, each under its load; settle keeps it so.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/core/attempt_table.hpp"
#include "broker/core/events.hpp"
#include "broker/core/id_table.hpp"
#include "protocol/ascending_map.hpp"
#include "protocol/messages.hpp"
#include "protocol/time.hpp"

namespace achilles::broker {

/// How much work, in time, is sent ahead for each slot when tasks are short.
inline constexpr std::uint64_t kAheadNsPerSlot = 4'000'000;
inline constexpr std::uint64_t kAheadChunksPerSlotMax = 1024;
/// Always sent: one that runs and one that is at hand when it ends.
inline constexpr std::uint64_t kChunksPerSlotMin = 2;
/// Of a worker on which everything dies; twice as long each time in a row.
inline constexpr protocol::Duration kQuarantine = std::chrono::seconds(30);
inline constexpr protocol::Duration kQuarantineMax = std::chrono::minutes(10);
/// A chunk fills no more than this of a worker's window in bytes: one that is larger than all of it
/// must not keep small ones of others away from idle slots for as long as it is under way. Two are
/// the most that fit.
inline constexpr std::uint64_t kWindowBytesPerChunkMax = 48ULL << 20;
/// A worker that claims more is not believed.
inline constexpr std::uint32_t kSlotsPerWorkerMax = 1U << 16;

/// The smaller, the sooner the worker gets the next chunk.
struct Load {
  bool slots_busy = false;        ///< Idle slots everywhere come before sending ahead anywhere.
  std::uint64_t measure = 0;      ///< Chunks per slot; when slots are busy, time per slot.
  std::uint64_t tie_breaker = 0;  ///< More free slots first; when busy, chunks per slot.
  auto operator<=>(const Load&) const = default;
};

struct Worker {
  protocol::WorkerId id;
  PeerId peer;
  protocol::SessionId session;
  bool awaited = true;  ///< It has not told yet all that it holds.
  std::string name;
  std::string host;
  std::uint32_t slots = 0;
  std::uint64_t window_chunks = 0;
  std::uint64_t window_bytes = 0;
  bool draining = false;
  bool suspect = false;

  protocol::AscendingSet<protocol::AttemptId> attempts;
  std::set<protocol::JobId> jobs;           ///< Those it was told of.
  std::optional<protocol::JobId> last_job;  ///< One of these: most chunks are of the same job.
  std::map<protocol::ProgramId, std::string> refused;
  std::uint64_t running = 0;
  std::uint64_t window_bytes_filled = 0;  ///< Their bytes, each within kWindowBytesPerChunkMax.
  std::uint64_t running_ns = 0;
  std::uint64_t budget_ns = 0;  ///< Like running_ns, but a chunk fills at most one slot's share.
  std::uint64_t held_bytes = 0;
  std::uint64_t unaccepted = 0;  ///< Attempts whose results were delivered and not accepted yet.
  std::uint64_t done_chunks = 0;
  std::uint64_t crashes = 0;
  std::uint32_t crashes_in_a_row = 0;
  std::uint32_t quarantines = 0;  ///< In a row.
  std::optional<protocol::TimePoint> quarantined_until;

  std::vector<protocol::Assignment> outbox;   ///< settle sends it as one ASSIGN.
  std::vector<protocol::AttemptId> grants;    ///< settle sends them after it,
  std::vector<protocol::AttemptId> accepted;  ///< and these,
  std::vector<protocol::AttemptId> revoked;   ///< and these,
  std::vector<protocol::AttemptId> recalled;  ///< and these.
  bool touched = false;
  bool listed = false;  ///< Among the candidates, under `load`.
  Load load;

  /// It gets chunks at all.
  bool active() const {
    return slots > 0 && !draining && !suspect && !awaited && !quarantined_until;
  }
  bool takes(const protocol::ProgramId& program) const {
    return active() && (refused.empty() || !refused.contains(program));
  }
  bool has_news() const {
    return !outbox.empty() || !grants.empty() || !accepted.empty() || !revoked.empty() ||
           !recalled.empty();
  }
  bool has_room() const;
  Load load_now() const;
};

class WorkerTable {
 public:
  Worker* find(protocol::WorkerId id) { return workers_.find(id); }
  const Worker* find(protocol::WorkerId id) const { return workers_.find(id); }
  Worker& add(protocol::WorkerId id, PeerId peer);
  void remove(protocol::WorkerId id);
  void set_slots(Worker& worker, std::uint32_t slots, bool draining);

  void take(Worker& worker, protocol::AttemptId id, const Attempt& attempt);
  /// `attempt` is at work, and will be announced.
  void announce(Worker& worker, const Attempt& attempt);
  /// It goes to its client, and counts no longer as work.
  void deliver(Worker& worker, const Attempt& attempt);
  /// It was delivered, and waits at the worker again.
  void take_back(Worker& worker, const Attempt& attempt);
  /// The attempt's payload comes or goes: to be called before it goes, after it has come.
  void add_inputs(Worker& worker, const Attempt& attempt);
  void drop_inputs(Worker& worker, const Attempt& attempt);
  void release(Worker& worker, protocol::AttemptId id, const Attempt& attempt);

  /// Lists the worker under its load of now, or not at all when it has no room.
  void relist(Worker& worker);
  /// The least loaded worker with room that takes the program.
  Worker* best_for(const protocol::ProgramId& program,
                   const std::vector<protocol::WorkerId>& but_not = {});
  /// The least loaded of those that hold results back, whether it has room or not.
  Worker* best_holding(const protocol::ProgramId& program);
  /// The least loaded with an idle slot, but for `but_not` and those that hold results back.
  Worker* idle_for(const protocol::ProgramId& program,
                   const std::vector<protocol::WorkerId>& but_not);
  bool any_idle() const {
    return !candidates_.empty() && !candidates_.begin()->first.first.slots_busy;
  }
  std::uint64_t idle_slots() const;
  bool any_room() const { return !candidates_.empty(); }
  bool any_holding() const { return !holding_.empty(); }

  /// No chunks for a while, longer each time in a row. Answers for how long.
  protocol::Duration quarantine(Worker& worker, protocol::TimePoint now);
  std::optional<protocol::TimePoint> next_release() const;
  /// A worker whose quarantine is over by now; it may get chunks again.
  Worker* release_from_quarantine(protocol::TimePoint now);

  /// Slots that may get chunks.
  std::uint32_t slots() const;
  IdTable<protocol::WorkerId, Worker>& all() { return workers_; }
  const IdTable<protocol::WorkerId, Worker>& all() const { return workers_; }
  void check(const AttemptTable& attempts) const;

 private:
  static std::uint64_t counted_slots(const Worker& worker) {
    return worker.draining ? 0 : worker.slots;
  }
  void begin_work(Worker& worker, const Attempt& attempt);
  void end_work(Worker& worker, const Attempt& attempt);
  void change_held(Worker& worker, std::uint64_t bytes);

  IdTable<protocol::WorkerId, Worker> workers_;
  std::uint64_t slots_ = 0;
  std::map<std::pair<Load, protocol::WorkerId>, Worker*> candidates_;
  std::set<protocol::WorkerId> holding_;
  std::set<std::pair<protocol::TimePoint, protocol::WorkerId>> quarantined_;
};

}  // namespace achilles::broker
