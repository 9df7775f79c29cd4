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
  const ItemIndex end = first + chunk.items.count();
  chunks_.emplace_hint(chunks_.end(), first, Entry{std::move(chunk), {{first, end}}});
}

void OutstandingChunks::accept_into(Entry& entry, const ChunkResult& result, Accepted& accepted) {
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
}

OutstandingChunks::Accepted OutstandingChunks::accept(ChunkResult result) {
  Accepted accepted;
  const ItemIndex begin = result.first;
  const ItemIndex end = begin + result.items.count();
  auto at = chunks_.upper_bound(begin);
  if (at != chunks_.begin()) --at;
  while (at != chunks_.end() && at->first < end) {
    accept_into(at->second, result, accepted);
    if (!at->second.missing.empty()) {
      ++at;
      continue;
    }
    ++accepted.finished_chunks;
    accepted.finished_bytes += at->second.chunk.items.bytes();
    bytes_ -= at->second.chunk.items.bytes();
    at = chunks_.erase(at);
  }
  if (mutant(Mutant::kItemsAcceptedTwice) && accepted.pieces.empty()) {
    accepted.pieces.push_back(std::move(result));
  }
  return accepted;
}

std::vector<protocol::Chunk> OutstandingChunks::missing() const {
  std::vector<protocol::Chunk> chunks;
  for (const auto& [first, entry] : chunks_) {
    for (const auto& range : entry.missing) {
      chunks.push_back({range.begin, protocol::slice(entry.chunk.items, range.begin - first,
                                                     range.end - range.begin)});
    }
  }
  return chunks;
}

}  // namespace achilles::client
