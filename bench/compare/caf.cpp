// CAF, the C++ Actor Framework: an actor in each worker process, and one that sends to them in
// turn.
//
// Over TCP on loopback, by CAF's own middleman. It has actors and messages and no pool: W5 would
// measure how its tasks are dealt out here.
#include <unistd.h>

#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <string>

#include "bench/compare/peer.hpp"

namespace achilles::bench {
namespace {

using Bytes = std::string;

struct System {
  caf::actor_system_config config;
  caf::actor_system system;
  System() : system((config.load<caf::io::middleman>(), config)) {}
};

/// Tells its port through the pipe, and works until it is killed.
void run_worker(int out) {
  System caf;
  const auto actor = caf.system.spawn([]() -> caf::behavior {
    return {[](const Bytes& task) {
      Bytes result(task.size(), '\0');
      answer(std::as_bytes(std::span(task)), reinterpret_cast<std::byte*>(result.data()));
      return result;
    }};
  });
  const auto port = caf.system.middleman().publish(actor, 0, "127.0.0.1");
  expect(static_cast<bool>(port), "a port for an actor");
  if (::write(out, &*port, sizeof *port) != sizeof *port) return;
  caf.system.await_all_actors_done();
}

class Caf final : public Peer {
 public:
  explicit Caf(std::size_t slots) {
    std::vector<std::uint16_t> ports(slots);
    int pipe[2];
    expect(::pipe(pipe) == 0, "a pipe");
    for (std::size_t i = 0; i < slots; ++i) children_.start([&] { run_worker(pipe[1]); });
    ::close(pipe[1]);
    for (auto& port : ports) {
      expect(::read(pipe[0], &port, sizeof port) == sizeof port, "an actor's port");
    }
    ::close(pipe[0]);
    // Its threads start after the last fork.
    caf_ = std::make_unique<System>();
    for (const auto port : ports) {
      auto actor = caf_->system.middleman().remote_actor("127.0.0.1", port);
      expect(static_cast<bool>(actor), "a connection to an actor");
      workers_.push_back(*actor);
    }
    self_ = std::make_unique<caf::scoped_actor>(caf_->system);
  }

  std::uint64_t tiny_tasks() const override { return 200'000; }

  void run(std::uint64_t count, std::uint64_t in_flight, const Make& make,
           const Check& check) override {
    std::uint64_t sent = 0;
    for (std::uint64_t received = 0; received < count; ++received) {
      for (; sent < count && sent - received < in_flight; ++sent) {
        const Task task = make(sent);
        (*self_)->send(workers_[sent % workers_.size()],
                       Bytes(reinterpret_cast<const char*>(task.data()), task.size()));
      }
      (*self_)->receive([&](const Bytes& result) { check(std::as_bytes(std::span(result))); });
    }
  }

 private:
  Children children_;
  std::unique_ptr<System> caf_;
  std::vector<caf::actor> workers_;
  std::unique_ptr<caf::scoped_actor> self_;
};

}  // namespace

std::unique_ptr<Peer> start_peer(std::size_t slots) {
  return std::make_unique<Caf>(slots);
}

}  // namespace achilles::bench
