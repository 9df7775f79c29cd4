// The transport's limit, for compare.py: a broker that only passes messages on.
//
//   bare-zmq {W1,W3,W4} [--slots N] [--quick]
//
// One task a message, over TCP on loopback; the broker is a ROUTER for the client and one for the
// workers, without queue, credit, or a thought about what may be lost. Client, broker and workers
// are processes. Prints one line of JSON in achilles-bench's units; every result is checked.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
#include <zmq.hpp>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMiB = 1 << 20;
constexpr std::uint64_t kDistinct = 64;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "wrong result: %s\n", what);
  std::exit(1);
}

std::string bind(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.set(zmq::sockopt::rcvhwm, 0);
  socket.bind("tcp://127.0.0.1:*");
  return socket.get(zmq::sockopt::last_endpoint);
}

zmq::socket_t connected(zmq::context_t& context, const std::string& endpoint) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.set(zmq::sockopt::rcvhwm, 0);
  socket.set(zmq::sockopt::linger, 0);
  socket.connect(endpoint);
  return socket;
}

/// Tells both endpoints through the pipe, then passes on: tasks to the workers in turn, results to
/// the client.
[[noreturn]] void run_broker(int out, std::size_t worker_count) {
  zmq::context_t context;
  zmq::socket_t front(context, zmq::socket_type::router);
  zmq::socket_t back(context, zmq::socket_type::router);
  const std::string endpoints = bind(front) + "\n" + bind(back) + "\n";
  if (::write(out, endpoints.data(), endpoints.size()) < 0) std::_Exit(1);
  zmq::message_t client, id, body;
  std::vector<zmq::message_t> workers(worker_count);
  for (auto& worker : workers) {
    (void)back.recv(worker);
    (void)back.recv(body);
  }
  (void)front.recv(client);
  (void)front.recv(body);
  for (std::size_t next = 0;;) {
    zmq::pollitem_t watched[] = {{front, 0, ZMQ_POLLIN, 0}, {back, 0, ZMQ_POLLIN, 0}};
    zmq::poll(watched, 2);
    for (int i = 0; i < 256 && front.recv(id, zmq::recv_flags::dontwait); ++i) {
      (void)front.recv(body);
      zmq::message_t to;
      to.copy(workers[next++ % worker_count]);
      back.send(to, zmq::send_flags::sndmore);
      back.send(body, zmq::send_flags::none);
    }
    for (int i = 0; i < 256 && back.recv(id, zmq::recv_flags::dontwait); ++i) {
      (void)back.recv(body);
      zmq::message_t to;
      to.copy(client);
      front.send(to, zmq::send_flags::sndmore);
      front.send(body, zmq::send_flags::none);
    }
  }
}

/// Squares a number; of a payload it counts up the first byte.
[[noreturn]] void run_worker(const std::string& endpoint) {
  zmq::context_t context;
  auto socket = connected(context, endpoint);
  socket.send(zmq::buffer("here"), zmq::send_flags::none);
  for (zmq::message_t task; socket.recv(task);) {
    zmq::message_t result(task.size());
    if (task.size() == sizeof(std::uint64_t)) {
      const auto x = *task.data<std::uint64_t>();
      *result.data<std::uint64_t>() = x * x;
    } else {
      std::memcpy(result.data(), task.data(), task.size());
      ++*result.data<unsigned char>();
    }
    socket.send(result, zmq::send_flags::none);
  }
  std::_Exit(0);
}

struct Bench {
  zmq::socket_t& socket;
  std::size_t in_flight;
  std::uint64_t count;

  template <class Make, class Check>
  double run(Make make, Check check) {
    const auto began = Clock::now();
    std::uint64_t sent = 0;
    for (std::uint64_t received = 0; received < count;) {
      while (sent < count && sent - received < in_flight) {
        socket.send(make(sent++), zmq::send_flags::none);
      }
      zmq::message_t result;
      (void)socket.recv(result);
      check(result);
      ++received;
    }
    return seconds_since(began);
  }
};

zmq::message_t number(std::uint64_t x) {
  return {&x, sizeof x};
}

void run_tiny(zmq::socket_t& socket, bool quick) {
  Bench bench{socket, 1024, quick ? 20'000ULL : 1'000'000ULL};
  std::uint64_t sum = 0;
  const double seconds =
      bench.run(number, [&](zmq::message_t& result) { sum += *result.data<std::uint64_t>(); });
  std::uint64_t expected = 0;
  for (std::uint64_t x = 0; x < bench.count; ++x) expected += x * x;
  expect(sum == expected, "the sum of squares");
  std::printf("{\"value\": %f}\n", static_cast<double>(bench.count) / seconds / 1e3);
}

void run_calls(zmq::socket_t& socket, bool quick) {
  const std::uint64_t count = quick ? 200 : 5'000;
  std::vector<double> micros;
  for (std::uint64_t x = 0; x < count; ++x) {
    const auto began = Clock::now();
    socket.send(number(x), zmq::send_flags::none);
    zmq::message_t result;
    (void)socket.recv(result);
    micros.push_back(seconds_since(began) * 1e6);
    expect(*result.data<std::uint64_t>() == x * x, "a square");
  }
  std::sort(micros.begin(), micros.end());
  std::printf("{\"value\": %f, \"more\": {\"p99\": %f}}\n", micros[count / 2],
              micros[count * 99 / 100]);
}

void run_payloads(zmq::socket_t& socket, std::size_t slots, bool quick) {
  std::vector<std::vector<unsigned char>> inputs;
  for (std::uint64_t i = 0; i < kDistinct; ++i) {
    inputs.emplace_back(kMiB, static_cast<unsigned char>(i));
  }
  Bench bench{socket, 4 * slots, quick ? 30ULL : 1'500ULL};
  std::uint64_t sum = 0;
  const double seconds = bench.run(
      [&](std::uint64_t i) {
        const auto& input = inputs[i % kDistinct];
        return zmq::message_t(input.data(), input.size());
      },
      [&](zmq::message_t& result) {
        expect(result.size() == kMiB, "the size of a payload");
        sum += *result.data<unsigned char>();
      });
  std::uint64_t expected = 0;
  for (std::uint64_t i = 0; i < bench.count; ++i) expected += i % kDistinct + 1;
  expect(sum == expected, "the payloads' first bytes");
  std::printf("{\"value\": %f}\n", 2.0 * static_cast<double>(bench.count * kMiB) / seconds / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string workload = argc > 1 ? argv[1] : "";
  std::size_t slots = 2;
  bool quick = false;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) quick = true;
    if (std::strcmp(argv[i], "--slots") == 0 && i + 1 < argc)
      slots = std::strtoul(argv[++i], nullptr, 10);
  }
  if ((workload != "W1" && workload != "W3" && workload != "W4") || slots == 0) {
    std::fprintf(stderr, "usage: bare-zmq {W1,W3,W4} [--slots N] [--quick]\n");
    return 2;
  }
  int pipe[2];
  if (::pipe(pipe) != 0) return 1;
  std::vector<pid_t> children{::fork()};
  if (children.back() == 0) run_broker(pipe[1], slots);
  std::string said;
  char piece[256];
  while (std::count(said.begin(), said.end(), '\n') < 2) {
    const ssize_t got = ::read(pipe[0], piece, sizeof piece);
    if (got <= 0) return 1;
    said.append(piece, static_cast<std::size_t>(got));
  }
  const auto line = said.find('\n');
  const std::string back = said.substr(line + 1, said.size() - line - 2);
  for (std::size_t i = 0; i < slots; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) run_worker(back);
  }
  {
    zmq::context_t context;
    auto socket = connected(context, said.substr(0, line));
    socket.send(zmq::buffer("here"), zmq::send_flags::none);
    if (workload == "W1") run_tiny(socket, quick);
    if (workload == "W3") run_calls(socket, quick);
    if (workload == "W4") run_payloads(socket, slots, quick);
  }
  for (const pid_t child : children) ::kill(child, SIGKILL);
  for (const pid_t child : children) ::waitpid(child, nullptr, 0);
}
