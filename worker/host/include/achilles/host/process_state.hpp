// What this process is: starting, hosting a function table for a worker, or an ordinary program.
#pragma once

namespace achilles::host {

enum class ProcessState {
  kStarting,  ///< Before main: static initialisation.
  kHosting,   ///< A task process: main is never entered.
  kOrdinary,
};

/// Thread-safe.
ProcessState process_state() noexcept;

/// For the wrapper around main, and achilles::init: becomes a host, and does not return, when the
/// process was started as a task process; otherwise the process is ordinary from here on.
void enter_main() noexcept;

}  // namespace achilles::host
