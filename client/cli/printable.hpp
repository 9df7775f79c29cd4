// Texts of other machines, made fit for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace achilles::cli {

/// In characters, as a terminal shows UTF-8.
std::size_t width_of(std::string_view text);
/// With an ellipsis at its end where it is wider than `width_max`.
std::string shortened(std::string_view text, std::size_t width_max);
/// Control characters would steer the reader's terminal: each becomes a question mark.
std::string printable(std::string_view text);

}  // namespace achilles::cli
