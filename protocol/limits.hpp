// Bounds that hold everywhere. Units are in the names.
#pragma once

#include <chrono>
#include <cstdint>

namespace achilles::protocol {

/// One item, encoded; one chunk's payload; one chunk's results.
inline constexpr std::uint64_t kMaxPayloadBytes = 1ULL << 30;
/// A program's executable.
inline constexpr std::uint64_t kMaxProgramBytes = 4ULL << 30;
/// A program travels in parts of this size, a large message in parts of at most this size.
inline constexpr std::uint64_t kPartBytes = 1ULL << 20;
/// The bytes bound to a job (a lambda's captures, achilles::bind's values).
inline constexpr std::uint64_t kMaxContextBytes = 64ULL << 20;
/// Payloads up to this size travel inside the message's first frame; larger ones as frames of their
/// own.
inline constexpr std::uint64_t kInlineBytes = 4096;
/// A message's first frame.
inline constexpr std::uint64_t kMaxHeaderBytes = 16ULL << 20;
inline constexpr std::uint64_t kMaxFrames = 1ULL << 16;
inline constexpr std::uint64_t kMaxItemsPerChunk = 1ULL << 22;
inline constexpr std::uint64_t kMaxTextBytes = 64ULL << 10;

/// A sender closes a batch (SUBMIT, ASSIGN, RESULTS, RETURNED) at so many chunks, or once it has
/// this many bytes of payloads, sizes and texts, whichever comes first; one chunk alone may be
/// larger. It keeps frame 0 below kMaxHeaderBytes and leaves room for control traffic in between.
inline constexpr std::uint64_t kBatchChunks = 1024;
inline constexpr std::uint64_t kBatchBytes = 1ULL << 20;

/// A message of no more bytes travels whole, a larger one in parts. A part of a program, and a full
/// batch, are still whole.
inline constexpr std::uint64_t kMaxWholeBytes = kPartBytes + (64ULL << 10);
/// How large a sender makes the parts of a message: each is a sign of life for the receiver, on a
/// slow network too.
inline constexpr std::uint64_t kSentPartBytes = 256ULL << 10;
/// Parts that may be under way in one direction of a connection, not acknowledged yet. What is sent
/// next waits behind so much at most.
inline constexpr std::uint64_t kPartsInFlightBytes = 2ULL << 20;
/// Messages that may be half sent in one direction of a connection, of twice the largest message's
/// bytes in all.
inline constexpr std::uint64_t kMaxStreams = 8;

/// The largest message where payloads are at most `max_payload_bytes`, 0 meaning kMaxPayloadBytes.
constexpr std::uint64_t max_message_bytes(std::uint64_t max_payload_bytes) {
  const std::uint64_t payload = max_payload_bytes == 0 || max_payload_bytes > kMaxPayloadBytes
                                    ? kMaxPayloadBytes
                                    : max_payload_bytes;
  return (payload > kMaxContextBytes ? payload : kMaxContextBytes) + kMaxHeaderBytes;
}

inline constexpr std::chrono::milliseconds kHeartbeatInterval{1000};
/// In heartbeat intervals of silence.
inline constexpr int kSuspectAfter = 3;
inline constexpr int kLostAfter = 5;
/// Deaths of a task process on one item before that item alone fails.
inline constexpr std::uint32_t kDefaultCrashLimit = 3;

}  // namespace achilles::protocol
