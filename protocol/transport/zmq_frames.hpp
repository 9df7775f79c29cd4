// Frames to and from ZeroMQ's messages. Only for this folder's .cpp files: it shows zmq.hpp.
#pragma once

#include <zmq.hpp>

#include "protocol/bytes.hpp"
#include "protocol/transport/socket.hpp"

namespace achilles::protocol {

/// Up to this size copying is cheaper than handing over the owner and releasing it on another
/// thread.
inline constexpr std::size_t kCopyBytes = 2048;

struct Context::State {
  explicit State(int io_threads) : zmq(io_threads) {}
  zmq::context_t zmq;
};

struct Socket::State {
  State(Context& context, zmq::socket_type type) : zmq(context.state_->zmq, type) {}
  zmq::socket_t zmq;
};

enum class PartResult { kTaken, kWouldBlock, kGone };

/// Sends the frames as parts of one message, after `routing_id` if there is one; all or nothing.
PartResult send_parts(zmq::socket_t& socket, const std::string* routing_id, const Frames& frames);

/// Receives one message, whole. Parts beyond kMaxFrames + 1 are read and dropped: the decoder
/// refuses such a message by its number of frames. False when there is none.
bool receive_parts(zmq::socket_t& socket, std::string* routing_id, Frames& frames);

std::uint64_t total_bytes(const Frames& frames);

}  // namespace achilles::protocol
