// PollLoop with descriptors, deadlines, wake-ups and signals.
#include "protocol/transport/poll_loop.hpp"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>
#include <vector>

#include "protocol/transport/clock.hpp"
#include "protocol/transport/signals.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::protocol;
using namespace std::chrono_literals;

namespace {

struct SocketPair {
  SocketPair() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0); }
  ~SocketPair() {
    close(ends[0]);
    if (ends[1] >= 0) close(ends[1]);
  }
  void hang_up() {
    close(ends[1]);
    ends[1] = -1;
  }
  std::array<int, 2> ends{};
};

}  // namespace

TEST_CASE("a deadline in the past does not wait, one in the future is kept") {
  PollLoop loop;
  CHECK(loop.run_once(now() - 1s) == 0);
  const TimePoint deadline = now() + 20ms;
  while (now() < deadline) loop.run_once(deadline);
  CHECK(now() < deadline + 10s);
}

TEST_CASE("descriptors are called by their interest, and a hang-up counts as readable") {
  PollLoop loop;
  SocketPair pair;
  int reads = 0;
  int writes = 0;
  const auto id = loop.watch(pair.ends[0], {true, true}, [&](bool readable, bool writable) {
    reads += readable;
    writes += writable;
  });
  CHECK(loop.run_once(now()) == 1);
  CHECK(reads == 0);
  CHECK(writes == 1);
  loop.set_interest(id, {true, false});
  CHECK(loop.run_once(now()) == 0);
  REQUIRE(write(pair.ends[1], "x", 1) == 1);
  CHECK(loop.run_once(std::nullopt) == 1);
  CHECK(reads == 1);
  loop.set_interest(id, {false, false});
  CHECK(loop.run_once(now()) == 0);
  pair.hang_up();
  CHECK(loop.run_once(std::nullopt) == 1);
  CHECK(reads == 2);
  loop.unwatch(id);
  loop.unwatch(id);
  CHECK(loop.run_once(now()) == 0);
}

TEST_CASE("a callback may unwatch itself and others and watch anew") {
  PollLoop loop;
  SocketPair a;
  SocketPair b;
  SocketPair c;
  int calls = 0;
  PollLoop::WatchId first = 0;
  PollLoop::WatchId second = 0;
  const auto callback = [&](bool, bool) {
    ++calls;
    loop.unwatch(first);
    loop.unwatch(second);
    loop.watch(c.ends[0], {false, true}, [&](bool, bool) { calls += 10; });
  };
  first = loop.watch(a.ends[0], {false, true}, callback);
  second = loop.watch(b.ends[0], {false, true}, callback);
  CHECK(loop.run_once(std::nullopt) == 1);
  CHECK(calls == 1);
  CHECK(loop.run_once(std::nullopt) == 1);
  CHECK(calls == 11);
}

TEST_CASE("another thread wakes and stops the loop, also before it waits") {
  PollLoop loop;
  loop.wake();
  CHECK(loop.run_once(std::nullopt) == 0);

  int turns = 0;
  std::thread other([&loop] { loop.stop(); });
  loop.run([] { return std::nullopt; }, [&turns] { ++turns; });
  other.join();
  CHECK(loop.stopped());
  CHECK(turns <= 1);
}

TEST_CASE("a signal handler that interrupts the wait does no harm") {
  PollLoop loop;
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) {};
  REQUIRE(sigaction(SIGUSR1, &action, &before) == 0);
  const pthread_t waiter = pthread_self();
  std::thread other([waiter, &loop] {
    for (int i = 0; i < 100; ++i) pthread_kill(waiter, SIGUSR1);
    loop.stop();
  });
  loop.run([] { return std::nullopt; }, [] {});
  other.join();
  sigaction(SIGUSR1, &before, nullptr);
  CHECK(loop.stopped());
}

TEST_CASE("SIGTERM and SIGINT arrive as a descriptor") {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    SignalWatcher signals;
    PollLoop loop;
    std::vector<int> taken;
    loop.watch(signals.fd(), {}, [&](bool, bool) {
      while (const auto signal = signals.take()) taken.push_back(*signal);
    });
    CHECK_FALSE(signals.take().has_value());
    pthread_kill(pthread_self(), SIGTERM);
    loop.run_once(std::nullopt);
    pthread_kill(pthread_self(), SIGINT);
    loop.run_once(std::nullopt);
    CHECK(taken == std::vector<int>{SIGTERM, SIGINT});
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
