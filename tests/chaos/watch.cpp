#include "tests/chaos/watch.hpp"

#include <csignal>
#include <cstring>
#include <thread>

namespace achilles::tests {
namespace {

volatile std::sig_atomic_t interrupt = 0;

}  // namespace

void watch_interrupts() {
  struct sigaction action{};
  action.sa_handler = [](int signal) { interrupt = signal; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

void check_interrupted() {
  if (interrupt != 0) throw Interrupted(::strsignal(interrupt));
}

void await(const std::string& what, const std::function<bool()>& holds,
           std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kLookEvery{20};
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    check_interrupted();
    if (std::chrono::steady_clock::now() > deadline) {
      throw Failure("waited " + std::to_string(patience.count() / 1000) +
                    " s in vain for: " + what);
    }
    std::this_thread::sleep_for(kLookEvery);
  }
}

}  // namespace achilles::tests
