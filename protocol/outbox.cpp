#include "protocol/outbox.hpp"

#include <algorithm>
#include <utility>

#include "protocol/codec.hpp"

namespace achilles::protocol {
namespace {

std::uint64_t bytes_of(const Frames& frames) {
  std::uint64_t bytes = 0;
  for (const auto& frame : frames) bytes += frame.size();
  return bytes;
}

/// Of no other job.
bool is_of(JobId job, const std::vector<Concern>& concerns) {
  return std::ranges::all_of(concerns, [&](const Concern& concern) {
    const auto* id = std::get_if<JobId>(&concern);
    return id == nullptr || *id == job;
  });
}

}  // namespace

void Outbox::begin(std::uint64_t message_bytes_max) {
  *this = {};
  message_bytes_max_ = message_bytes_max;
}

void Outbox::clear() {
  // What was sent of streams was sent: acknowledgements may still come.
  ready_.clear();
  last_.reset();
  waiting_.clear();
  lines_.clear();
  unbegun_.clear();
  streams_.clear();
  waiting_bytes_ = streams_bytes_ = results_ = 0;
  results_sent_ = false;
}

// ---- coming ---------------------------------------------------------------------------------

void Outbox::add(const Message& message) {
  if (!waiting_.empty() && (add_by_job<Assign>(message) || add_by_job<Results>(message))) return;
  file(message);
}

/// One job's chunks do not wait for another's only because they came in one message with them.
template <class Batch>
bool Outbox::add_by_job(const Message& message) {
  const auto* batch = std::get_if<Batch>(&message);
  if (batch == nullptr || batch->chunks.size() < 2) return false;
  Batch free;
  std::map<JobId, Batch> held;
  for (const auto& chunk : batch->chunks) {
    const bool waits = held_back(chunk.job) || held_back(chunk.attempt);
    (waits ? held[chunk.job] : free).chunks.push_back(chunk);
  }
  if (held.empty()) return false;
  if (!free.chunks.empty()) file(std::move(free));
  for (auto& [job, rest] : held) file(std::move(rest));
  return true;
}

void Outbox::file(const Message& message) {
  Waiting entry;
  entry.frames = encode(message);
  entry.bytes = bytes_of(entry.frames);
  entry.in_parts = entry.bytes > kMaxWholeBytes;
  if (waiting_.empty() && !entry.in_parts) {
    ready_.push_back(std::move(entry.frames));
    return;
  }
  entry.concerns = concerns_of(message);
  entry.behind = static_cast<std::size_t>(
      std::ranges::count_if(entry.concerns, [&](const Concern& c) { return held_back(c); }));
  if (entry.behind == 0 && !entry.in_parts) {
    ready_.push_back(std::move(entry.frames));
    return;
  }
  entry.results = std::holds_alternative<Results>(message);
  const Number number = ++last_number_;
  for (const auto& concern : entry.concerns) lines_[concern].push_back(number);
  waiting_bytes_ += entry.bytes;
  results_ += entry.results ? 1 : 0;
  const bool may_go = entry.behind == 0;
  waiting_.emplace(number, std::move(entry));
  if (may_go) release({number});
}

void Outbox::add_whole(const Message& message) {
  ready_.push_back(encode(message));
}

void Outbox::add_last(const Message& message) {
  last_ = encode(message);
}

// ---- going ----------------------------------------------------------------------------------

void Outbox::release(std::set<Number> released) {
  while (!released.empty()) {
    const Number next = *released.begin();
    released.erase(released.begin());
    Waiting& entry = waiting_.at(next);
    if (entry.in_parts) {
      unbegun_.push_back(next);
      continue;
    }
    ready_.push_back(std::move(entry.frames));
    remove(next, released);
  }
}

void Outbox::remove(Number number, std::set<Number>& released) {
  const auto at = waiting_.find(number);
  const Waiting entry = std::move(at->second);
  waiting_.erase(at);
  waiting_bytes_ -= entry.bytes;
  results_ -= entry.results ? 1 : 0;
  for (const auto& concern : entry.concerns) {
    const auto line = lines_.find(concern);
    auto& numbers = line->second;
    const bool was_first = numbers.front() == number;
    numbers.erase(std::ranges::find(numbers, number));
    if (numbers.empty()) {
      lines_.erase(line);
    } else if (was_first && --waiting_.at(numbers.front()).behind == 0) {
      released.insert(numbers.front());
    }
  }
}

void Outbox::drop(JobId job) {
  const auto line = lines_.find(job);
  if (line == lines_.end()) return;
  const std::deque<Number> numbers = line->second;
  std::set<Number> released;
  // From the last to the first, lest one that is to be dropped be let go by the one before it.
  for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
    const Waiting& entry = waiting_.at(*number);
    if (!is_of(job, entry.concerns)) continue;
    if (entry.stream != 0) ready_.push_back(encode(PartsDropped{entry.stream}));
    if (std::erase(streams_, *number) > 0) streams_bytes_ -= entry.bytes;
    std::erase(unbegun_, *number);
    remove(*number, released);
  }
  release(std::move(released));
}

void Outbox::begin_streams() {
  while (!unbegun_.empty() && streams_.size() < kMaxStreams) {
    const std::uint64_t bytes = waiting_.at(unbegun_.front()).bytes;
    if (!streams_.empty() && streams_bytes_ + bytes > 2 * message_bytes_max_) break;
    streams_bytes_ += bytes;
    streams_.push_back(unbegun_.front());
    unbegun_.pop_front();
  }
}

std::optional<Frames> Outbox::next_part() {
  begin_streams();
  if (streams_.empty()) return std::nullopt;
  const Number number = streams_.front();
  Waiting& entry = waiting_.at(number);
  // Never across frames: so a part is a slice, and nothing is copied.
  while (entry.frame_offset == entry.frames[entry.frame].size()) {
    ++entry.frame;
    entry.frame_offset = 0;
  }
  const Bytes& frame = entry.frames[entry.frame];
  const std::size_t size = std::min<std::size_t>(kSentPartBytes, frame.size() - entry.frame_offset);
  if (in_flight() + size > kPartsInFlightBytes) return std::nullopt;
  Part part;
  if (entry.stream == 0) {
    entry.stream = ++last_stream_;
    for (const auto& each : entry.frames) part.frame_sizes.push_back(each.size());
  }
  part.stream = entry.stream;
  part.offset = entry.sent_bytes;
  part.bytes = frame.slice(entry.frame_offset, size);
  entry.frame_offset += size;
  entry.sent_bytes += size;
  sent_bytes_ += size;
  results_sent_ = results_sent_ || entry.results;
  streams_.pop_front();
  if (entry.sent_bytes < entry.bytes) {
    streams_.push_back(number);
  } else {
    streams_bytes_ -= entry.bytes;
    std::set<Number> released;
    remove(number, released);
    release(std::move(released));
  }
  return encode(part);
}

std::optional<Frames> Outbox::next() {
  if (!ready_.empty()) {
    Frames frames = std::move(ready_.front());
    ready_.pop_front();
    return frames;
  }
  if (auto part = next_part()) return part;
  if (last_ && waiting_.empty() && in_flight() == 0) return std::exchange(last_, std::nullopt);
  return std::nullopt;
}

std::optional<std::string> Outbox::taken(std::uint64_t total_bytes) {
  if (total_bytes < taken_bytes_ || total_bytes > sent_bytes_) {
    return "PARTS_TAKEN: " + std::to_string(total_bytes) + " bytes in all, where " +
           std::to_string(sent_bytes_) + " were sent and " + std::to_string(taken_bytes_) +
           " acknowledged before";
  }
  taken_bytes_ = total_bytes;
  return std::nullopt;
}

}  // namespace achilles::protocol
