// Message <-> frames. Total on any bytes: decoding answers a message or a reason, and never throws,
// never reads past the end and never allocates more than a small multiple of what it was given.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/bytes.hpp"
#include "protocol/messages.hpp"

namespace achilles::protocol {

/// Frame 0 is the header: magic, version, type, fields. Bytes larger than kInlineBytes follow as
/// frames of their own, in the order of their fields, uncopied.
/// Texts of ErrorRecords beyond kMaxTextBytes are cut. REQUIRES of everything else: within
/// limits.hpp (our own mistakes end the process); senders keep batches within kBatchChunks and
/// kBatchBytes.
Frames encode(const Message& message);

struct Malformed {
  RejectReason reason = RejectReason::kMalformed;
  std::string detail;  ///< What is wrong and where: "SUBMIT: chunks[3].items: 12 bytes missing".
};

/// The message's Bytes share the frames' memory. Total: any frames, any bytes. There is one
/// encoding of each message, so encode(decode(frames)) gives the same bytes again.
std::variant<Message, Malformed> decode(std::span<const Bytes> frames);

/// "HELLO"; for logs and documents.
std::string_view name_of(MessageType type);
MessageType type_of(const Message& message);

}  // namespace achilles::protocol
