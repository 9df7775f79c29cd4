// The broker over real sockets, and achilles-broker as a process.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

#include "broker/broker_shell.hpp"
#include "protocol/codec.hpp"
#include "protocol/hop.hpp"
#include "protocol/transport/clock.hpp"
#include "protocol/version.hpp"
#include "tests/support/catch.hpp"

extern char** environ;

using namespace achilles;
using namespace std::chrono_literals;
namespace p = achilles::protocol;

namespace {

class Peer {
 public:
  Peer(p::Context& context, const std::string& endpoint, const p::SocketOptions& options = {})
      : socket_(context, options) {
    socket_.connect(endpoint);
    loop_.watch(socket_, [this] {
      while (auto frames = socket_.receive()) {
        if (plays_parts_) {
          inbox_.push_back(std::get<p::Message>(p::decode(*frames)));
          continue;
        }
        auto received = hop_.receive(*frames);
        REQUIRE_FALSE(std::holds_alternative<p::Malformed>(received));
        auto* message = std::get_if<p::Message>(&received);
        if (message != nullptr) inbox_.push_back(std::move(*message));
        flush();
      }
    });
  }
  void send(const p::Message& message) {
    hop_.send(message);
    flush();
  }
  /// From now on the test makes parts, and sees what is said of them.
  void play_parts() { plays_parts_ = true; }
  /// Takes in what has come.
  void turn() { loop_.run_once(p::now()); }
  void send_frames(p::Frames frames) { socket_.send(std::move(frames)); }
  /// The next message that is an M; waits for it.
  template <class M>
  M expect() {
    const auto deadline = p::now() + 20s;
    while (true) {
      for (auto at = inbox_.begin(); at != inbox_.end(); ++at) {
        if (auto* message = std::get_if<M>(&*at)) {
          M found = std::move(*message);
          inbox_.erase(at);
          return found;
        }
      }
      if (p::now() > deadline) FAIL("no message of type " << static_cast<int>(M::kType));
      loop_.run_once(deadline);
    }
  }

 private:
  void flush() {
    while (auto frames = hop_.next()) socket_.send(std::move(*frames));
  }

  p::DealerSocket socket_;
  p::Hop hop_{p::Hop::End::kPeer};
  bool plays_parts_ = false;
  p::PollLoop loop_;
  std::vector<p::Message> inbox_;
};

/// A broker in a thread of its own.
class Running {
 public:
  explicit Running(p::Context& context, broker::ShellOptions options = {})
      : shell_(context, std::move(options), [](const broker::Note&) {}),
        endpoint_(shell_.bind("tcp://127.0.0.1:0")),
        thread_([this] { shell_.run(nullptr); }) {}
  ~Running() {
    shell_.stop();
    thread_.join();
  }
  const std::string& endpoint() const { return endpoint_; }

 private:
  broker::BrokerShell shell_;
  std::string endpoint_;
  std::thread thread_;
};

p::Hello hello(p::Role role, std::uint64_t id) {
  return {role, id, 1, "n", "pc", 7, "0.1.0"};
}

/// achilles-broker with its stdout and stderr.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    std::array<int, 2> out{};
    std::array<int, 2> err{};
    REQUIRE(pipe2(out.data(), O_CLOEXEC) == 0);
    REQUIRE(pipe2(err.data(), O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    arguments.insert(arguments.begin(), ACHILLES_BROKER_PROGRAM);
    std::vector<char*> argv;
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    REQUIRE(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    out_ = out[0];
    err_ = err[0];
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
    close(err_);
  }
  std::string first_line() {
    std::string line;
    char c = 0;
    while (ready(out_) && read(out_, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }
  std::string rest_of(bool of_stderr) {
    std::string text;
    std::array<char, 4096> buffer{};
    const int fd = of_stderr ? err_ : out_;
    while (ready(fd)) {
      const auto count = read(fd, buffer.data(), buffer.size());
      if (count <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return text;
  }
  void signal(int number) const { kill(pid_, number); }
  /// Its exit code; -1 when a signal ended it.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  static bool ready(int fd) {
    pollfd what{fd, POLLIN, 0};
    const bool any = poll(&what, 1, 20'000) == 1;
    CHECK(any);
    return any;
  }
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
};

}  // namespace

TEST_CASE("a chunk goes from a client to a worker and its result back, over sockets") {
  p::Context context;
  Running broker(context);
  Peer client(context, broker.endpoint());
  Peer worker(context, broker.endpoint());
  client.send(hello(p::Role::kClient, 1));
  client.expect<p::Welcome>();
  worker.send(hello(p::Role::kWorker, 2));
  worker.expect<p::Welcome>();
  worker.send(p::WorkerState{1, 64, 64 << 20, false});
  worker.send(p::Holding{});
  p::OpenJob open;
  open.job = {{1}, 1};
  client.send(open);
  client.send(p::ResultCredit{open.job, 64 << 20, 0});
  client.expect<p::JobWindow>();
  p::Items items;
  items.layout.count = 1;
  items.layout.stride = 1'000'000;
  items.payload = p::Bytes::own(std::vector<std::byte>(1'000'000, std::byte{42}));
  client.send(p::Submit{open.job, {{0, items}}});
  worker.expect<p::OpenJob>();
  const auto assign = worker.expect<p::Assign>();
  REQUIRE(assign.chunks.size() == 1);
  CHECK(assign.chunks[0].chunk.items == items);
  worker.expect<p::Grant>();
  p::ChunkResult result;
  result.job = open.job;
  result.attempt = assign.chunks[0].attempt;
  result.items = items;
  worker.send(p::Results{{result}});
  CHECK(client.expect<p::Results>().chunks.at(0).items == items);
  client.send(p::CloseJob{open.job});
  worker.expect<p::CloseJob>();
}

TEST_CASE("bytes that are no message are rejected, and the sender may go on") {
  p::Context context;
  Running broker(context);
  Peer peer(context, broker.endpoint());
  peer.send_frames({p::Bytes::copy("GET / HTTP/1.1")});
  CHECK(peer.expect<p::Rejected>().reason == p::RejectReason::kMalformed);
  peer.send(p::StatusRequest{});
  CHECK(peer.expect<p::StatusReply>().rejected_messages == 1);
}

TEST_CASE("heartbeats come by themselves; a silent peer must say HELLO again") {
  p::Context context;
  broker::ShellOptions options;
  options.scheduler.heartbeat_interval = 20ms;
  Running broker(context, options);
  Peer peer(context, broker.endpoint());
  peer.send(hello(p::Role::kClient, 1));
  const auto welcome = peer.expect<p::Welcome>();
  CHECK(peer.expect<p::Heartbeat>().session == welcome.session);
  Peer observer(context, broker.endpoint());
  const auto deadline = p::now() + 20s;
  while (true) {  // Until the broker has given the peer up.
    observer.send(p::StatusRequest{});
    if (observer.expect<p::StatusReply>().clients == 0) break;
    REQUIRE(p::now() < deadline);
  }
  peer.send(p::Heartbeat{welcome.session});
  CHECK(peer.expect<p::Rejected>().reason == p::RejectReason::kUnknownSession);
}

TEST_CASE("a broker that stops says BYE, and stays until the answer has come") {
  p::Context context;
  broker::ShellOptions options;
  options.scheduler.farewell_max = 60s;
  auto broker = std::make_unique<Running>(context, options);
  Peer peer(context, broker->endpoint());
  peer.send(hello(p::Role::kClient, 1));
  peer.expect<p::Welcome>();
  std::thread stopping([&] { broker.reset(); });
  peer.expect<p::Bye>();
  peer.send(p::Bye{});
  stopping.join();
}

TEST_CASE("a peer that sends nothing but parts is alive") {
  p::Context context;
  Running broker(context);
  Peer client(context, broker.endpoint());
  client.send(hello(p::Role::kClient, 1));
  client.expect<p::Welcome>();
  client.play_parts();
  p::OpenJob open;
  open.job = {{1}, 1};
  open.context = p::Bytes::own(std::vector<std::byte>(p::kInlineBytes + 1));
  const p::Frames whole = p::encode(open);
  p::Part part{1, {whole[0].size(), whole[1].size()}, 0, whole[0]};
  // A part each time that the broker has said nothing for an interval: longer than any lease.
  for (int beat = 0; beat < p::kLostAfter + 2; ++beat) {
    client.send_frames(p::encode(part));
    part.frame_sizes.clear();
    part.offset = whole[0].size() + static_cast<std::uint64_t>(beat);
    part.bytes = whole[1].slice(static_cast<std::size_t>(beat), 1);
    client.expect<p::PartsTaken>();
    client.expect<p::Heartbeat>();
  }
  client.send(p::StatusRequest{});
  CHECK(client.expect<p::StatusReply>().clients == 1);
}

namespace {

p::SocketOptions small_buffers() {
  p::SocketOptions options;
  options.high_water_mark = 4;
  options.kernel_buffer_bytes = 64 << 10;
  return options;
}

}  // namespace

TEST_CASE("a peer that does not read is given up, and the others do not notice") {
  p::Context context;
  broker::ShellOptions options;
  options.scheduler.heartbeat_interval = 10min;  // It is not its silence.
  options.unsent_bytes_max = 8 << 20;
  options.socket = small_buffers();
  Running broker(context, options);
  Peer client(context, broker.endpoint());
  Peer worker(context, broker.endpoint(), small_buffers());
  worker.send(hello(p::Role::kWorker, 2));
  worker.expect<p::Welcome>();
  worker.send(p::WorkerState{1, 1 << 20, 1ULL << 40, false});
  worker.send(p::Holding{});  // And reads no more.
  client.send(hello(p::Role::kClient, 1));
  client.expect<p::Welcome>();
  Peer observer(context, broker.endpoint());
  const auto payload = p::Bytes::own(std::vector<std::byte>(p::kPartBytes));
  const auto deadline = p::now() + 60s;
  for (std::uint64_t number = 1;; ++number) {
    p::OpenJob open;
    open.job = {{1}, number};
    open.context = payload;
    client.send(open);
    client.send(p::ResultCredit{open.job, 1 << 20, std::nullopt});
    p::Items items;
    items.layout.count = 1;
    items.layout.stride = 1;
    items.payload = p::Bytes::copy("x");
    client.send(p::Submit{open.job, {{0, items}}});
    client.expect<p::JobWindow>();
    client.send(p::CloseJob{open.job});
    observer.send(p::StatusRequest{});
    if (observer.expect<p::StatusReply>().workers.empty()) break;
    REQUIRE(number < 100);
    REQUIRE(p::now() < deadline);
  }
}

TEST_CASE("a peer that takes no parts is not given up, and costs no more than its jobs do") {
  p::Context context;
  broker::ShellOptions options;
  options.scheduler.heartbeat_interval = 10min;
  options.unsent_bytes_max = 8 << 20;
  options.socket = small_buffers();
  Running broker(context, options);
  Peer client(context, broker.endpoint());
  Peer worker(context, broker.endpoint(), small_buffers());
  worker.send(hello(p::Role::kWorker, 2));
  worker.expect<p::Welcome>();
  worker.send(p::WorkerState{1, 1 << 20, 1ULL << 40, false});
  worker.send(p::Holding{});  // And reads no more, for now.
  client.send(hello(p::Role::kClient, 1));
  client.expect<p::Welcome>();
  p::OpenJob open;
  open.job = {{1}, 1};
  open.context = p::Bytes::own(std::vector<std::byte>(60 << 20));
  client.send(open);
  client.send(p::ResultCredit{open.job, 1 << 20, std::nullopt});
  p::Items items;
  items.layout.count = 1;
  items.layout.stride = 60 << 20;
  items.payload = open.context;
  client.send(p::Submit{open.job, {{0, items}}});
  client.expect<p::JobWindow>();
  Peer observer(context, broker.endpoint());
  const auto deadline = p::now() + 60s;
  while (true) {  // Until the broker has handed out what it can.
    observer.send(p::StatusRequest{});
    const auto status = observer.expect<p::StatusReply>();
    REQUIRE(status.workers.size() == 1);
    if (status.workers[0].running_chunks == 1) break;
    client.turn();
    REQUIRE(p::now() < deadline);
  }
  CHECK(worker.expect<p::OpenJob>().context == open.context);
  CHECK(worker.expect<p::Assign>().chunks.at(0).chunk.items == items);
}

TEST_CASE(
    "achilles-broker prints its endpoint first, serves, and leaves on SIGTERM with BYE and 0") {
  Program program({"--bind", "tcp://127.0.0.1:0", "--log-level", "warning"});
  const std::string endpoint = program.first_line();
  CHECK(endpoint.starts_with("tcp://127.0.0.1:"));
  p::Context context;
  Peer peer(context, endpoint);
  peer.send(hello(p::Role::kClient, 1));
  CHECK(peer.expect<p::Welcome>().heartbeat_interval_ms == 1000);
  program.signal(SIGTERM);
  peer.expect<p::Bye>();
  CHECK(program.rest_of(true).empty());
  CHECK(program.wait() == 0);
}

TEST_CASE("achilles-broker leaves on Ctrl-C") {
  Program program({"--bind", "tcp://127.0.0.1:0"});
  CHECK_FALSE(program.first_line().empty());
  program.signal(SIGINT);
  CHECK(program.wait() == 0);
}

TEST_CASE("achilles-broker binds nothing but loopback without --insecure, and says why") {
  Program refused({"--bind", "tcp://0.0.0.0:0"});
  CHECK(refused.rest_of(true).find("no keys") != std::string::npos);
  CHECK(refused.wait() == 2);
  Program allowed({"--bind", "tcp://0.0.0.0:0", "--insecure"});
  CHECK(allowed.first_line().starts_with("tcp://0.0.0.0:"));
}

TEST_CASE("achilles-broker tells usage from failure") {
  CHECK(Program({"--nonsense"}).wait() == 2);
  CHECK(Program({"--bind", "5555"}).wait() == 2);
  CHECK(Program({"--max-payload-mib", "0"}).wait() == 2);
  CHECK(Program({"--max-payload-mib", "1025"}).wait() == 2);
  CHECK(Program({"--client-grace-s", "0"}).wait() == 2);
  Program first({"--bind", "tcp://127.0.0.1:0"});
  Program second({"--bind", first.first_line()});  // Taken.
  CHECK(second.rest_of(true).starts_with("achilles-broker: "));
  CHECK(second.wait() == 1);
  Program version({"--version"});
  CHECK(version.rest_of(false).starts_with("achilles-broker " + std::string(p::kLibraryVersion) +
                                           ", protocol 1, libzmq "));
  CHECK(version.wait() == 0);
}
