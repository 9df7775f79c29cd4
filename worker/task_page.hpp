// The page that a task process shares with its worker.
//
// The host writes what it works on, so that a death names the guilty item at once; the worker
// writes which job to leave undone. Written and read without system calls. Each field but
// `turns` has one writer.
#pragma once

#include <atomic>
#include <cstdint>

#include "protocol/ids.hpp"

namespace achilles::worker {

struct TaskPage {
  // Written by the host.
  std::atomic<std::uint64_t> running_attempt;  ///< 0 between chunks.
  std::atomic<std::uint64_t> running_item;
  /// The attempt begun last; 0 when all results are written. A function may ruin the process and
  /// return.
  std::atomic<std::uint64_t> begun_attempt;
  /// Written by the worker: 1 when the chunk given last is all that is under way there. A hint.
  std::atomic<std::uint64_t> alone;
  // Written by the worker: the job to skip. Use the two functions below: they never see half a job.
  std::atomic<std::uint64_t> skip_job_number;
  std::atomic<std::uint64_t> skip_job_client;
  std::atomic<std::uint64_t> skip_sequence;  ///< 0: never asked. Odd: being written.
  /// Written by both: how many chunks the host has come to, and how many of the next ones it leaves
  /// out. Use the two functions below: of each chunk both know the same.
  std::atomic<std::uint64_t> turns;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
              "the page is shared between processes");

/// How many bits of `turns` count the chunks that the host has come to; the others count those to
/// leave out.
inline constexpr unsigned kTurnBits = 40;
inline constexpr std::uint64_t kTurnMask = (std::uint64_t{1} << kTurnBits) - 1;

/// The host's side, once for each chunk that it was ever given, in order. False: it was taken back,
/// and nothing is to be said of it.
inline bool begin_chunk(TaskPage& page) {
  std::uint64_t seen = page.turns.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t left_out = seen >> kTurnBits;
    const std::uint64_t now_at = (seen & kTurnMask) + 1;
    const std::uint64_t rest = left_out > 0 ? left_out - 1 : 0;
    if (page.turns.compare_exchange_weak(seen, rest << kTurnBits | now_at,
                                         std::memory_order_acq_rel)) {
      return left_out == 0;
    }
  }
}

/// The worker's side: takes back all of the first `given` chunks that the host has not come to.
/// Answers how many it has come to.
inline std::uint64_t take_back_chunks(TaskPage& page, std::uint64_t given) {
  std::uint64_t seen = page.turns.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t come_to = seen & kTurnMask;
    const std::uint64_t left_out = given > come_to ? given - come_to : 0;
    if (page.turns.compare_exchange_weak(seen, left_out << kTurnBits | come_to,
                                         std::memory_order_acq_rel)) {
      return come_to;
    }
  }
}

/// The worker's side: leave the items of `job` undone. Replaces what was asked before.
inline void ask_to_skip(TaskPage& page, protocol::JobId job) {
  const std::uint64_t sequence = page.skip_sequence.load(std::memory_order_relaxed);
  page.skip_sequence.store(sequence + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  page.skip_job_number.store(job.number, std::memory_order_relaxed);
  page.skip_job_client.store(job.client.value, std::memory_order_relaxed);
  page.skip_sequence.store(sequence + 2, std::memory_order_release);
}

/// The worker's side: takes it back, if it is `job` that was to be skipped.
inline void stop_skipping(TaskPage& page, protocol::JobId job) {
  constexpr protocol::JobId nobody{protocol::ClientId{~0ULL}, ~0ULL};
  if (page.skip_job_number.load(std::memory_order_relaxed) == job.number &&
      page.skip_job_client.load(std::memory_order_relaxed) == job.client.value) {
    ask_to_skip(page, nobody);
  }
}

/// The host's side, before each item. One load when nothing was ever asked. While the worker is
/// just writing the answer is no: the next item asks again.
inline bool asked_to_skip(const TaskPage& page, protocol::JobId job) {
  const std::uint64_t before = page.skip_sequence.load(std::memory_order_acquire);
  if (before == 0 || before % 2 != 0) return false;
  const std::uint64_t number = page.skip_job_number.load(std::memory_order_relaxed);
  const std::uint64_t client = page.skip_job_client.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  return page.skip_sequence.load(std::memory_order_relaxed) == before && number == job.number &&
         client == job.client.value;
}

}  // namespace achilles::worker
