#include "client/own_process.hpp"

#include <pthread.h>

namespace achilles::client {

OwnProcess::OwnProcess() : forks_(forks_seen_.load(std::memory_order_relaxed)) {
  [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, &note_fork);
}

/// In the child of a fork().
void OwnProcess::note_fork() {
  forks_seen_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace achilles::client
