// The host: what runs inside a task process instead of the user's main.
//
// It reads chunks from its worker's socket, calls the functions they name, and writes results back.
// Thread ownership: the process's main thread; a watcher thread ends the process when the worker is
// gone.
#pragma once

namespace achilles::host {

/// Serves until the worker hangs up. Answers the process's exit status.
int run_host();

}  // namespace achilles::host
