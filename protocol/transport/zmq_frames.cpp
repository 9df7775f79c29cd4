#include "protocol/transport/zmq_frames.hpp"

#include "protocol/limits.hpp"

namespace achilles::protocol {
namespace {

zmq::message_t message_of(const Bytes& bytes) {
  if (bytes.size() <= kCopyBytes) return {bytes.data(), bytes.size()};
  auto* keeper = new Bytes(bytes);
  // The library only reads what it sends; its interface has no const.
  return {const_cast<std::byte*>(bytes.data()), bytes.size(),
          [](void*, void* hint) { delete static_cast<Bytes*>(hint); }, keeper};
}

bool is_gone(int error) {
  return error == EHOSTUNREACH || error == ENOTCONN || error == EPIPE || error == ECONNRESET;
}

Bytes receive_part(zmq::socket_t& socket, bool& more, bool& received) {
  auto message = std::make_shared<zmq::message_t>();
  received = socket.recv(*message, zmq::recv_flags::dontwait).has_value();
  if (!received) return {};
  more = message->more();
  const auto* data = static_cast<const std::byte*>(message->data());
  const std::span<const std::byte> view(data, message->size());
  return {view, std::move(message)};
}

}  // namespace

PartResult send_parts(zmq::socket_t& socket, const std::string* routing_id, const Frames& frames) {
  const std::size_t first = routing_id == nullptr ? 0 : 1;
  const std::size_t count = frames.size() + first;
  PartResult result = PartResult::kTaken;
  for (std::size_t i = 0; i < count; ++i) {
    zmq::message_t part = i < first ? zmq::message_t(routing_id->data(), routing_id->size())
                                    : message_of(frames[i - first]);
    const int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
    if (zmq_msg_send(part.handle(), socket.handle(), flags) != -1) continue;
    const int error = zmq_errno();
    if (error == EINTR) {
      --i;
      continue;
    }
    if (is_gone(error)) return PartResult::kGone;
    if (error != EAGAIN) throw zmq::error_t();
    if (i == 0) return PartResult::kWouldBlock;
    // The connection broke between two parts: the library has rolled the first ones back and
    // swallows the others, which it must be given, for else it would swallow the start of the next
    // message.
    result = PartResult::kWouldBlock;
  }
  return result;
}

bool receive_parts(zmq::socket_t& socket, std::string* routing_id, Frames& frames) {
  bool more = false;
  bool received = false;
  Bytes part = receive_part(socket, more, received);
  if (!received) return false;
  if (routing_id != nullptr) {
    routing_id->assign(part.text());
  } else {
    frames.push_back(std::move(part));
  }
  while (more) {
    part = receive_part(socket, more, received);
    if (!received) break;  // Cannot be: the parts of a message arrive together.
    if (frames.size() <= kMaxFrames) frames.push_back(std::move(part));
  }
  return true;
}

std::uint64_t total_bytes(const Frames& frames) {
  std::uint64_t total = 0;
  for (const auto& frame : frames) total += frame.size();
  return total;
}

}  // namespace achilles::protocol
