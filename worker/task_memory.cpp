#include "worker/task_memory.hpp"

#include <sys/mman.h>

namespace achilles::worker {

std::shared_ptr<TaskMemory> map_task_memory(int fd) {
  void* const memory =
      ::mmap(nullptr, sizeof(TaskMemory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return nullptr;
  // Zeros are how all of it begins: neither side constructs it, nor the other's half anew.
  return {static_cast<TaskMemory*>(memory),
          [](TaskMemory* mapped) { ::munmap(mapped, sizeof(TaskMemory)); }};
}

}  // namespace achilles::worker
