#include "protocol/hop.hpp"

#include <utility>

#include "protocol/limits.hpp"

namespace achilles::protocol {
namespace {

/// The job that this message ends, if it ends one.
std::optional<JobId> ended_by(const Message& message) {
  if (const auto* close = std::get_if<CloseJob>(&message)) return close->job;
  if (const auto* failed = std::get_if<JobFailed>(&message)) return failed->job;
  return std::nullopt;
}

}  // namespace

void Hop::begin_session(const Welcome& welcome) {
  const std::tuple session(welcome.boot, welcome.session, welcome.incarnation);
  if (in_session_ && session_ == session) return;  // The same answer once more.
  const std::uint64_t bytes_max = max_message_bytes(welcome.max_payload_bytes);
  outbox_.begin(bytes_max);
  inbox_.begin(bytes_max);
  acknowledged_bytes_ = 0;
  session_ = session;
  in_session_ = true;
}

void Hop::end_session() {
  in_session_ = false;
  outbox_.begin(max_message_bytes(0));
  inbox_.begin(max_message_bytes(0));
  acknowledged_bytes_ = 0;
}

void Hop::send(const Message& message) {
  if (const auto* hello = std::get_if<Hello>(&message)) {
    end_session();
    incarnation_ = hello->incarnation;
  } else if (const auto* welcome = std::get_if<Welcome>(&message)) {
    begin_session(*welcome);
  }
  if (std::holds_alternative<Bye>(message)) {
    // A worker that has drained leaves when its results have arrived. Nobody else has anything to
    // say that would still matter.
    if (end_ == End::kPeer && outbox_.holds_results()) return outbox_.add_last(message);
    outbox_.clear();
  }
  if (const auto job = ended_by(message)) outbox_.drop(*job);
  const bool greeting =
      std::holds_alternative<Hello>(message) || std::holds_alternative<Welcome>(message);
  if (in_session_ && !greeting) {
    outbox_.add(message);
  } else {
    outbox_.add_whole(message);
  }
}

std::optional<Frames> Hop::next() {
  if (in_session_ && inbox_.total_bytes() != acknowledged_bytes_) {
    acknowledged_bytes_ = inbox_.total_bytes();
    return encode(PartsTaken{acknowledged_bytes_});
  }
  return outbox_.next();
}

Hop::Received Hop::receive(std::span<const Bytes> frames) {
  auto decoded = decode(frames);
  if (auto* malformed = std::get_if<Malformed>(&decoded)) return std::move(*malformed);
  auto& message = std::get<Message>(decoded);
  const auto* part = std::get_if<Part>(&message);
  const auto* taken = std::get_if<PartsTaken>(&message);
  const auto* dropped = std::get_if<PartsDropped>(&message);
  if (part == nullptr && taken == nullptr && dropped == nullptr) {
    note_received(message);
    return std::move(message);
  }
  if (!in_session_) return stray();
  if (part != nullptr) return on_part(*part);
  if (taken != nullptr) {
    auto fault = outbox_.taken(taken->total_bytes);
    if (fault) return Malformed{RejectReason::kOutOfOrder, std::move(*fault)};
  } else if (auto fault = inbox_.drop(*dropped)) {
    return std::move(*fault);
  }
  return Heard{};
}

Hop::Received Hop::on_part(const Part& part) {
  auto taken = inbox_.take(part);
  if (auto* malformed = std::get_if<Malformed>(&taken)) return std::move(*malformed);
  const auto* whole = std::get_if<Frames>(&taken);
  if (whole == nullptr) return Heard{};
  auto decoded = decode(*whole);
  if (auto* malformed = std::get_if<Malformed>(&decoded)) return std::move(*malformed);
  auto& message = std::get<Message>(decoded);
  const auto type = type_of(message);
  if (type == MessageType::kPart || type == MessageType::kPartsTaken ||
      type == MessageType::kPartsDropped) {
    return Malformed{RejectReason::kMalformed,
                     "PART: stream " + std::to_string(part.stream) + ": parts within parts"};
  }
  note_received(message);
  return std::move(message);
}

void Hop::note_received(const Message& message) {
  if (const auto* welcome = std::get_if<Welcome>(&message)) {
    if (end_ == End::kPeer && welcome->incarnation == incarnation_) begin_session(*welcome);
  } else if (std::holds_alternative<Bye>(message)) {
    outbox_.clear();
  } else if (const auto job = ended_by(message)) {
    outbox_.drop(*job);
  }
}

Hop::Received Hop::stray() const {
  // What a broker still sent in the last session is on its way when a peer says HELLO. To a broker
  // it says that the sender believes itself in a session, and must be told.
  if (end_ == End::kPeer) return Heard{};
  return Malformed{RejectReason::kUnknownSession,
                   "A part of a message, and there is no session: say HELLO first."};
}

}  // namespace achilles::protocol
