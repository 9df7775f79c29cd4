// The transport's limit: a ZeroMQ broker that only passes messages on.
//
// One task a message, over TCP on loopback; the broker is a ROUTER for the client and one for the
// workers, without queue, credit, or a thought about what may be lost: tasks go to the workers in
// turn, so that W5 is not for it. Client, broker and workers are processes.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <zmq.hpp>

#include "bench/compare/peer.hpp"

namespace achilles::bench {
namespace {

/// Without a limit in its queues.
zmq::socket_t socket_of(zmq::context_t& context, zmq::socket_type type) {
  zmq::socket_t socket(context, type);
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.set(zmq::sockopt::rcvhwm, 0);
  socket.set(zmq::sockopt::linger, 0);
  return socket;
}

std::string bind(zmq::socket_t& socket) {
  socket.bind("tcp://127.0.0.1:*");
  return socket.get(zmq::sockopt::last_endpoint);
}

zmq::socket_t connected(zmq::context_t& context, const std::string& endpoint) {
  auto socket = socket_of(context, zmq::socket_type::dealer);
  socket.connect(endpoint);
  socket.send(zmq::buffer("here"), zmq::send_flags::none);
  return socket;
}

/// What waits in the one socket goes out through the other, to whom `next` names.
template <class Next>
void pass_on(zmq::socket_t& from, zmq::socket_t& to, Next next) {
  zmq::message_t id, body, copy;
  for (int i = 0; i < 256 && from.recv(id, zmq::recv_flags::dontwait); ++i) {
    (void)from.recv(body);
    copy.copy(next());
    to.send(copy, zmq::send_flags::sndmore);
    to.send(body, zmq::send_flags::none);
  }
}

/// Tells both endpoints through the pipe, a line each, and waits for all to be there.
void run_broker(int out, std::size_t worker_count) {
  zmq::context_t context;
  auto front = socket_of(context, zmq::socket_type::router);
  auto back = socket_of(context, zmq::socket_type::router);
  const std::string endpoints = bind(front) + "\n" + bind(back) + "\n";
  if (::write(out, endpoints.data(), endpoints.size()) < 0) return;
  zmq::message_t client, body;
  std::vector<zmq::message_t> workers(worker_count);
  for (auto& worker : workers) {
    (void)back.recv(worker);
    (void)back.recv(body);
  }
  (void)front.recv(client);
  (void)front.recv(body);
  for (std::size_t turn = 0;;) {
    zmq::pollitem_t watched[] = {{front, 0, ZMQ_POLLIN, 0}, {back, 0, ZMQ_POLLIN, 0}};
    zmq::poll(watched, 2);
    pass_on(front, back, [&]() -> zmq::message_t& { return workers[turn++ % worker_count]; });
    pass_on(back, front, [&]() -> zmq::message_t& { return client; });
  }
}

Task task_in(const zmq::message_t& message) {
  return {message.data<std::byte>(), message.size()};
}

void run_worker(const std::string& endpoint) {
  zmq::context_t context;
  auto socket = connected(context, endpoint);
  for (zmq::message_t task; socket.recv(task);) {
    zmq::message_t result(task.size());
    answer(task_in(task), result.data<std::byte>());
    socket.send(result, zmq::send_flags::none);
  }
}

class BareZmq final : public Peer {
 public:
  explicit BareZmq(std::size_t slots) {
    int pipe[2];
    expect(::pipe(pipe) == 0, "a pipe");
    children_.start([&] { run_broker(pipe[1], slots); });
    ::close(pipe[1]);
    std::string said;
    char piece[256];
    while (std::ranges::count(said, '\n') < 2) {
      const ssize_t got = ::read(pipe[0], piece, sizeof piece);
      expect(got > 0, "the broker's endpoints");
      said.append(piece, static_cast<std::size_t>(got));
    }
    ::close(pipe[0]);
    const auto line = said.find('\n');
    const std::string back = said.substr(line + 1, said.size() - line - 2);
    for (std::size_t i = 0; i < slots; ++i) {
      children_.start([&] { run_worker(back); });
    }
    socket_ = connected(context_, said.substr(0, line));
  }

  std::uint64_t tiny_tasks() const override { return 1'000'000; }

  void run(std::uint64_t count, std::uint64_t in_flight, const Make& make,
           const Check& check) override {
    std::uint64_t sent = 0;
    zmq::message_t result;
    for (std::uint64_t received = 0; received < count; ++received) {
      for (; sent < count && sent - received < in_flight; ++sent) {
        const Task task = make(sent);
        socket_.send(zmq::buffer(task.data(), task.size()), zmq::send_flags::none);
      }
      (void)socket_.recv(result);
      check(task_in(result));
    }
  }

 private:
  Children children_;
  zmq::context_t context_;  // It has no threads before its first socket.
  zmq::socket_t socket_;
};

}  // namespace

std::unique_ptr<Peer> start_peer(std::size_t slots) {
  return std::make_unique<BareZmq>(slots);
}

}  // namespace achilles::bench
