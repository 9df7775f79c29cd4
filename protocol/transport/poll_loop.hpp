// PollLoop: waits for sockets, descriptors, a deadline or a wake-up, and calls whoever asked.
//
// It polls the sockets' own descriptors, not zmq_poll: those also tell that a full peer has room
// again, which zmq_poll keeps to itself for a ROUTER with several peers.
//
// Thread ownership: everything but wake() and stop() belongs to the thread that runs the loop, one
// at a time. Callbacks run on it, may watch and unwatch anything (themselves too), and must not
// throw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "protocol/time.hpp"
#include "protocol/transport/socket.hpp"

namespace achilles::protocol {

struct Interest {
  bool readable = true;
  bool writable = false;
  bool operator==(const Interest&) const = default;
};

class PollLoop {
 public:
  /// A hang-up or an error of the descriptor counts as readable, and as writable if that was asked.
  using DescriptorCallback = std::function<void(bool readable, bool writable)>;
  using WatchId = std::uint64_t;

  PollLoop();
  ~PollLoop();
  PollLoop(const PollLoop&) = delete;
  PollLoop& operator=(const PollLoop&) = delete;

  /// `fd` stays the caller's: unwatch it before closing it.
  WatchId watch(int fd, Interest interest, DescriptorCallback callback);
  /// `on_activity` is called while there is something to receive (so it may receive a part of it
  /// and return) or lost peers to take. `socket` stays the caller's: unwatch it before destroying
  /// it.
  WatchId watch(Socket& socket, std::function<void()> on_activity);
  void set_interest(WatchId id, Interest interest);
  /// Once this returns, its callback is not called again. Unknown ids are ignored.
  void unwatch(WatchId id);

  /// Waits until something happens, `deadline` has come, or somebody wakes it; then calls each
  /// callback that has reason to be called once. Without a deadline it waits for ever, with one in
  /// the past not at all. May return early for no reason. Answers how many callbacks were called.
  std::size_t run_once(std::optional<TimePoint> deadline);

  /// Runs until stop(): waits until `next_deadline()`, calls callbacks, then `turn()`.
  void run(const std::function<std::optional<TimePoint>()>& next_deadline,
           const std::function<void()>& turn);

  /// Ends the present wait, or the next one. From any thread and from signal handlers.
  void wake() noexcept;
  /// Makes run() return after its turn. From any thread and from signal handlers.
  void stop() noexcept;
  bool stopped() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace achilles::protocol
