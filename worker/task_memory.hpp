// TaskMemory: what a worker shares with one task process, mapped by both.
//
// Thread-safety: a function without shared state; of the parts, see their headers.
#pragma once

#include <cstddef>
#include <memory>

#include "worker/payload_arena.hpp"
#include "worker/task_page.hpp"

namespace achilles::worker {

/// Of pages that nobody has touched yet, all zeros, only the addresses are taken.
struct TaskMemory {
  TaskPage page;
  PayloadArena::Memory inputs;   ///< Lent by the worker.
  PayloadArena::Memory results;  ///< Lent by the task process.
};

/// Maps the file, of sizeof(TaskMemory) zeros; the descriptor stays the caller's. Null, with errno
/// set, when it cannot be mapped.
std::shared_ptr<TaskMemory> map_task_memory(int fd);

inline PayloadArena inputs_arena(const std::shared_ptr<TaskMemory>& memory) {
  return PayloadArena({memory, &memory->inputs});
}
inline PayloadArena results_arena(const std::shared_ptr<TaskMemory>& memory) {
  return PayloadArena({memory, &memory->results});
}

}  // namespace achilles::worker
