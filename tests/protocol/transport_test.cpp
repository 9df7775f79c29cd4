// ROUTER and DEALER over TCP on loopback: what is delivered, what waits, what is lost.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/transport/clock.hpp"
#include "protocol/transport/poll_loop.hpp"
#include "protocol/transport/socket.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::protocol;
using namespace std::chrono_literals;

namespace {

constexpr Duration kGenerous = 30s;

Frames text_frames(std::initializer_list<std::string_view> texts) {
  Frames frames;
  for (const auto text : texts) frames.push_back(Bytes::copy(text));
  return frames;
}

Bytes pattern(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>((i * 2654435761U + seed) >> 11);
  }
  return Bytes::own(std::move(bytes));
}

/// A ROUTER and what it received, in one loop with any number of DEALERs.
struct Rig {
  explicit Rig(const SocketOptions& options = {}) : router(context, options) {
    endpoint = router.bind("tcp://127.0.0.1:0");
    loop.watch(router, [this] {
      for (const auto peer : router.take_lost()) lost.push_back(peer);
      while (reading) {
        auto message = router.receive();
        if (!message) break;
        received.push_back(std::move(*message));
      }
    });
  }
  /// False when it does not come true in a generous time.
  bool run_until(const std::function<bool()>& holds) {
    const TimePoint deadline = now() + kGenerous;
    while (!holds() && now() < deadline) loop.run_once(deadline);
    return holds();
  }

  Context context;
  PollLoop loop;
  RouterSocket router;
  std::string endpoint;
  std::vector<RouterSocket::Received> received;
  std::vector<PeerHandle> lost;
  bool reading = true;
};

struct Dealer {
  Dealer(Rig& owner, const SocketOptions& options = {}) : rig(owner), socket(rig.context, options) {
    watch = rig.loop.watch(socket, [this] {
      while (reading) {
        auto frames = socket.receive();
        if (!frames) break;
        received.push_back(std::move(*frames));
      }
    });
    socket.connect(rig.endpoint);
  }
  ~Dealer() { rig.loop.unwatch(watch); }

  Rig& rig;
  DealerSocket socket;
  PollLoop::WatchId watch = 0;
  std::vector<Frames> received;
  bool reading = true;
};

/// A port that nobody listens on and nobody else gets.
class ReservedPort {
 public:
  ReservedPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    auto* address = reinterpret_cast<sockaddr*>(&address_);
    REQUIRE(::bind(fd_, address, size) == 0);
    REQUIRE(getsockname(fd_, address, &size) == 0);
  }
  ~ReservedPort() { close(fd_); }
  std::string endpoint() const {
    return "tcp://127.0.0.1:" + std::to_string(ntohs(address_.sin_port));
  }

 private:
  int fd_;
  sockaddr_in address_{};
};

}  // namespace

TEST_CASE("messages travel both ways and peers keep their handles") {
  Rig rig;
  Dealer a(rig);
  Dealer b(rig);
  a.socket.send(text_frames({"from a", ""}));
  b.socket.send(text_frames({"from b", "second"}));
  REQUIRE(rig.run_until([&] { return rig.received.size() == 2; }));
  for (const auto& [peer, frames] : rig.received) {
    REQUIRE(frames.size() == 2);
    CHECK(rig.router.send(peer, {Bytes::copy("hello"), frames[0]}) == SendResult::kSent);
  }
  REQUIRE(rig.run_until([&] { return a.received.size() == 1 && b.received.size() == 1; }));
  CHECK(a.received[0][1].text() == "from a");
  CHECK(b.received[0][1].text() == "from b");

  const PeerHandle peer_a = rig.received[rig.received[0].frames[0].text() == "from a" ? 0 : 1].peer;
  a.socket.send(text_frames({"again"}));
  REQUIRE(rig.run_until([&] { return rig.received.size() == 3; }));
  CHECK(rig.received[2].peer == peer_a);
  CHECK(rig.router.peer_count() == 2);
}

TEST_CASE("large frames arrive whole and are released by whoever sent them") {
  const std::size_t size = 20'000'000;
  SocketOptions options;
  options.max_frame_bytes = size;
  Rig rig(options);
  Dealer dealer(rig, options);
  std::atomic<bool> released{false};
  const Bytes large = pattern(size, 7);
  {
    std::shared_ptr<const void> owner(large.data(),
                                      [&released, large](const void*) { released.store(true); });
    dealer.socket.send({Bytes::copy("head"), Bytes(large.span(), std::move(owner))});
  }
  REQUIRE(rig.run_until([&] { return rig.received.size() == 1; }));
  REQUIRE(rig.received[0].frames.size() == 2);
  CHECK(rig.received[0].frames[1] == large);
  CHECK(rig.run_until([&] {
    rig.loop.wake();
    return released.load();
  }));
  // A received frame is forwarded as it lies.
  rig.router.send(rig.received[0].peer, std::move(rig.received[0].frames));
  REQUIRE(rig.run_until([&] { return dealer.received.size() == 1; }));
  CHECK(dealer.received[0][1] == large);
}

TEST_CASE("a full peer's messages wait in order, counted, and others are not held up") {
  SocketOptions options;
  options.high_water_mark = 4;
  options.kernel_buffer_bytes = 16 << 10;
  Rig rig(options);
  Dealer slow(rig, options);
  Dealer quick(rig);
  slow.socket.send(text_frames({"slow"}));
  quick.socket.send(text_frames({"quick"}));
  REQUIRE(rig.run_until([&] { return rig.received.size() == 2; }));
  const bool slow_first = rig.received[0].frames[0].text() == "slow";
  const PeerHandle to_slow = rig.received[slow_first ? 0 : 1].peer;
  const PeerHandle to_quick = rig.received[slow_first ? 1 : 0].peer;

  slow.reading = false;
  constexpr unsigned kCount = 400;
  constexpr std::size_t kSize = 50'000;
  std::size_t queued = 0;
  for (unsigned i = 0; i < kCount; ++i) {
    const auto result = rig.router.send(to_slow, {Bytes::copy("x"), pattern(kSize, i)});
    REQUIRE(result != SendResult::kUnreachable);
    queued += result == SendResult::kQueued ? 1 : 0;
  }
  REQUIRE(queued > kCount / 2);
  CHECK(rig.router.unsent_bytes(to_slow) == queued * (kSize + 1));
  CHECK(rig.router.unsent_bytes() == queued * (kSize + 1));

  CHECK(rig.router.send(to_quick, text_frames({"for quick"})) == SendResult::kSent);
  REQUIRE(rig.run_until([&] { return quick.received.size() == 1; }));
  CHECK(rig.router.unsent_bytes(to_slow) > 0);

  slow.reading = true;
  REQUIRE(rig.run_until([&] { return slow.received.size() == kCount; }));
  CHECK(rig.router.unsent_bytes() == 0);
  for (unsigned i = 0; i < kCount; ++i) REQUIRE(slow.received[i][1] == pattern(kSize, i));
}

TEST_CASE("a dealer queues until there is a connection, then sends in order") {
  Context context;
  auto reserved = std::make_unique<ReservedPort>();
  const std::string endpoint = reserved->endpoint();
  SocketOptions options;
  options.reconnect_interval = 10ms;
  DealerSocket dealer(context, options);
  dealer.connect(endpoint);
  for (int i = 0; i < 10; ++i) {
    CHECK(dealer.send({Bytes::copy(std::to_string(i))}) == SendResult::kQueued);
  }
  CHECK(dealer.unsent_bytes() == 10);

  PollLoop loop;
  loop.watch(dealer, [&dealer] { dealer.receive(); });
  reserved.reset();
  RouterSocket router(context);
  router.bind(endpoint);
  const TimePoint deadline = now() + kGenerous;
  std::vector<std::string> received;
  loop.watch(router, [&] {
    while (auto message = router.receive()) received.emplace_back(message->frames[0].text());
  });
  while (received.size() < 10 && now() < deadline) loop.run_once(deadline);
  CHECK(received == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
  CHECK(dealer.unsent_bytes() == 0);
}

TEST_CASE("a peer that is gone is unreachable, also for what was queued") {
  SocketOptions options;
  options.high_water_mark = 2;
  options.kernel_buffer_bytes = 16 << 10;
  Rig rig(options);
  CHECK(rig.router.send(12345, text_frames({"nobody"})) == SendResult::kUnreachable);

  auto gone = std::make_unique<Dealer>(rig, options);
  auto stuck = std::make_unique<Dealer>(rig, options);
  gone->socket.send(text_frames({"gone"}));
  stuck->socket.send(text_frames({"stuck"}));
  REQUIRE(rig.run_until([&] { return rig.received.size() == 2; }));
  const bool gone_first = rig.received[0].frames[0].text() == "gone";
  const PeerHandle to_gone = rig.received[gone_first ? 0 : 1].peer;
  const PeerHandle to_stuck = rig.received[gone_first ? 1 : 0].peer;

  stuck->reading = false;
  for (unsigned i = 0; i < 200; ++i) rig.router.send(to_stuck, {pattern(50'000, i)});
  REQUIRE(rig.router.unsent_bytes(to_stuck) > 0);

  gone.reset();
  REQUIRE(rig.run_until([&] {
    rig.loop.wake();
    return rig.router.send(to_gone, text_frames({"still there?"})) == SendResult::kUnreachable;
  }));
  CHECK(rig.router.send(to_gone, text_frames({"and now?"})) == SendResult::kUnreachable);

  stuck.reset();
  // The other one may be there too: our tries may have filled its connection before it broke.
  CHECK(rig.run_until([&] { return std::ranges::count(rig.lost, to_stuck) == 1; }));
  CHECK(rig.router.unsent_bytes() == 0);
  CHECK(rig.router.peer_count() == 0);
}

TEST_CASE("what a peer said before it left is heard before it is lost") {
  Rig rig;
  auto dealer = std::make_unique<Dealer>(rig);
  dealer->socket.send(text_frames({"one"}));
  REQUIRE(rig.run_until([&] { return rig.received.size() == 1; }));
  const PeerHandle peer = rig.received[0].peer;
  rig.reading = false;
  dealer->socket.send(text_frames({"the last word"}));
  dealer->socket.set_linger(10s);
  dealer.reset();
  REQUIRE(rig.run_until([&] {
    rig.loop.wake();
    return rig.router.send(peer, text_frames({"still there?"})) == SendResult::kUnreachable;
  }));
  CHECK(rig.router.send(peer, text_frames({"and now?"})) == SendResult::kUnreachable);
  CHECK(rig.lost.empty());
  rig.reading = true;
  REQUIRE(rig.run_until([&] { return !rig.lost.empty(); }));
  CHECK(rig.lost == std::vector{peer});
  REQUIRE(rig.received.size() == 2);
  CHECK(rig.received[1].peer == peer);
  CHECK(rig.received[1].frames[0].text() == "the last word");
  CHECK(rig.router.peer_count() == 0);
}

TEST_CASE("a forgotten peer's queue is dropped and it returns under a new handle") {
  Rig rig;
  Dealer dealer(rig);
  dealer.socket.send(text_frames({"one"}));
  REQUIRE(rig.run_until([&] { return rig.received.size() == 1; }));
  rig.router.forget(rig.received[0].peer);
  CHECK(rig.router.send(rig.received[0].peer, text_frames({"x"})) == SendResult::kUnreachable);
  dealer.socket.send(text_frames({"two"}));
  REQUIRE(rig.run_until([&] { return rig.received.size() == 2; }));
  CHECK(rig.received[1].peer != rig.received[0].peer);
}

TEST_CASE("thousands of messages to several peers are all delivered") {
  SocketOptions options;
  options.high_water_mark = 10;
  Rig rig(options);
  std::vector<std::unique_ptr<Dealer>> dealers;
  for (int i = 0; i < 3; ++i) {
    dealers.push_back(std::make_unique<Dealer>(rig, options));
    dealers.back()->socket.send(text_frames({"hello"}));
  }
  REQUIRE(rig.run_until([&] { return rig.received.size() == 3; }));
  constexpr std::size_t kCount = 5000;
  for (std::size_t i = 0; i < kCount; ++i) {
    for (const auto& [peer, frames] : rig.received) {
      REQUIRE(rig.router.send(peer, {Bytes::copy(std::to_string(i))}) != SendResult::kUnreachable);
    }
  }
  REQUIRE(rig.run_until([&] {
    return std::all_of(dealers.begin(), dealers.end(),
                       [](const auto& d) { return d->received.size() == kCount; });
  }));
  for (const auto& dealer : dealers) {
    for (std::size_t i = 0; i < kCount; ++i) {
      REQUIRE(dealer->received[i][0].text() == std::to_string(i));
    }
  }
}

TEST_CASE("a frame above the limit ends its connection and nothing else") {
  SocketOptions options;
  options.max_frame_bytes = 1000;
  Rig rig(options);
  Dealer bad(rig);
  Dealer good(rig);
  bad.socket.send({pattern(5000, 1)});
  good.socket.send(text_frames({"good"}));
  REQUIRE(rig.run_until([&] { return rig.received.size() == 1; }));
  CHECK(rig.received[0].frames[0].text() == "good");
}

TEST_CASE("endpoints that cannot be used are refused with a sentence") {
  Context context;
  RouterSocket first(context);
  const std::string taken = first.bind("tcp://localhost:0");
  CHECK(taken.starts_with("tcp://127.0.0.1:"));
  CHECK(taken != "tcp://127.0.0.1:0");

  RouterSocket second(context);
  CHECK_THROWS_WITH(second.bind(taken), Catch::Contains("cannot listen on \"" + taken + "\"") &&
                                            Catch::Contains("already uses this port"));
  CHECK_THROWS_WITH(second.bind("tcp://192.0.2.1:0"), Catch::Contains("no such address"));
  CHECK_THROWS_WITH(second.bind("127.0.0.1:5555"), Catch::Contains("tcp://HOST:PORT"));

  DealerSocket dealer(context);
  CHECK_THROWS_WITH(dealer.connect("tcp://*:5555"), Catch::Contains("tcp://*:5555"));
}
