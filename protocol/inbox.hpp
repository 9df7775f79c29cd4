// Inbox: the receiving side of one connection. It puts messages that came in parts together again.
//
// Pure: no socket, no clock. One owner, no locking.
//
// Whatever comes is answered with a value. Memory is taken as bytes arrive, never because a size
// was announced.
//
// Invariants:
//  1. At most kMaxStreams messages are half received, of at most 2 × message_bytes_max in all.
//  2. A message that was refused takes no memory; its remaining parts are dropped without a word.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/codec.hpp"
#include "protocol/limits.hpp"
#include "protocol/messages.hpp"

namespace achilles::protocol {

/// Bytes that grow to a known size, and are then handed over as they lie.
class GrowingBytes {
 public:
  /// REQUIRES: no more than `size_max` in all. False: there is no memory for them.
  bool append(std::span<const std::byte> bytes, std::uint64_t size_max);
  std::uint64_t size() const { return size_; }
  Bytes take();

 private:
  struct Free {
    void operator()(std::byte* bytes) const;
  };
  std::unique_ptr<std::byte, Free> bytes_;
  std::uint64_t size_ = 0;
  std::uint64_t capacity_ = 0;
};

class Inbox {
 public:
  /// Forgets everything. Streams, and what is counted of them, begin anew.
  void begin(std::uint64_t message_bytes_max);

  /// Nothing: the message is not whole yet.
  using Taken = std::variant<std::monostate, Frames, Malformed>;
  Taken take(const Part& part);
  std::optional<Malformed> drop(const PartsDropped& dropped);

  /// Of all parts since begin(), refused ones included: what is to be acknowledged.
  std::uint64_t total_bytes() const { return total_bytes_; }
  /// What half-received messages hold.
  std::uint64_t held_bytes() const { return held_bytes_; }
  std::size_t stream_count() const { return streams_.size(); }

 private:
  struct Stream {
    std::vector<std::uint64_t> frame_sizes;
    std::uint64_t bytes = 0;     ///< Of the whole.
    std::uint64_t received = 0;  ///< So far; in `contents`, unless it was refused.
    GrowingBytes contents;
    bool refused = false;
  };
  using Streams = std::map<std::uint64_t, Stream>;

  /// Why no stream begins with this part, if none does.
  std::optional<Malformed> refuse_start(const Part& part);
  std::optional<Malformed> fault_of(const Stream& stream, const Part& part) const;
  void forget_contents(Stream& stream);
  void erase(Streams::iterator at);
  Frames finish(Streams::iterator at);

  std::uint64_t message_bytes_max_ = max_message_bytes(0);
  Streams streams_;
  std::uint64_t last_stream_ = 0;
  std::uint64_t streams_bytes_ = 0;  ///< Of those not refused, when they are whole.
  std::uint64_t held_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace achilles::protocol
