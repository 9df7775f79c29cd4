#include "worker/task_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "tests/support/catch.hpp"
#include "worker/descriptor.hpp"

namespace {

using namespace achilles;
using protocol::Message;
using worker::PayloadArena;
using worker::TaskChannel;
using Io = TaskChannel::Io;

struct Ends {
  worker::Descriptor a;
  worker::Descriptor b;
};

Ends make_ends(bool a_blocks) {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  if (!a_blocks) REQUIRE(::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
  return {worker::Descriptor(ends[0]), worker::Descriptor(ends[1])};
}

Message job(std::uint64_t number, std::size_t context_bytes) {
  protocol::OpenJob open;
  open.job = {protocol::ClientId{7}, number};
  open.label = "job " + std::to_string(number);
  std::vector<std::byte> context(context_bytes);
  for (std::size_t i = 0; i < context_bytes; ++i) {
    context[i] = static_cast<std::byte>(i * 31 + number);
  }
  open.context = protocol::Bytes::own(std::move(context));
  return open;
}

const protocol::Bytes& context_of(const Message& message) {
  return std::get<protocol::OpenJob>(message).context;
}

std::vector<Message> receive_count(TaskChannel& channel, std::size_t count) {
  std::vector<Message> received;
  while (received.size() < count) {
    REQUIRE(channel.receive([&](Message message) { received.push_back(std::move(message)); }) !=
            Io::kClosed);
  }
  return received;
}

void write_u32s(int fd, std::vector<std::uint32_t> numbers) {
  std::vector<unsigned char> bytes;
  for (const std::uint32_t number : numbers) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<unsigned char>(number >> (8 * i)));
  }
  REQUIRE(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

}  // namespace

TEST_CASE("many small messages leave together and arrive in order") {
  auto ends = make_ends(false);
  TaskChannel out(ends.a.get());
  TaskChannel in(ends.b.get());
  for (std::uint64_t i = 0; i < 500; ++i) out.send(job(i, i % 50));
  REQUIRE(out.unsent_bytes() > 0);
  REQUIRE(out.flush() == Io::kDone);
  REQUIRE(out.unsent_bytes() == 0);
  const auto received = receive_count(in, 500);
  for (std::uint64_t i = 0; i < 500; ++i) REQUIRE(received[i] == job(i, i % 50));
}

TEST_CASE("messages of every size cross in both directions at once, and slices stay whole") {
  auto ends = make_ends(false);
  std::vector<std::size_t> sizes;
  std::mt19937 random(42);
  for (const std::size_t base :
       {0, 1, 4095, 4096, 4097, 8192, 8193, 65535, 65536, 65537, 262144, 262145, 3000000}) {
    sizes.push_back(base);
    for (int i = 0; i < 8; ++i) sizes.push_back(random() % (base + 10));
  }
  std::shuffle(sizes.begin(), sizes.end(), random);

  std::thread echo([fd = ends.b.get(), count = sizes.size()] {
    TaskChannel channel(fd);
    std::size_t seen = 0;
    while (seen < count) {
      const auto io = channel.receive([&](Message message) {
        ++seen;
        channel.send(message);
        if (seen % 3 == 0) channel.flush();
      });
      if (io == Io::kClosed) break;
      channel.flush();
    }
  });

  TaskChannel channel(ends.a.get());
  for (std::size_t i = 0; i < sizes.size(); ++i) channel.send(job(i, sizes[i]));
  std::vector<Message> received;
  while (received.size() < sizes.size()) {
    const Io written = channel.flush();
    REQUIRE(written != Io::kClosed);
    REQUIRE(channel.receive([&](Message message) { received.push_back(std::move(message)); }) !=
            Io::kClosed);
  }
  echo.join();
  REQUIRE(channel.unsent_bytes() == 0);
  for (std::size_t i = 0; i < sizes.size(); ++i) REQUIRE(received[i] == job(i, sizes[i]));
}

TEST_CASE(
    "large payloads are lent, what finds no room goes through the socket, headers always do") {
  auto ends = make_ends(false);
  const auto there = std::make_shared<PayloadArena::Memory>();
  const auto back = std::make_shared<PayloadArena::Memory>();
  TaskChannel out(ends.a.get(), PayloadArena(there), PayloadArena(back));
  TaskChannel in(ends.b.get(), PayloadArena(back), PayloadArena(there));
  out.send(job(1, 1 << 20));
  CHECK(out.unsent_bytes() < 1000);
  out.send(job(2, 5 << 20));
  CHECK(out.unsent_bytes() > 5 << 20);
  std::vector<Message> received;
  while (received.size() < 2) {
    out.flush();
    in.receive([&](Message message) { received.push_back(std::move(message)); });
  }
  CHECK(received[0] == job(1, 1 << 20));
  CHECK(received[1] == job(2, 5 << 20));
  CHECK(context_of(received[0]).data() == there->units[0]);
  CHECK(context_of(received[1]).data() != there->units[0]);

  // A header may be as large.
  protocol::KeepJobs keep;
  keep.jobs.resize(10'000);
  out.send(keep);
  CHECK(out.unsent_bytes() > 50'000);
  out.flush();
  CHECK(receive_count(in, 1)[0] == Message(keep));
}

TEST_CASE("payloads lent in both directions come right while they are kept and dropped at random") {
  auto ends = make_ends(false);
  const auto there = std::make_shared<PayloadArena::Memory>();
  const auto back = std::make_shared<PayloadArena::Memory>();
  constexpr std::uint64_t kJobs = 400;
  std::thread echo([&] {
    TaskChannel channel(ends.b.get(), PayloadArena(back), PayloadArena(there));
    std::uint64_t seen = 0;
    const auto answer = [&](Message message) {
      ++seen;
      channel.send(message);
    };
    while (seen < kJobs && channel.receive(answer) != Io::kClosed) channel.flush();
  });
  TaskChannel channel(ends.a.get(), PayloadArena(there), PayloadArena(back));
  std::mt19937 random(11);
  std::vector<std::size_t> sizes(kJobs);
  for (auto& size : sizes) size = random() % (1 << (10 + random() % 12));
  std::vector<std::pair<std::uint64_t, Message>> kept;
  std::uint64_t sent = 0;
  for (std::uint64_t arrived = 0; arrived < kJobs;) {
    for (; sent < kJobs && sent < arrived + 6; ++sent) channel.send(job(sent, sizes[sent]));
    REQUIRE(channel.flush() != Io::kClosed);
    REQUIRE(channel.receive([&](Message message) {
      kept.emplace_back(arrived++, std::move(message));
    }) != Io::kClosed);
    while (!kept.empty() && random() % 3 != 0) {
      std::swap(kept[random() % kept.size()], kept.back());
      const auto number = kept.back().first;
      REQUIRE(kept.back().second == job(number, sizes[number]));
      kept.pop_back();
    }
  }
  echo.join();
}

TEST_CASE("a message that trickles in byte by byte is put together") {
  auto ends = make_ends(false);
  auto relay = make_ends(false);
  TaskChannel out(ends.a.get());
  TaskChannel in(relay.a.get());
  out.send(job(1, 100));
  out.send(job(2, 70000));
  out.send(job(3, 0));
  std::vector<Message> received;
  while (received.size() < 3) {
    out.flush();
    std::array<char, 97> piece;
    const ssize_t got =
        ::recv(ends.b.get(), piece.data(), received.empty() ? 1 : piece.size(), MSG_DONTWAIT);
    if (got > 0)
      REQUIRE(::write(relay.b.get(), piece.data(), static_cast<std::size_t>(got)) == got);
    REQUIRE(in.receive([&](Message message) { received.push_back(std::move(message)); }) !=
            Io::kClosed);
  }
  REQUIRE(received[0] == job(1, 100));
  REQUIRE(received[1] == job(2, 70000));
  REQUIRE(received[2] == job(3, 0));
}

TEST_CASE("a blocking channel writes everything, a non-blocking one says when it would block") {
  auto ends = make_ends(false);
  TaskChannel nonblocking(ends.a.get());
  nonblocking.send(job(1, 8 << 20));
  REQUIRE(nonblocking.flush() == Io::kWouldBlock);
  REQUIRE(nonblocking.unsent_bytes() > 0);
  TaskChannel blocking(ends.b.get());
  std::vector<Message> received;
  while (received.empty()) {
    nonblocking.flush();
    blocking.receive([&](Message message) { received.push_back(std::move(message)); });
  }
  REQUIRE(received[0] == job(1, 8 << 20));

  std::thread writer([&] {
    blocking.send(job(2, 8 << 20));
    if (blocking.flush() != Io::kDone || blocking.unsent_bytes() != 0) std::abort();
  });
  REQUIRE(receive_count(nonblocking, 1)[0] == job(2, 8 << 20));
  writer.join();
}

TEST_CASE(
    "what other threads have read and dropped is written over, for ThreadSanitizer to judge") {
  auto ends = make_ends(true);
  TaskChannel out(ends.a.get());
  TaskChannel in(ends.b.get());
  std::atomic<std::uint64_t> dropped = 0;
  std::atomic<bool> right = true;
  std::vector<std::thread> readers;
  for (std::uint64_t number = 1; number <= 20; ++number) {
    out.send(job(number, 3000));
    REQUIRE(out.flush() == Io::kDone);
    readers.emplace_back([&dropped, &right, number,
                          message = std::move(receive_count(in, 1)[0])]() mutable {
      if (message != job(number, 3000)) right = false;
      message = job(0, 0);
      dropped.fetch_add(1, std::memory_order_relaxed);  // Orders nothing: that is the channel's.
    });
    while (dropped.load(std::memory_order_relaxed) < number) std::this_thread::yield();
  }
  for (auto& reader : readers) reader.join();
  CHECK(right);
}

TEST_CASE("the end of the stream is no failure, and writing to a closed one raises no signal") {
  auto ends = make_ends(false);
  TaskChannel channel(ends.a.get());
  REQUIRE(channel.receive([](Message) {}) == Io::kWouldBlock);
  ends.b.reset();
  channel.send(job(1, 10));
  REQUIRE(channel.flush() == Io::kClosed);
  REQUIRE(channel.receive([](Message) {}) == Io::kClosed);
  REQUIRE(channel.failure().empty());
}

TEST_CASE("announced sizes beyond the limits are refused before memory is taken") {
  const std::vector<std::vector<std::uint32_t>> bad = {
      {0}, {0xFFFFFFFF}, {1, 0xFFFFFFFF}, {2, 10, 0xFFFFFFFF}, {1, (16 << 20) + 1}};
  for (const auto& numbers : bad) {
    auto ends = make_ends(false);
    TaskChannel channel(ends.a.get());
    write_u32s(ends.b.get(), numbers);
    REQUIRE(channel.receive([](Message) {}) == Io::kClosed);
    REQUIRE_FALSE(channel.failure().empty());
    REQUIRE(channel.receive([](Message) {}) == Io::kClosed);
  }
}

TEST_CASE("lent frames that cannot be are refused with a reason") {
  constexpr std::uint32_t kLent = TaskChannel::kLent;
  // The header is lent; beyond the units; too large for them; empty.
  const std::vector<std::vector<std::uint32_t>> bad = {{1, kLent | 10, 0},
                                                       {2, 10, kLent | 40'000, 64},
                                                       {2, 10, kLent | 70'000, 63},
                                                       {2, 10, kLent | (5 << 20), 0},
                                                       {2, 10, kLent, 0}};
  for (const auto& numbers : bad) {
    auto ends = make_ends(false);
    TaskChannel channel(ends.a.get(), PayloadArena(std::make_shared<PayloadArena::Memory>()),
                        PayloadArena(std::make_shared<PayloadArena::Memory>()));
    write_u32s(ends.b.get(), numbers);
    CHECK(channel.receive([](Message) {}) == Io::kClosed);
    CHECK_FALSE(channel.failure().empty());
  }
  // Nothing was ever lent here.
  auto ends = make_ends(false);
  TaskChannel channel(ends.a.get());
  write_u32s(ends.b.get(), {2, 10, kLent | 40'000, 0});
  CHECK(channel.receive([](Message) {}) == Io::kClosed);
  CHECK(channel.failure().find("at unit 0") != std::string::npos);
}

TEST_CASE("frames that are no message are refused with a reason") {
  auto ends = make_ends(false);
  TaskChannel channel(ends.a.get());
  write_u32s(ends.b.get(), {1, 4, 0x12345678});
  int messages = 0;
  REQUIRE(channel.receive([&](Message) { ++messages; }) == Io::kClosed);
  REQUIRE(messages == 0);
  REQUIRE(channel.failure().find("no message") != std::string::npos);
}
