// What a simulated user may demand of the results: each item once, in order, its own, and never
// more at a time than the client's core allowed.
#include <algorithm>
#include <cstring>

#include "protocol/limits.hpp"
#include "tests/sim/client_actor.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {
namespace {

/// Results that may go beyond the credit, at most one each: the one that the user waits for, one of
/// any size that passes when nothing else does, and one that was begun when nothing else was.
constexpr std::uint64_t kResultsBeyondCredit = 3;

}  // namespace

void ClientActor::check(Loop& loop, const p::ChunkResult& piece) {
  const JobPlan& plan = loop.record->plan;
  world_.demand(piece.job == loop.job, "a result is another job's");
  world_.demand(piece.items.count() > 0, "a result without items was handed over");
  p::ItemCursor values(piece.items.layout, piece.items.payload.span());
  auto error = piece.errors.begin();
  for (p::ItemIndex item = piece.first; item < piece.first + piece.items.count(); ++item) {
    world_.demand(item < loop.submitted, "there is a result of an item that was never given");
    world_.demand(!loop.seen[item], "an item's result was delivered twice");
    world_.demand(!plan.ordered || item == loop.taken, "results are out of order");
    loop.seen[item] = true;
    ++loop.taken;
    const bool failed = error != piece.errors.end() && error->index == item;
    check_item(loop, item, failed ? &*error : nullptr, values.next());
    if (failed) ++error;
  }
  world_.demand(error == piece.errors.end(), "an error names an item outside its result");
  ++world_.count().delivered_chunks;
  world_.count().delivered_items += piece.items.count();
}

void ClientActor::check_item(const Loop& loop, p::ItemIndex item, const p::ItemError* error,
                             std::span<const std::byte> value) {
  const JobPlan& plan = loop.record->plan;
  if (error != nullptr && error->error.kind == p::ErrorKind::kTaskCrashed) {
    return check_crashed(loop, item, error->error);
  }
  const Fate fate = plan.fate(item);
  world_.demand(fate != Fate::kAlwaysCrashes, "an item that kills every task process has a result");
  if (fate == Fate::kThrows) {
    world_.demand(error != nullptr && error->error.kind == p::ErrorKind::kUserException &&
                      error->error.causes.at(0).what == "item " + std::to_string(item),
                  "an exception did not come back as it was thrown");
    return;
  }
  world_.demand(error == nullptr, "an innocent item failed");
  const std::uint64_t word = plan.result_word(item);
  world_.demand(
      value.size() == plan.result_size(item) && std::memcmp(value.data(), &word, sizeof word) == 0,
      "a result is not its item's");
}

void ClientActor::check_crashed(const Loop& loop, p::ItemIndex item, const p::ErrorRecord& error) {
  const JobPlan& plan = loop.record->plan;
  const auto limit = plan.crash_limit != 0 ? plan.crash_limit : p::kDefaultCrashLimit;
  world_.demand(error.attempts == limit, "an item failed before so many deaths, or after more");
  const auto deaths = loop.record->deaths.find(item);
  world_.demand(deaths != loop.record->deaths.end() && deaths->second >= limit,
                "an item failed on which not so many task processes have died");
  if (world_.was_calm()) {
    // At each attempt's death another one may be dying of the item already.
    const std::uint32_t beside = plan.second_attempts ? limit : 0;
    world_.demand(deaths->second <= limit + beside,
                  "more task processes died on an item than had to");
  }
  // A task process that is killed from outside dies on whatever it happens to run.
  const Fate fate = plan.fate(item);
  const bool guilty = fate == Fate::kAlwaysCrashes || (fate == Fate::kCrashesOnce && limit == 1);
  if (!guilty) ++world_.count().condemned_items;
}

std::uint64_t ClientActor::note_costs(const p::Results& results) {
  std::uint64_t of_open_jobs = 0;
  Loop* loop = nullptr;
  for (const auto& result : results.chunks) {
    if (loop == nullptr || loop->job != result.job) loop = find_loop(result.job);
    if (loop == nullptr) continue;
    loop->largest_result = std::max(loop->largest_result, p::credit_cost(result));
    ++of_open_jobs;
  }
  return of_open_jobs;
}

ClientActor::Loop* ClientActor::find_loop(p::JobId job) {
  for (auto& thread : threads_) {
    for (auto& loop : thread.loops) {
      if (loop.job == job) return &loop;
    }
  }
  return nullptr;
}

void ClientActor::check_credit() {
  // What the network alone doubles was paid for once and is taken for news twice.
  if (world_.plan().duplicate_percent != 0) return;
  for (const auto& thread : threads_) {
    for (const auto& loop : thread.loops) {
      world_.demand(session_->unread_bytes(loop.job) <=
                        plan_.result_bytes_max + kResultsBeyondCredit * loop.largest_result,
                    "more results wait for the user than the credit allows");
    }
  }
}

}  // namespace achilles::sim
