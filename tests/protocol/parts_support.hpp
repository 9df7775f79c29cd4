// Messages of any size, and what an Outbox or a Hop hands out, for the tests of parts.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/codec.hpp"
#include "protocol/describe.hpp"
#include "protocol/limits.hpp"
#include "protocol/messages.hpp"
#include "tests/support/catch.hpp"

namespace achilles::protocol::parts {

inline constexpr std::uint64_t kMiB = 1 << 20;
inline constexpr JobId kJob{{7}, 1};
inline constexpr JobId kOther{{7}, 2};

/// `size` bytes, all the same: cheap to make, and told from others.
inline Bytes filled(std::uint64_t size, unsigned char value = 1) {
  return Bytes::own(std::vector<std::byte>(size, std::byte{value}));
}
inline Chunk chunk_of(std::uint64_t size, ItemIndex first = 0) {
  return {first, {{1, static_cast<std::uint32_t>(size), {}}, filled(size)}};
}
inline Submit submit(JobId job, std::uint64_t size, ItemIndex first = 0) {
  return {job, {chunk_of(size, first)}};
}
inline OpenJob open_job(JobId job, std::uint64_t context_size) {
  OpenJob open;
  open.job = job;
  open.context = filled(context_size);
  return open;
}
inline Assignment assignment(JobId job, std::uint64_t attempt, std::uint64_t size) {
  return {job, {attempt}, 0, chunk_of(size)};
}
inline ChunkResult result(JobId job, std::uint64_t attempt, std::uint64_t size) {
  ChunkResult made;
  made.job = job;
  made.attempt = {attempt};
  made.items = chunk_of(size).items;
  return made;
}

inline Message decoded(const Frames& frames) {
  auto message = decode(frames);
  if (const auto* malformed = std::get_if<Malformed>(&message)) FAIL(malformed->detail);
  return std::get<Message>(std::move(message));
}

/// All that `outbox` hands out now: an Outbox or a Hop.
template <class Sender>
std::vector<Message> drain(Sender& outbox) {
  std::vector<Message> messages;
  while (auto frames = outbox.next()) messages.push_back(decoded(*frames));
  return messages;
}

/// "SUBMIT", "PART 1", in order; runs of parts of one stream as one.
inline std::vector<std::string> names(const std::vector<Message>& messages) {
  std::vector<std::string> names;
  for (const auto& message : messages) {
    std::string name(name_of(type_of(message)));
    if (const auto* part = std::get_if<Part>(&message)) {
      name += " " + std::to_string(part->stream);
      if (!names.empty() && names.back() == name) continue;
    }
    names.push_back(std::move(name));
  }
  return names;
}

inline std::uint64_t part_bytes(const std::vector<Message>& messages) {
  std::uint64_t bytes = 0;
  for (const auto& message : messages) {
    if (const auto* part = std::get_if<Part>(&message)) bytes += part->bytes.size();
  }
  return bytes;
}

using Names = std::vector<std::string>;

}  // namespace achilles::protocol::parts
