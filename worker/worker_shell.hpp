// The worker daemon around its core: a ZeroMQ DEALER, the task processes and the program cache in
// one poll loop. Everything that happens becomes an event of the core's, every command of the
// core's is carried out here, and nothing is decided here but how long to wait for a first answer.
//
// Thread ownership: the thread that calls run(). interrupt() may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "protocol/transport/signals.hpp"

namespace achilles::worker {

struct WorkerShellOptions {
  std::vector<std::string> endpoints;  ///< tcp://HOST:PORT of the broker, or of several.
  std::string name;
  std::string host;
  std::string cache_folder;
  std::uint64_t id = 0;  ///< Drawn at random.
  std::uint32_t slots = 1;
  /// How long to wait for the broker's first answer; 0: for ever. A broker that goes away later is
  /// waited for, for ever.
  std::chrono::milliseconds connect_timeout{0};
};

class WorkerShell {
 public:
  /// Throws std::exception with one sentence when the worker cannot work here.
  explicit WorkerShell(WorkerShellOptions options);
  /// Kills the task processes that are left.
  ~WorkerShell();
  WorkerShell(const WorkerShell&) = delete;
  WorkerShell& operator=(const WorkerShell&) = delete;

  /// Treats each signal as an interrupt(). `signals` outlives the shell.
  void watch_signals(protocol::SignalWatcher& signals);
  /// The first time: finish what runs, return the rest, leave. The second time: leave at once.
  void interrupt();

  enum class End {
    kLeft,      ///< Drained, or told to leave by the broker.
    kStopped,   ///< Interrupted twice: what ran here was given up.
    kNoBroker,  ///< No answer within the connect timeout.
  };
  /// Works until the end.
  End run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::worker
