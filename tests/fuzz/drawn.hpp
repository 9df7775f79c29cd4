// Pieces of messages, drawn from a fuzz target's input, and their way through the codec.
//
// Whatever is drawn can be encoded: what cannot never reaches a core (fuzz_decode sees to that).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/codec.hpp"
#include "protocol/describe.hpp"
#include "protocol/limits.hpp"
#include "protocol/messages.hpp"
#include "tests/fuzz/input.hpp"

namespace achilles::fuzz {

/// Counts the payloads that are alive: each message's frames are one.
class PayloadCount {
 public:
  /// The same bytes, owned by something that is counted.
  protocol::Bytes counted(const protocol::Bytes& bytes) const {
    auto owner = std::make_shared<std::pair<protocol::Bytes, std::shared_ptr<int>>>(bytes, alive_);
    return {owner->first.span(), owner};
  }
  long alive() const { return alive_.use_count() - 1; }

 private:
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

/// As the other side gets it. Its bytes are counted, if a count is given.
inline protocol::Message through_codec(const protocol::Message& message,
                                       const PayloadCount* count = nullptr) {
  protocol::Frames frames = protocol::encode(message);
  if (count != nullptr) {
    for (auto& frame : frames) frame = count->counted(frame);
  }
  auto decoded = protocol::decode(frames);
  require(std::holds_alternative<protocol::Message>(decoded));
  return std::get<protocol::Message>(std::move(decoded));
}

/// With FUZZ_TELL in the environment, an input that broke something can be read.
inline void tell(const char* who, std::uint64_t which, const protocol::Message& message) {
  static const bool wanted = std::getenv("FUZZ_TELL") != nullptr;
  if (!wanted) return;
  std::fprintf(stderr, "%s %llu: %s\n", who, static_cast<unsigned long long>(which),
               protocol::describe(message).c_str());
}

/// A message made of the input's bytes, if they are one.
inline std::optional<protocol::Message> draw_anything(Input& input) {
  const protocol::Bytes header = input.bytes(input.u8());
  auto decoded = protocol::decode({&header, 1});
  auto* message = std::get_if<protocol::Message>(&decoded);
  return message != nullptr ? std::optional(std::move(*message)) : std::nullopt;
}

inline protocol::ProgramId draw_program(Input& input) {
  protocol::ProgramId program;
  program.hash[0] = static_cast<std::uint8_t>(input.u8() % 3);
  return program;
}

/// Up to 2048 bytes, or as many items without bytes as there may be.
inline protocol::Items draw_items(Input& input, std::uint64_t count) {
  protocol::Items items;
  items.layout.count = std::min(count, protocol::kMaxItemsPerChunk);
  const std::uint64_t size = input.u8() % 8;
  if (size == 7 && items.layout.count > 0 && items.layout.count <= 64) {
    for (std::uint64_t i = 0; i < items.layout.count; ++i) {
      items.layout.sizes.push_back(static_cast<std::uint32_t>(i % 3));
    }
  } else if (items.layout.count * size <= 2048) {
    items.layout.stride = static_cast<std::uint32_t>(size);
  }
  items.payload = protocol::Bytes::own(std::vector<std::byte>(items.layout.total_bytes()));
  return items;
}

/// From `first` on, as far as indices go.
inline protocol::Chunk draw_chunk(Input& input, protocol::ItemIndex first, std::uint64_t count) {
  protocol::Chunk chunk{first, draw_items(input, count)};
  chunk.first = std::min(first, UINT64_MAX - chunk.items.count());
  return chunk;
}

inline protocol::ErrorRecord draw_error(Input& input) {
  protocol::ErrorRecord error;
  error.kind =
      static_cast<protocol::ErrorKind>(input.u8() % (std::uint64_t{protocol::kErrorKindLast} + 1));
  error.pid = static_cast<std::uint32_t>(input.u8());
  error.attempts = static_cast<std::uint32_t>(input.size());
  error.detail.assign(input.size() % 5000, 'd');
  return error;
}

inline protocol::ChunkResult draw_result(Input& input, protocol::JobId job,
                                         protocol::AttemptId attempt, protocol::ItemIndex first,
                                         std::uint64_t count) {
  protocol::Chunk chunk = draw_chunk(input, first, count);
  protocol::ChunkResult result;
  result.job = job;
  result.attempt = attempt;
  result.first = chunk.first;
  result.busy_ns = input.size();
  result.items = std::move(chunk.items);
  if (input.u8() % 4 == 0 && result.items.count() > 0) {
    const std::uint64_t at = input.u8() % result.items.count();
    if (result.items.layout.uniform() || result.items.layout.sizes[at] == 0) {
      result.errors.push_back({result.first + at, draw_error(input)});
    }
  }
  return result;
}

}  // namespace achilles::fuzz
