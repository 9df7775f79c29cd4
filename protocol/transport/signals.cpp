#include "protocol/transport/signals.hpp"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace achilles::protocol {

SignalWatcher::SignalWatcher() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (const int error = pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
    throw std::system_error(error, std::generic_category(), "cannot block SIGTERM and SIGINT");
  }
  fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd_ < 0) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot create a signalfd; is the limit of open files too low?");
  }
}

SignalWatcher::~SignalWatcher() {
  close(fd_);
}

std::optional<int> SignalWatcher::take() {
  signalfd_siginfo info{};
  for (;;) {
    const auto count = read(fd_, &info, sizeof info);
    if (count == sizeof info) return static_cast<int>(info.ssi_signo);
    if (count < 0 && errno == EINTR) continue;
    return std::nullopt;
  }
}

}  // namespace achilles::protocol
