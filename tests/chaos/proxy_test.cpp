// The proxy that the chaos runs put between peers and broker.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"
#include "tests/support/tcp_proxy.hpp"

using namespace achilles::tests;

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class Endpoint {
 public:
  explicit Endpoint(int fd) : fd_(fd) { REQUIRE(fd_ >= 0); }
  ~Endpoint() { ::close(fd_); }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  int fd() const { return fd_; }
  void say(const std::string& text) const {
    REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }
  /// Waits for so many bytes; fewer when the connection ends before.
  std::string hear(std::size_t count) const {
    std::string text;
    while (text.size() < count) {
      std::array<char, 4096> buffer;
      const ssize_t got =
          ::recv(fd_, buffer.data(), std::min(buffer.size(), count - text.size()), 0);
      if (got <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return text;
  }
  bool hears_nothing() const {
    pollfd waiting{fd_, POLLIN, 0};
    return ::poll(&waiting, 1, 50) == 0;
  }
  /// Waits for the end of the connection; true when it was reset.
  bool is_reset() const {
    std::array<char, 4096> buffer;
    ssize_t got = 0;
    while ((got = ::recv(fd_, buffer.data(), buffer.size(), 0)) > 0) {
    }
    return got < 0 && errno == ECONNRESET;
  }

 private:
  int fd_;
};

class Server {
 public:
  Server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    auto address = loopback(0);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener_.fd(), plain, size) == 0);
    REQUIRE(::listen(listener_.fd(), 16) == 0);
    REQUIRE(::getsockname(listener_.fd(), plain, &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  std::uint16_t port() const { return port_; }
  int accept() const { return ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC); }

 private:
  Endpoint listener_;
  std::uint16_t port_ = 0;
};

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = loopback(port);
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

std::string many(std::size_t count) {
  std::string text;
  while (text.size() < count) text += std::to_string(text.size()) + " ";
  return text.substr(0, count);
}

}  // namespace

TEST_CASE("a proxy passes bytes on, both ways, and the end of a connection") {
  const Server server;
  TcpProxy proxy("127.0.0.1", server.port());
  CHECK(proxy.endpoint() == "tcp://127.0.0.1:" + std::to_string(proxy.port()));
  const Endpoint far_end = [&] {
    const Endpoint peer(connect_to(proxy.port()));
    const Endpoint far(server.accept());
    const std::string request = many(50'000);
    peer.say(request);
    CHECK((far.hear(request.size()) == request));
    far.say("answer");
    CHECK(peer.hear(6) == "answer");
    CHECK(proxy.connections_made() == 1);
    return Endpoint(::dup(far.fd()));
  }();
  CHECK(far_end.hear(1).empty());
}

TEST_CASE("what a proxy holds back arrives when it is let go") {
  const Server server;
  TcpProxy proxy("127.0.0.1", server.port());
  const Endpoint peer(connect_to(proxy.port()));
  const Endpoint far(server.accept());
  peer.say("a");
  CHECK(far.hear(1) == "a");
  proxy.set_weather({.hold_requests = true});
  peer.say("b");
  far.say("c");
  CHECK(peer.hear(1) == "c");  // The other way is open.
  CHECK(far.hears_nothing());
  proxy.set_weather({});
  CHECK(far.hear(1) == "b");
  proxy.set_weather({.hold_answers = true});
  far.say("d");
  CHECK(peer.hears_nothing());
  proxy.set_weather({});
  CHECK(peer.hear(1) == "d");
}

TEST_CASE("a proxy delays and throttles without losing a byte") {
  const Server server;
  TcpProxy proxy("127.0.0.1", server.port());
  const Endpoint peer(connect_to(proxy.port()));
  const Endpoint far(server.accept());
  using Clock = std::chrono::steady_clock;
  auto since = Clock::now();
  proxy.set_weather({.delay = std::chrono::milliseconds(100)});
  peer.say("late");
  CHECK(far.hear(4) == "late");
  CHECK(Clock::now() - since >= std::chrono::milliseconds(100));
  since = Clock::now();
  proxy.set_weather({.bytes_per_second = 200'000});
  const std::string text = many(40'000);
  peer.say(text);
  CHECK((far.hear(text.size()) == text));
  // The first piece and the last do not wait.
  CHECK(Clock::now() - since >= std::chrono::milliseconds(150));
}

TEST_CASE("a proxy resets connections at once, in the middle, and refuses new ones") {
  const Server server;
  TcpProxy proxy("127.0.0.1", server.port());
  {
    const Endpoint peer(connect_to(proxy.port()));
    const Endpoint far(server.accept());
    peer.say("x");
    CHECK(far.hear(1) == "x");
    proxy.reset();
    CHECK(peer.is_reset());
    CHECK(far.is_reset());
  }
  {
    const Endpoint peer(connect_to(proxy.port()));
    const Endpoint far(server.accept());
    peer.say("x");
    CHECK(far.hear(1) == "x");
    proxy.reset_after(7);
    peer.say("0123456789");
    CHECK(peer.is_reset());
    CHECK(far.is_reset());
  }
  CHECK(eventually([&] { return proxy.connections_open() == 0; }));
  proxy.set_weather({.refuse = true});
  const Endpoint peer(connect_to(proxy.port()));
  CHECK(peer.is_reset());
  CHECK(proxy.connections_made() == 2);
}
