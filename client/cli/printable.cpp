#include "client/cli/printable.hpp"

#include <algorithm>

namespace achilles::cli {
namespace {

constexpr std::string_view kEllipsis = "…";

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

/// ASCII's, and U+0080 to U+009F.
bool is_control(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
  };
  return byte(i) < 0x20 || byte(i) == 0x7F ||
         (byte(i) == 0xC2 && byte(i + 1) >= 0x80 && byte(i + 1) < 0xA0);
}

}  // namespace

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

std::string shortened(std::string_view text, std::size_t width_max) {
  if (width_of(text) <= width_max) return std::string(text);
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (continues_character(text[i]) || ++width < width_max) continue;
    return std::string(text.substr(0, i)) + std::string(kEllipsis);
  }
  return std::string(text);
}

std::string printable(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_control(text, i)) {
      result += text[i];
      continue;
    }
    result += '?';
    if (i + 1 < text.size() && continues_character(text[i + 1])) ++i;
  }
  return result;
}

}  // namespace achilles::cli
