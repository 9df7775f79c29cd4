#include "achilles/this_task.hpp"

#include <stdexcept>

#include "worker/host/current_task.hpp"

namespace achilles {
namespace host {

CurrentTask& current_task() {
  static CurrentTask task;
  return task;
}

}  // namespace host

namespace this_task {
namespace {

const host::CurrentTask& require_task() {
  const auto& task = host::current_task();
  if (task.call == nullptr) {
    throw std::logic_error(
        "achilles::this_task was asked outside of a task: call it only in functions that a Pool "
        "runs");
  }
  return task;
}

}  // namespace

bool active() noexcept {
  return host::current_task().call != nullptr;
}
std::uint64_t index() {
  return require_task().call->index();
}
std::uint64_t attempt() {
  return require_task().attempt;
}
const std::string& worker() {
  return require_task().worker;
}
std::uint32_t slot() {
  return require_task().slot;
}

}  // namespace this_task
}  // namespace achilles
