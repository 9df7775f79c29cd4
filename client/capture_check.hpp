// Finds pointers among a function's captures: they would mean nothing in another process.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace achilles::client {

/// Throws NotShippable, naming `function`, when a captured word is the address of mapped memory.
void check_captures(std::span<const std::byte> captured, const std::string& function);

}  // namespace achilles::client
