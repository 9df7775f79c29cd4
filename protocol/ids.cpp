#include "protocol/ids.hpp"

#include <cstring>

namespace achilles::protocol {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string to_hex(std::uint64_t value) {
  std::string text(16, '0');
  for (auto at = text.rbegin(); at != text.rend(); ++at, value >>= 4) *at = kDigits[value & 15];
  return text;
}

std::string to_string(JobId job) {
  return to_hex(job.client.value).substr(0, 8) + "/" + std::to_string(job.number);
}

std::string to_hex(const ProgramId& program) {
  std::string text;
  text.reserve(2 * program.hash.size());
  for (auto byte : program.hash) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string to_string(const ProgramId& program) {
  return to_hex(program).substr(0, 12);
}

std::optional<ProgramId> program_from_hex(std::string_view text) {
  ProgramId program;
  if (text.size() != 2 * program.hash.size()) return std::nullopt;
  for (std::size_t i = 0; i < program.hash.size(); ++i) {
    const int high = digit_value(text[2 * i]);
    const int low = digit_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    program.hash[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return program;
}

}  // namespace achilles::protocol

std::size_t std::hash<achilles::protocol::ProgramId>::operator()(
    const achilles::protocol::ProgramId& id) const noexcept {
  std::size_t value = 0;  // The id is a hash already: any of its bytes will do.
  std::memcpy(&value, id.hash.data(), sizeof value);
  return value;
}
