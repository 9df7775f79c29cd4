// Waiting for events in the worker's tests: generous deadlines, no sleeps.
#pragma once

#include <fcntl.h>
#include <poll.h>

#include <chrono>
#include <functional>

#include "tests/support/catch.hpp"
#include "worker/descriptor.hpp"

namespace achilles::worker::test {

inline Descriptor open_scripted_task(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  return Descriptor(fd);
}

/// Polls `fd` and calls `look` until it answers true.
inline void wait_until(int fd, const std::function<bool()>& look, short events = POLLIN) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!look()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    pollfd ready{fd, events, 0};
    ::poll(&ready, 1, 1000);
  }
}

}  // namespace achilles::worker::test
