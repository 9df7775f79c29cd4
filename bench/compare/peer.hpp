// Peer: something else that hands tasks to worker processes, under the workloads of achilles-bench.
//
// Each program of this folder is one peer and peer.cpp, which has main():
//
//   PROGRAM {W1,W3,W4,W5} [--slots N] [--quick]
//
// It prints one line of JSON, in achilles-bench's units; every result is checked.
//
// Thread ownership: the main thread starts the processes, before anything starts threads, and runs
// the workload.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace achilles::bench {

using Task = std::span<const std::byte>;

/// What worker processes do; the result is as long as the task. A number is squared, a payload's
/// first byte is counted up, a length (two numbers: seconds, and its place) is computed for.
void answer(Task task, std::byte* result);

class Peer {
 public:
  /// The task of that place; good until the next one is made.
  using Make = std::function<Task(std::uint64_t place)>;
  using Check = std::function<void(Task result)>;

  virtual ~Peer() = default;
  /// Enough of W1 for a second or two.
  virtual std::uint64_t tiny_tasks() const = 0;
  /// Runs so many tasks, so many of them in flight; their results may come in any order.
  virtual void run(std::uint64_t count, std::uint64_t in_flight, const Make& make,
                   const Check& check) = 0;
};

/// The peer that this program is, with so many worker processes.
std::unique_ptr<Peer> start_peer(std::size_t slots);

/// Processes that end with this one, whatever ends it.
class Children {
 public:
  Children() = default;
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  ~Children();
  /// In a new process; it ends when `run` returns.
  void start(const std::function<void()>& run);

 private:
  std::vector<pid_t> pids_;
};

/// Ends the program when `holds` is false: what computes something else measures nothing.
void expect(bool holds, const char* what);

}  // namespace achilles::bench
