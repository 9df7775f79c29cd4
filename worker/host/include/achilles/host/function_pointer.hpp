// Function pointers as offsets: what a plain function pointer travels as.
#pragma once

#include <cstdint>

namespace achilles::host {

/// Throws std::invalid_argument when `function` is null or
/// not code of the executable itself.
std::uint64_t offset_of_function(const void* function);
/// Throws std::invalid_argument when no code of the executable is there.
const void* function_at_offset(std::uint64_t offset);

}  // namespace achilles::host
