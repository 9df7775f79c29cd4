#include "achilles/host/process_state.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "worker/host/host.hpp"
#include "worker/task_process.hpp"

namespace achilles::host {
namespace {

constinit std::atomic<ProcessState> g_state{ProcessState::kStarting};

}  // namespace

ProcessState process_state() noexcept {
  return g_state.load();
}

void enter_main() noexcept {
  if (g_state.load() != ProcessState::kStarting) return;
  if (std::getenv(worker::kTaskEnvironment) == nullptr) {
    g_state = ProcessState::kOrdinary;
    return;
  }
  g_state = ProcessState::kHosting;
  const int status = run_host();
  std::fflush(nullptr);
  // Not exit(): destructors of the program's globals were written for a process that ran main.
  _exit(status);
}

}  // namespace achilles::host
