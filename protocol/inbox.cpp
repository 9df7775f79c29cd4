#include "protocol/inbox.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "protocol/wire.hpp"

namespace achilles::protocol {
namespace {

Malformed refusal(RejectReason reason, const Part& part, const std::string& what) {
  return {reason, "PART: stream " + std::to_string(part.stream) + ": " + what};
}

std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

}  // namespace

void GrowingBytes::Free::operator()(std::byte* bytes) const {
  std::free(bytes);
}

bool GrowingBytes::append(std::span<const std::byte> bytes, std::uint64_t size_max) {
  if (size_ + bytes.size() > capacity_) {
    // Large blocks are moved by the kernel, not copied, and untouched pages are not there yet.
    const std::uint64_t wanted = std::min(size_max, std::max(size_ + bytes.size(), 2 * capacity_));
    auto* grown = static_cast<std::byte*>(std::realloc(bytes_.get(), wanted));
    if (grown == nullptr) return false;
    static_cast<void>(bytes_.release());
    bytes_.reset(grown);
    capacity_ = wanted;
  }
  std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

Bytes GrowingBytes::take() {
  const std::span<const std::byte> view(bytes_.get(), size_);
  size_ = capacity_ = 0;
  return {view, std::shared_ptr<const void>(std::move(bytes_))};
}

void Inbox::begin(std::uint64_t message_bytes_max) {
  *this = {};
  message_bytes_max_ = message_bytes_max;
}

std::optional<Malformed> Inbox::refuse_start(const Part& part) {
  if (part.stream <= last_stream_ || part.frame_sizes.empty()) {
    return refusal(RejectReason::kOutOfOrder, part,
                   part.stream <= last_stream_ ? "it is over, or was refused" : "it was not begun");
  }
  if (part.stream != last_stream_ + 1) {
    return refusal(RejectReason::kOutOfOrder, part,
                   "the next one to begin is " + std::to_string(last_stream_ + 1));
  }
  if (streams_.size() >= kMaxStreams) {
    return refusal(RejectReason::kOverLimit, part,
                   counted(streams_.size(), "message") + " are half received already");
  }
  last_stream_ = part.stream;
  Stream& stream = streams_[part.stream];
  for (const std::uint64_t size : part.frame_sizes) stream.bytes = sum_of(stream.bytes, size);
  std::string why;
  if (part.frame_sizes.size() > kMaxFrames) {
    why = std::to_string(part.frame_sizes.size()) + " frames";
  } else if (stream.bytes > message_bytes_max_) {
    why = "a message of " + std::to_string(stream.bytes) + " bytes, where at most " +
          std::to_string(message_bytes_max_) + " are allowed";
  } else if (streams_bytes_ + stream.bytes > 2 * message_bytes_max_) {
    why = "half-received messages of " + std::to_string(streams_bytes_ + stream.bytes) +
          " bytes, where at most " + std::to_string(2 * message_bytes_max_) + " are allowed";
  }
  if (!why.empty()) {
    stream.refused = true;
    return refusal(RejectReason::kOverLimit, part, why);
  }
  stream.frame_sizes = part.frame_sizes;
  streams_bytes_ += stream.bytes;
  return std::nullopt;
}

std::optional<Malformed> Inbox::fault_of(const Stream& stream, const Part& part) const {
  if (stream.received > 0 && !part.frame_sizes.empty()) {
    return refusal(RejectReason::kOutOfOrder, part, "it was begun before");
  }
  if (part.offset != stream.received) {
    return refusal(RejectReason::kOutOfOrder, part,
                   "a part at byte " + std::to_string(part.offset) + ", where " +
                       std::to_string(stream.received) + " is next");
  }
  if (part.bytes.empty()) return refusal(RejectReason::kMalformed, part, "an empty part");
  if (part.bytes.size() > stream.bytes - stream.received) {
    return refusal(
        RejectReason::kMalformed, part,
        counted(part.bytes.size() - (stream.bytes - stream.received), "byte") + " beyond the end");
  }
  return std::nullopt;
}

Inbox::Taken Inbox::take(const Part& part) {
  total_bytes_ += part.bytes.size();
  Taken answer;
  auto at = streams_.find(part.stream);
  if (at == streams_.end()) {
    if (auto refused = refuse_start(part)) answer = std::move(*refused);
    at = streams_.find(part.stream);
    if (at == streams_.end()) return answer;
  }
  Stream& stream = at->second;
  if (!stream.refused) {
    if (auto fault = fault_of(stream, part)) {
      forget_contents(stream);
      answer = std::move(*fault);
    } else if (!stream.contents.append(part.bytes.span(), stream.bytes)) {
      forget_contents(stream);
      answer = refusal(RejectReason::kOverLimit, part, "there is no memory for it");
    } else {
      held_bytes_ += part.bytes.size();
    }
  }
  stream.received = sum_of(stream.received, part.bytes.size());
  if (stream.received < stream.bytes) return answer;
  if (!stream.refused) return finish(at);
  streams_.erase(at);
  return answer;
}

Frames Inbox::finish(Streams::iterator at) {
  const Bytes whole = at->second.contents.take();
  Frames frames;
  std::uint64_t offset = 0;
  for (const std::uint64_t size : at->second.frame_sizes) {
    frames.push_back(whole.slice(offset, size));
    offset += size;
  }
  erase(at);
  return frames;
}

std::optional<Malformed> Inbox::drop(const PartsDropped& dropped) {
  const auto at = streams_.find(dropped.stream);
  if (at == streams_.end()) {
    return Malformed{
        RejectReason::kOutOfOrder,
        "PARTS_DROPPED: stream " + std::to_string(dropped.stream) + " is not half received"};
  }
  erase(at);
  return std::nullopt;
}

void Inbox::forget_contents(Stream& stream) {
  held_bytes_ -= stream.received;
  streams_bytes_ -= stream.bytes;
  stream.contents = {};
  stream.frame_sizes.clear();
  stream.refused = true;
}

void Inbox::erase(Streams::iterator at) {
  if (!at->second.refused) forget_contents(at->second);
  streams_.erase(at);
}

}  // namespace achilles::protocol
