#pragma once

#include <cstdint>
#include <string_view>

namespace achilles::protocol {

inline constexpr std::string_view kLibraryVersion = "0.1.0";
/// Of the messages between client, broker, worker and task process. Peers of another version are
/// rejected.
inline constexpr std::uint8_t kProtocolVersion = 1;
/// The first four bytes of every message.
inline constexpr std::string_view kMagic = "ACHL";

}  // namespace achilles::protocol
