#include "client/core/outstanding_chunks.hpp"

#include <algorithm>
#include <utility>

#include "protocol/mutant.hpp"

namespace achilles::client {

using protocol::ChunkResult;
using protocol::ItemIndex;
using protocol::mutant;
using protocol::Mutant;

ChunkResult slice(const ChunkResult& result, ItemIndex begin, ItemIndex end) {
  ChunkResult piece;
  piece.job = result.job;
  piece.attempt = result.attempt;
  piece.first = begin;
  piece.busy_ns = result.busy_ns;
  piece.items = protocol::slice(result.items, begin - result.first, end - begin);
  for (const auto& error : result.errors) {
    if (error.index >= begin && error.index < end) piece.errors.push_back(error);
  }
  return piece;
}

void OutstandingChunks::add(protocol::Chunk chunk) {
  bytes_ += chunk.items.bytes();
  const ItemIndex first = chunk.first;
  chunks_.emplace(first, Entry{std::move(chunk), {}});
}

bool OutstandingChunks::accept_into(Entry& entry, const ChunkResult& result, Accepted& accepted) {
  if (entry.missing.empty()) entry.missing.push_back({entry.chunk.first, entry.end()});
  const ItemIndex begin = result.first;
  const ItemIndex end = begin + result.items.count();
  std::vector<Range> still_missing;
  for (const auto& range : entry.missing) {
    const ItemIndex from = std::max(range.begin, begin);
    const ItemIndex to = std::min(range.end, end);
    if (from >= to) {
      still_missing.push_back(range);
      continue;
    }
    accepted.pieces.push_back(from == begin && to == end ? result : slice(result, from, to));
    if (range.begin < from) still_missing.push_back({range.begin, from});
    if (to < range.end) still_missing.push_back({to, range.end});
  }
  entry.missing = std::move(still_missing);
  return !entry.missing.empty();
}

void OutstandingChunks::finish(const Entry& entry, Accepted& accepted) {
  ++accepted.finished_chunks;
  accepted.finished_bytes += entry.chunk.items.bytes();
  bytes_ -= entry.chunk.items.bytes();
}

OutstandingChunks::Accepted OutstandingChunks::accept(ChunkResult result) {
  Accepted accepted;
  const ItemIndex begin = result.first;
  const ItemIndex end = begin + result.items.count();
  if (const auto whole = chunks_.find(begin);
      whole != chunks_.end() && whole->second.missing.empty() && whole->second.end() == end) {
    // As nearly always: the first result of just this chunk.
    finish(whole->second, accepted);
    chunks_.erase(begin);
    accepted.pieces.push_back(std::move(result));
    return accepted;
  }
  auto at = chunks_.upper_bound(begin);
  if (at != chunks_.begin()) --at;
  std::vector<ItemIndex> finished;
  for (; at != chunks_.end() && at->first < end; ++at) {
    Entry& entry = at->second;
    if (entry.end() <= begin || accept_into(entry, result, accepted)) continue;
    finish(entry, accepted);
    finished.push_back(at->first);
  }
  for (const ItemIndex first : finished) chunks_.erase(first);
  if (mutant(Mutant::kItemsAcceptedTwice) && accepted.pieces.empty()) {
    accepted.pieces.push_back(std::move(result));
  }
  return accepted;
}

std::vector<protocol::Chunk> OutstandingChunks::missing() const {
  std::vector<protocol::Chunk> chunks;
  for (const auto& [first, entry] : chunks_) {
    if (entry.missing.empty()) chunks.push_back(entry.chunk);
    for (const auto& range : entry.missing) {
      chunks.push_back({range.begin, protocol::slice(entry.chunk.items, range.begin - first,
                                                     range.end - range.begin)});
    }
  }
  return chunks;
}

}  // namespace achilles::client
