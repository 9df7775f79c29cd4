#include "client/core/chunk_sizer.hpp"

#include <algorithm>
#include <limits>

namespace achilles::client {
namespace {

/// The first item of a process is slow (cold caches, lazy binding): believe later ones more.
constexpr double kWeightOfNews = 0.5;
constexpr std::uint64_t kProbesPerSlot = 4;

}  // namespace

std::uint64_t ChunkSizer::next_count(std::uint64_t items_submitted, std::uint32_t slots) const {
  if (chunksize_ != 0) return fixed_count();
  if (item_ns_ < 0) return 1;
  const auto target_ns = static_cast<double>(kTargetTime.count());
  const double by_time = target_ns / std::max(item_ns_, 1.0);
  const double by_bytes = static_cast<double>(kMaxChunkBytes) / std::max(result_bytes_, 1.0);
  auto count = static_cast<std::uint64_t>(
      std::clamp(std::min(by_time, by_bytes), 1.0, static_cast<double>(kMaxChunkItems)));
  if (item_count_) {
    const std::uint64_t left = *item_count_ - std::min(*item_count_, items_submitted);
    count = std::min(count, left / (4 * std::uint64_t{std::max(slots, 1U)}) + 1);
  }
  return count;
}

std::uint64_t ChunkSizer::max_chunks_under_way(std::uint32_t slots) const {
  if (chunksize_ != 0 || item_ns_ >= 0) return std::numeric_limits<std::uint64_t>::max();
  return kProbesPerSlot * std::max(slots, 1U);
}

void ChunkSizer::note_result(std::uint64_t items, protocol::Duration busy, std::uint64_t bytes) {
  if (items == 0) return;
  const double ns = static_cast<double>(busy.count()) / static_cast<double>(items);
  const double each = static_cast<double>(bytes) / static_cast<double>(items);
  const double weight = item_ns_ < 0 ? 1 : kWeightOfNews;
  item_ns_ += weight * (ns - item_ns_);
  result_bytes_ += weight * (each - result_bytes_);
}

}  // namespace achilles::client
