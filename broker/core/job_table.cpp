#include "broker/core/job_table.hpp"

#include <algorithm>
#include <utility>

#include "protocol/mutant.hpp"

namespace achilles::broker {

using protocol::Chunk;
using protocol::ItemIndex;
using protocol::mutant;
using protocol::Mutant;

namespace {
bool contains(const Chunk& chunk, ItemIndex item) {
  return item >= chunk.first && item - chunk.first < chunk.items.count();
}
}  // namespace

void Job::enqueue(Chunk chunk) {
  queued_bytes += chunk.items.bytes();
  queued_items += chunk.items.count();
  const ItemIndex first = chunk.first;
  queued.emplace(first, std::move(chunk));
}

Chunk Job::take_queued(ItemIndex first) {
  Chunk chunk = queued.take(first);
  queued_bytes -= chunk.items.bytes();
  queued_items -= chunk.items.count();
  return chunk;
}

void Job::clear_queued() {
  queued.clear();
  queued_bytes = 0;
  queued_items = 0;
}

bool Job::has_queued(ItemIndex first, std::uint64_t count) const {
  const auto at = queued.find(first);
  return at != queued.end() && at->second.items.count() == count;
}

bool Job::overlaps_queued(ItemIndex first, std::uint64_t count) const {
  const auto next = queued.lower_bound(first);
  if (next != queued.end() && next->first - first < count) return true;
  return next != queued.begin() && contains(std::prev(next)->second, first);
}

std::optional<protocol::AttemptId> Job::assigned_at_or_before(ItemIndex item) const {
  const auto next = assigned.upper_bound(item);
  if (next == assigned.begin()) return std::nullopt;
  return std::prev(next)->second;
}

Job::Next Job::next_queued() const {
  if (queued.empty()) return {};
  if (wanted) {
    const auto next = queued.upper_bound(*wanted);
    if (next != queued.begin() && contains(std::prev(next)->second, *wanted)) {
      return {&std::prev(next)->second, true};
    }
  }
  const bool wrong_end = mutant(Mutant::kQueueFromWrongEnd);
  return {wrong_end ? &queued.rbegin()->second : &queued.begin()->second, false};
}

bool Job::wants(const Chunk& chunk) const {
  return wanted && contains(chunk, *wanted);
}

const Deaths* Job::deaths_in(const Chunk& chunk) const {
  if (deaths.empty()) return nullptr;
  const auto at = deaths.lower_bound(chunk.first);
  return at != deaths.end() && contains(chunk, at->first) ? &at->second : nullptr;
}

std::uint64_t Job::allowance_bytes(std::uint64_t items) const {
  if (!result_bytes_per_item.known()) return kFirstAllowanceBytes;
  const double likely = 2 * result_bytes_per_item.value() * static_cast<double>(items) + 256;
  if (likely >= static_cast<double>(kAllowanceBytesMax)) return kAllowanceBytesMax;
  return std::max(kAllowanceBytesMin, static_cast<std::uint64_t>(likely));
}

std::uint64_t Job::estimate_ns(std::uint64_t items) const {
  if (!busy_ns_per_item.known()) return kUnknownChunkNs;
  // A day is as good as for ever, and sums of days do not overflow.
  constexpr double kDayNs = 86'400e9;
  return static_cast<std::uint64_t>(
      std::min(kDayNs, busy_ns_per_item.value() * static_cast<double>(items)));
}

bool Job::has_credit_for(std::uint64_t allowance) const {
  if (mutant(Mutant::kCreditIgnored)) return true;
  if (delivered_bytes + reserved_bytes + announced_bytes + allowance <= credit_total) return true;
  // One chunk at a time always passes, however small the credit: else a job whose chunks are
  // thought to need more than all of it would never begin.
  return submitted_attempts() == 0 && delivered_bytes < credit_total;
}

void Job::learn(std::uint64_t items, std::uint64_t busy_ns, std::uint64_t result_cost) {
  if (items == 0) return;
  const auto count = static_cast<double>(items);
  const std::uint64_t payload = result_cost - std::min(result_cost, protocol::kResultOverheadBytes);
  busy_ns_per_item.add(static_cast<double>(busy_ns) / count);
  result_bytes_per_item.add(static_cast<double>(payload) / count);
}

}  // namespace achilles::broker
