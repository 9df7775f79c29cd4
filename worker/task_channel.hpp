// Messages over a stream socket: the frames of protocol/codec with their sizes before them.
//
// A message on the stream is: u32 frame count, u32 size of each frame (little-endian), then the
// frames. A frame that is lent in a PayloadArena has its size marked with kLent and followed by the
// u32 of its first unit, and is not on the stream. Used by both ends: the worker without blocking,
// the host with blocking reads. No thread-safety.
//
// Payloads of kLendBytes and more are lent while there is room. All else is copied once by the
// kernel on each side and otherwise lies still: small frames are gathered so that many messages
// leave in one system call, large frames are written from where they lie and read into a buffer of
// their own, small received frames are slices of a shared read buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/limits.hpp"
#include "protocol/messages.hpp"
#include "worker/payload_arena.hpp"

namespace achilles::worker {

class TaskChannel {
 public:
  /// A frame's size has this bit when the frame is lent.
  static constexpr std::uint32_t kLent = 1U << 31;
  static_assert(protocol::kMaxPayloadBytes < kLent);

  /// `fd` stays the caller's. It is a stream socket, blocking or not.
  explicit TaskChannel(int fd);
  /// The other end borrows of `lends`, and lends what this one finds in `borrows`.
  TaskChannel(int fd, PayloadArena lends, PayloadArena borrows);
  ~TaskChannel();
  TaskChannel(const TaskChannel&) = delete;
  TaskChannel& operator=(const TaskChannel&) = delete;

  /// Queues; flush() writes.
  void send(const protocol::Message& message);
  std::size_t unsent_bytes() const { return unsent_bytes_; }
  enum class Io { kDone, kWouldBlock, kClosed };
  /// Writes until all is out (kDone) or the socket would block. On a blocking socket: all is out.
  Io flush();
  /// Reads once (at most 256 KiB, or the rest of a large frame); complete messages go to
  /// `received`. kDone: something was read, though perhaps no complete message. `received` may call
  /// send().
  Io receive(const std::function<void(protocol::Message)>& received);
  /// Why the stream was given up, when it was for something other than its end.
  const std::string& failure() const { return failure_; }

 private:
  struct Reader;

  void append(std::span<const std::byte> bytes);
  void append_u32(std::uint32_t value);
  void seal_gathered();
  void consume_sent(std::size_t count);

  int fd_;
  std::optional<PayloadArena> lends_;
  std::deque<protocol::Bytes> unsent_;
  std::size_t unsent_offset_ = 0;    ///< Within unsent_.front().
  std::vector<std::byte> gathered_;  ///< Small frames, after all of unsent_.
  std::size_t unsent_bytes_ = 0;
  std::string failure_;
  std::unique_ptr<Reader> reader_;
};

}  // namespace achilles::worker
