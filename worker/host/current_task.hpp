// What achilles::this_task tells, as the host keeps it.
#pragma once

#include <cstdint>
#include <string>

#include "achilles/host/chunk_call.hpp"

namespace achilles::host {

struct CurrentTask {
  const ChunkCall* call = nullptr;  ///< Null while no function runs.
  std::uint64_t attempt = 0;
  std::string worker;
  std::uint32_t slot = 0;
};

/// One per process: a task process runs one function at a time.
CurrentTask& current_task();

}  // namespace achilles::host
