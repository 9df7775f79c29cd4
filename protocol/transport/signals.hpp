// SignalWatcher: SIGTERM and SIGINT as a descriptor, for daemons. The library itself touches no
// signals.
//
// REQUIRES: constructed before the process starts any other thread (they inherit the blocking), by
// the thread that lives longest. Child processes inherit blocked signals: unblock them when
// spawning.
#pragma once

#include <optional>

namespace achilles::protocol {

class SignalWatcher {
 public:
  SignalWatcher();
  /// Closes the descriptor; the signals stay blocked.
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

  /// Readable when a signal waits.
  int fd() const { return fd_; }
  /// The number of a signal that came, if one did.
  std::optional<int> take();

 private:
  int fd_ = -1;
};

}  // namespace achilles::protocol
