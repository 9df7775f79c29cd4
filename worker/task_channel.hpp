// Messages over a stream socket: the frames of protocol/codec with their sizes before them.
//
// A batch on the stream is: u32 frame count, u32 size of each frame (little-endian), then the
// frames. Used by both ends: the worker without blocking, the host with blocking reads. No
// thread-safety.
//
// Bytes are copied once by the kernel on each side and otherwise lie still: small frames are
// gathered so that many messages leave in one system call, large frames are written from where they
// lie and read into a buffer of their own, small received frames are slices of a shared read
// buffer.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/messages.hpp"

namespace achilles::worker {

class TaskChannel {
 public:
  /// `fd` stays the caller's. It is a stream socket, blocking or not.
  explicit TaskChannel(int fd);
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
  void seal_gathered();
  void consume_sent(std::size_t count);

  int fd_;
  std::deque<protocol::Bytes> unsent_;
  std::size_t unsent_offset_ = 0;    ///< Within unsent_.front().
  std::vector<std::byte> gathered_;  ///< Small frames, after all of unsent_.
  std::size_t unsent_bytes_ = 0;
  std::string failure_;
  std::unique_ptr<Reader> reader_;
};

}  // namespace achilles::worker
