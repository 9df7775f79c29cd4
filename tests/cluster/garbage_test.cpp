// Bytes that are no message, sent to the broker's port while a job runs.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

#include "protocol/codec.hpp"
#include "protocol/transport/socket.hpp"
#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;
namespace p = achilles::protocol;

namespace {

std::string random_bytes(std::mt19937_64& random, std::size_t count) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

/// Says `bytes` to the port without a word of ZeroMQ's protocol.
void send_raw(const std::string& endpoint, const std::string& bytes) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port =
      htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  // The broker may hang up before all is said.
  [[maybe_unused]] const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  ::close(fd);
}

}  // namespace

TEST_CASE("garbage does not harm a job that runs, and is counted") {
  Cluster cluster;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  p::Context context;
  p::DealerSocket dealer(context);
  dealer.connect(cluster.endpoint());
  const unsigned seed = 4711;
  std::mt19937_64 random(seed);
  std::vector<int> results;
  constexpr int kGarbage = 40;
  for (const int y :
       pool.imap([](int x) { return x * x; }, std::views::iota(0, 5000), {.chunksize = 10})) {
    results.push_back(y);
    if (results.size() % 100 != 0 || results.size() > 100 * kGarbage) continue;
    send_raw(cluster.endpoint(), random_bytes(random, 1 + random() % 3000));
    // Magic, version and a type are right; the rest is noise.
    std::string frame = "ACHL";
    frame += static_cast<char>(1);
    frame += static_cast<char>(random() % 90);
    dealer.send({p::Bytes::copy(frame + random_bytes(random, random() % 200))});
  }
  CHECK(results == serial_squares(5000));
  CHECK(eventually([&] {
    dealer.poll_prepare();  // Sends what waits for the connection.
    while (dealer.receive()) {
    }
    return cluster.status().rejected_messages >= kGarbage / 2;
  }));
  CHECK(cluster.broker().running());
  CHECK(cluster.status().workers.size() == 2);
}
