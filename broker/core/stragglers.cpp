// Stragglers: what is done while nothing can be handed out and slots are idle.
//
// Chunks that wait behind others at a busy worker are asked back, and go to idle slots; those that
// have run for far too long get a second attempt elsewhere, and the first result counts. (Second
// attempts are the backup tasks of Dean and Ghemawat, "MapReduce", OSDI 2004, section 3.6.)
#include <algorithm>
#include <utility>
#include <vector>

#include "broker/core/state.hpp"

namespace achilles::broker {

using protocol::AttemptId;
using protocol::Duration;
using protocol::TimePoint;
using protocol::WorkerId;

namespace {

/// A chunk that its worker begins sooner than this is not worth a journey.
constexpr Duration kRecallAfter = std::chrono::milliseconds(5);
/// A second attempt costs a slot, perhaps a new task process: not for less.
constexpr Duration kStragglerAfterMin = std::chrono::seconds(1);
constexpr std::uint64_t kStragglerFactor = 3;
/// Of all slots, so many may be at second attempts; one always.
constexpr std::uint32_t kSlotsPerSecondAttempt = 8;
/// Looking costs time for each attempt there is: it takes a twentieth of the time at most.
constexpr Duration kLookEveryMin = std::chrono::milliseconds(5);
constexpr Duration kLookEveryMax = std::chrono::seconds(1);
constexpr Duration kLookEveryPerAttempt = std::chrono::microseconds(1);

}  // namespace

bool Scheduler::State::may_have_stragglers() const {
  return attempts.size() > 0 && workers.all().size() > 1 && workers.any_idle();
}

void Scheduler::State::arm_look() {
  if (!may_have_stragglers()) {
    look_due.reset();
  } else if (!look_due) {
    look_due = last_call + std::max(kLookEveryMin, look_pause());
  }
}

Duration Scheduler::State::look_pause() const {
  return std::clamp<Duration>(attempts.size() * kLookEveryPerAttempt, kLookEveryMin, kLookEveryMax);
}

void Scheduler::State::look_for_stragglers() {
  look_due.reset();
  if (!may_have_stragglers()) return;
  TimePoint next = last_call + kLookEveryMax;
  std::uint64_t idle = workers.idle_slots();
  recall_waiting(idle, next);
  if (idle > 0) begin_second_attempts(idle, next);
  look_due = std::max(next, last_call + look_pause());
}

void Scheduler::State::recall_waiting(std::uint64_t& idle, TimePoint& next) {
  for (auto& [id, worker] : workers.all()) {
    if (worker.running <= worker.slots) continue;
    std::uint64_t waiting = worker.running - worker.slots;
    // What came last is what is begun last.
    for (auto at = worker.attempts.rbegin(); at != worker.attempts.rend() && waiting > 0; ++at) {
      if (idle == 0) return;
      Attempt& attempt = *attempts.find(*at);
      if (!attempt.at_work()) continue;
      --waiting;
      if (attempt.recalled || attempt.unsubmitted || attempt.second) continue;
      if (last_call < attempt.assigned + kRecallAfter) {
        next = std::min(next, attempt.assigned + kRecallAfter);
        continue;
      }
      const Job& job = *jobs.find(attempt.job);
      if (!may_go_elsewhere(job, attempt)) continue;
      attempt.recalled = true;
      worker.recalled.push_back(*at);
      touch(worker);
      next = last_call;  // It may have begun it, and then the idle slot is for another one.
      --idle;
    }
  }
}

bool Scheduler::State::may_go_elsewhere(const Job& job, const Attempt& attempt) {
  std::vector<WorkerId> but_not{attempt.worker};
  // It would not be given to a worker where it was deadly, but come back to this one.
  if (const Deaths* deaths = job.deaths_in(attempt.chunk)) {
    but_not.insert(but_not.end(), deaths->workers.begin(), deaths->workers.end());
  }
  return workers.idle_for(job.open.program, but_not) != nullptr;
}

std::optional<TimePoint> Scheduler::State::straggles_at(const Job& job,
                                                        const Attempt& attempt) const {
  // Where a task process died already, more would die in vain: for the first attempt decides.
  const bool may = attempt.at_work() && !attempt.unsubmitted && !attempt.second &&
                   !job.seconds.contains(attempt.chunk.first) &&
                   job.deaths_in(attempt.chunk) == nullptr;
  if (!may) return std::nullopt;
  const std::chrono::nanoseconds usual(job.estimate_ns(attempt.count()));
  return attempt.assigned + std::max<Duration>(kStragglerAfterMin, kStragglerFactor * usual);
}

void Scheduler::State::begin_second_attempts(std::uint64_t idle, TimePoint& next) {
  std::uint64_t begun = 0;
  std::vector<std::pair<TimePoint, AttemptId>> late;  // By when they began to be.
  for (const auto& [id, job] : jobs.all()) {
    begun += job.seconds.size();
    const bool compares = job.opened && job.open.second_attempts && job.busy_ns_per_item.known();
    if (!compares || (!job.queued.empty() && may_run(job, job.next_queued()))) continue;
    for (const auto& [first, attempt_id] : job.assigned) {
      const auto at = straggles_at(job, *attempts.find(attempt_id));
      if (at && *at <= last_call) late.emplace_back(*at, attempt_id);
      if (at && *at > last_call) next = std::min(next, *at);
    }
  }
  const std::uint64_t allowed = std::max(1U, workers.slots() / kSlotsPerSecondAttempt);
  std::sort(late.begin(), late.end());
  for (const auto& [since, id] : late) {
    if (begun >= allowed || idle == 0) return;
    if (!begin_second_attempt(id)) continue;
    ++begun;
    --idle;
  }
}

bool Scheduler::State::begin_second_attempt(AttemptId first_id) {
  const Attempt& first = *attempts.find(first_id);
  Job& job = *jobs.find(first.job);
  Worker* worker = workers.idle_for(job.open.program, {first.worker});
  if (worker == nullptr) return false;
  story.tell(last_call, job.id(),
             "the chunk from item " + std::to_string(first.chunk.first) +
                 " on gets a second attempt, at worker " + worker->name + ": it has been at " +
                 workers.find(first.worker)->name + " for " +
                 protocol::in_seconds(last_call - first.assigned));
  const protocol::ItemIndex at = first.chunk.first;
  const AttemptId id = hand_out(job, *worker,
                                {.job = job.id(),
                                 .worker = worker->id,
                                 .chunk = first.chunk,
                                 .session = worker->session,
                                 .assigned = last_call,
                                 .estimated_ns = first.estimated_ns,
                                 .second = true});
  job.seconds.emplace(at, id);
  ++second_attempts;
  return true;
}

void Scheduler::State::drop_second(Job& job, protocol::ItemIndex first) {
  const auto second = job.seconds.find(first);
  if (second == job.seconds.end()) return;
  const AttemptId id = second->second;
  revoke(*workers.find(attempts.find(id)->worker), id);
}

void Scheduler::State::settle_race(Job& job, AttemptId id, const Attempt& attempt) {
  if (job.seconds.empty()) return;
  if (attempt.second) {
    let_second_win(job, id);
  } else {
    drop_second(job, attempt.chunk.first);
  }
  // Others may wait for their turn, such as those that were given to a task process that hangs.
  look_due = last_call + look_pause();
}

void Scheduler::State::let_second_win(Job& job, AttemptId id) {
  const protocol::ItemIndex first = attempts.find(id)->chunk.first;
  job.seconds.erase(first);  // Lest it is dropped with the other one.
  const AttemptId loser = job.assigned.at(first);
  revoke(*workers.find(attempts.find(loser)->worker), loser);
  take_first_place(job, id);
}

void Scheduler::State::take_first_place(Job& job, AttemptId id) {
  Attempt& attempt = *attempts.find(id);
  job.seconds.erase(attempt.chunk.first);
  attempt.second = false;
  job.assigned.emplace(attempt.chunk.first, id);
  job.assigned_bytes += attempt.bytes();
  job.assigned_items += attempt.count();
  story.tell(last_call, job.id(),
             "the second attempt at the chunk from item " + std::to_string(attempt.chunk.first) +
                 " on takes the place of the first");
  touch(job);
}

}  // namespace achilles::broker
