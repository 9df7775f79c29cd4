// OwnProcess: whether this is still the process in which an object was made.
//
// fork() gives the child a copy of a Pool without its threads, and with the parent's task processes
// and connections: to use or to destroy it there would hang, or kill what is the parent's. So a
// forked child leaves it alone.
//
// Thread-safety: an immutable value. Costs one load.
#pragma once

#include <atomic>

namespace achilles::client {

class OwnProcess {
 public:
  OwnProcess();
  bool is_this_one() const { return forks_ == forks_seen_.load(std::memory_order_relaxed); }

 private:
  static void note_fork();
  static inline std::atomic<unsigned> forks_seen_ = 0;  ///< Between the first process and this one.

  unsigned forks_;
};

}  // namespace achilles::client
