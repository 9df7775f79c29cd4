// Hop: one end of a connection with the broker, between the messages of the cores and the frames of
// the socket. Large messages travel in parts here, and nobody above or below knows.
//
// Pure: no socket, no clock. One owner, no locking. After each send() and receive(), next() is
// asked for frames until there are none.
//
// Parts belong to a session: it begins for both ends with the WELCOME that answers the last HELLO.
// Outside of one everything travels whole. A HELLO, and the WELCOME, drop what is half sent, half
// received, or waits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <variant>

#include "protocol/bytes.hpp"
#include "protocol/codec.hpp"
#include "protocol/inbox.hpp"
#include "protocol/messages.hpp"
#include "protocol/outbox.hpp"

namespace achilles::protocol {

/// Something came that is no message yet: a sign of life.
struct Heard {};

class Hop {
 public:
  enum class End { kBroker, kPeer };
  explicit Hop(End end) : end_(end) {}

  void send(const Message& message);
  /// What to hand to the socket now, if there is something.
  std::optional<Frames> next();
  std::variant<Message, Malformed, Heard> receive(std::span<const Bytes> frames);

  /// Forgets what was not sent, for an end that leaves at once.
  void drop_unsent() { outbox_.clear(); }
  /// A BYE waits here until the results before it have arrived.
  bool holds_bye() const { return outbox_.holds_last(); }
  /// Of messages that wait here.
  std::uint64_t unsent_bytes() const { return outbox_.waiting_bytes(); }

 private:
  using Received = std::variant<Message, Malformed, Heard>;

  void begin_session(const Welcome& welcome);
  void end_session();
  Received on_part(const Part& part);
  /// Takes in what the message means for parts.
  void note_received(const Message& message);
  /// A message of parts came where there is no session.
  Received stray() const;

  End end_;
  bool in_session_ = false;
  std::uint64_t incarnation_ = 0;  ///< Of the last HELLO that was sent, at a peer's end.
  std::tuple<BootId, SessionId, std::uint64_t> session_;  ///< The last is the incarnation.
  Outbox outbox_;
  Inbox inbox_;
  std::uint64_t acknowledged_bytes_ = 0;
};

}  // namespace achilles::protocol
