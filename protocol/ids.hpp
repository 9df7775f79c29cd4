// Names of things on the wire. No raw integer is an id: two ids of different kinds do not compare.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace achilles::protocol {

template <class Tag>
struct Id {
  std::uint64_t value = 0;
  auto operator<=>(const Id&) const = default;
};

/// A Pool's connection to a cluster; drawn at random by the client, the same across reconnects.
using ClientId = Id<struct ClientTag>;
/// A worker daemon; drawn at random when it starts, the same across reconnects.
using WorkerId = Id<struct WorkerTag>;
/// One conversation between the broker and a peer; given by the broker in WELCOME.
using SessionId = Id<struct SessionTag>;
/// One life of a broker; drawn at random when it starts.
using BootId = Id<struct BootTag>;
/// One execution of a chunk; unique within one boot of the broker, growing. Fences stale news.
using AttemptId = Id<struct AttemptTag>;

/// One call of map, imap, apply. Unique in a cluster because it carries its client.
struct JobId {
  ClientId client;
  std::uint64_t number = 0;
  auto operator<=>(const JobId&) const = default;
};

/// Position of an item in its job's input, from 0.
using ItemIndex = std::uint64_t;

/// An executable, named by the BLAKE2b-256 hash of its bytes.
struct ProgramId {
  std::array<std::uint8_t, 32> hash{};
  auto operator<=>(const ProgramId&) const = default;
};

/// An entry of a program's function table: the offset of its record from the module's load bias.
/// Module 0 is the executable itself, the only one that may hold functions for now.
struct FunctionKey {
  std::uint32_t module = 0;
  std::uint64_t offset = 0;
  auto operator<=>(const FunctionKey&) const = default;
};

/// 16 lower-case hexadecimal digits.
std::string to_hex(std::uint64_t value);
/// As people see it in messages and logs: "7f3a9c21/4" (the client's first 8 digits, the job's
/// number).
std::string to_string(JobId job);
/// 64 lower-case hexadecimal digits.
std::string to_hex(const ProgramId& program);
/// The first 12 digits: enough for people.
std::string to_string(const ProgramId& program);
/// The inverse of to_hex; nothing when the text is not 64 hexadecimal digits.
std::optional<ProgramId> program_from_hex(std::string_view text);

}  // namespace achilles::protocol

template <class Tag>
struct std::hash<achilles::protocol::Id<Tag>> {
  std::size_t operator()(achilles::protocol::Id<Tag> id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value);
  }
};
template <>
struct std::hash<achilles::protocol::JobId> {
  std::size_t operator()(const achilles::protocol::JobId& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.client.value ^ (id.number * 0x9E3779B97F4A7C15ULL));
  }
};
template <>
struct std::hash<achilles::protocol::ProgramId> {
  std::size_t operator()(const achilles::protocol::ProgramId& id) const noexcept;
};
