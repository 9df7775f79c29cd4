// What a world is told to do: its machines, its users' programs, its faults. Plain data, made by
// hand or drawn from a seed.
//
// What an item does and answers is a function of its job's plan and its index alone, so that the
// one who runs it and the one who checks its result agree without a word between them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/messages.hpp"
#include "protocol/time.hpp"
#include "tests/sim/fault_kinds.hpp"
#include "tests/sim/random.hpp"

namespace achilles::sim {

enum class Fate : std::uint8_t { kFine, kThrows, kCrashesOnce, kAlwaysCrashes };

struct JobPlan {
  std::uint64_t salt = 0;
  std::uint8_t program = 1;
  std::uint64_t items = 1;
  bool ordered = true;
  bool eager = false;  ///< All input is there at the call, as for map.
  bool known_size = true;
  std::uint64_t chunksize = 1;
  std::uint32_t crash_limit = 0;
  bool second_attempts = true;
  std::uint64_t input_bytes = 8;
  std::uint64_t result_bytes = 8;
  std::uint64_t large_result_bytes = 0;
  unsigned large_percent = 0;
  p::ItemIndex slow_item = 0;
  p::Duration slow_time = 100us;  ///< That one takes so long,
  p::Duration item_time = 100us;  ///< the others up to so long.
  unsigned fate_permille = 0;     ///< Of items that are not fine.

  std::optional<std::uint64_t> leave_after;  ///< The user's loop ends early.
  unsigned pause_percent = 0;                ///< The user stops reading after a result.
  p::Duration pause = 0s;
  std::shared_ptr<const JobPlan> inner;  ///< A loop over this within the loop,
  std::uint64_t inner_every = 1;         ///< after each so many items.

  Fate fate(p::ItemIndex item) const;
  p::Duration run_time(p::ItemIndex item) const;
  /// Small inputs are cut from one block that the job's chunks share.
  p::Items inputs(p::ItemIndex first, std::uint64_t count) const;
  /// Appends the item's result, or adds its error.
  void answer(p::ItemIndex item, p::ItemBuilder& values, p::ChunkResult& result) const;
  std::uint64_t result_size(p::ItemIndex item) const;
  std::uint64_t result_word(p::ItemIndex item) const;

 private:
  std::uint64_t draw(p::ItemIndex item, std::uint64_t what) const;
  const p::Bytes& block() const;

  mutable p::Bytes block_;
};

/// One thread of a user's program: one loop after another.
using ThreadPlan = std::vector<JobPlan>;

struct ClientPlan {
  std::uint64_t result_bytes_max = 8ULL << 20;
  std::vector<ThreadPlan> threads;
  bool says_bye = false;  ///< When all is done; otherwise it stays connected.
  p::Duration starts_after = 0s;

  /// How long the work takes if nothing but the room for results bounds what is done at once.
  p::Duration under_credit() const;
};

struct WorkerPlan {
  std::uint32_t slots = 1;
  std::uint64_t window_bytes = 64ULL << 20;
  std::uint64_t held_result_bytes_max = 64ULL << 20;
  std::uint32_t warm_tasks_max = 8;
  unsigned slowness = 1;      ///< Everything takes so many times as long here.
  p::Duration far_away = 0s;  ///< Added to the latency of its connection.
  p::Duration starts_after = 0s;
};

struct Plan {
  std::uint64_t seed = 1;
  std::vector<ClientPlan> clients;
  std::vector<WorkerPlan> workers;
  std::uint64_t job_window_bytes = 8ULL << 20;
  unsigned brokers = 1;  ///< All clients and workers know them all, in one order.

  p::Duration latency_min = 50us;
  p::Duration latency_max = 300us;
  unsigned faults = 0;
  FaultWeights fault_weights = usual_weights();
  p::Duration faults_within = 10s;
  unsigned duplicate_percent = 0;  ///< Of messages with results, which come twice.
  bool runs_once = false;          ///< Nothing happens by which an item would have to run twice.

  /// Of so many messages one goes through the codec; of so many steps of a core one is followed by
  /// a check of all its tables.
  std::uint64_t codec_every = 1;
  std::uint64_t check_every = 1;

  /// How long the work of all jobs takes if all slots share it evenly.
  p::Duration even_share() const;
  /// What the world's programs may take in all, once faults have ended. Worked out from their work
  /// unless it is said.
  p::Duration patience() const;
  std::optional<p::Duration> patience_said;
};

/// Few of everything, memory tighter than sense: where races and deadlocks are found.
Plan drawn_plan(std::uint64_t seed);

}  // namespace achilles::sim
