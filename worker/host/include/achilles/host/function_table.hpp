// The function table: what a task process can be asked to call.
//
// Each function the program ships has one record, linked into a list before main. A function's key
// is the offset of its record from the executable's load bias: the same in every process of the
// same program, whatever the address layout. Records are writable data, so that a linker which
// folds identical code never folds them.
//
// Thread ownership: records are linked during static initialisation and read-only afterwards.
#pragma once

#include <string_view>

namespace achilles::host {

class ChunkCall;

/// Runs a whole chunk: decodes each input, calls the function, encodes each result.
using Thunk = void (*)(ChunkCall&);

struct FunctionRecord {
  Thunk thunk = nullptr;
  std::string_view label;  ///< The callable's type name, for people.
  FunctionRecord* next = nullptr;

  constexpr FunctionRecord(Thunk thunk_, std::string_view label_) : thunk(thunk_), label(label_) {}
  FunctionRecord(const FunctionRecord&) = delete;
  FunctionRecord& operator=(const FunctionRecord&) = delete;
};

/// Links the record into the table. Answers true, so that a static initialiser can call it.
bool link_record(FunctionRecord& record) noexcept;

}  // namespace achilles::host
