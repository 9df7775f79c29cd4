// Keys of the function table's records, and the way back.
//
// Thread-safe: the table does not change after static initialisation.
#pragma once

#include <cstdint>
#include <optional>

#include "achilles/host/function_table.hpp"
#include "protocol/ids.hpp"

namespace achilles::host {

/// Nothing when the record lies in a shared library rather than in the executable.
std::optional<protocol::FunctionKey> key_of(const FunctionRecord& record);
/// Null for a key that names no record of this program.
const FunctionRecord* find_record(protocol::FunctionKey key);
/// Equal in all processes of one program.
std::uint64_t table_hash();

/// The offset of a function's code from the executable's load bias; nothing when the address is not
/// code of the executable.
std::optional<std::uint64_t> code_offset(const void* function);
/// The inverse; null when the offset is not executable.
const void* code_at(std::uint64_t offset);

}  // namespace achilles::host
