#include "worker/worker_shell.hpp"

#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/codec.hpp"
#include "protocol/content_hash.hpp"
#include "protocol/limits.hpp"
#include "protocol/transport/clock.hpp"
#include "protocol/transport/poll_loop.hpp"
#include "protocol/transport/socket.hpp"
#include "tests/support/catch.hpp"
#include "worker/mapped_file.hpp"

namespace {

using namespace achilles;
using worker::WorkerShell;
namespace fs = std::filesystem;

struct TemporaryFolder {
  std::string path = (fs::temp_directory_path() / "achilles-shell-XXXXXX").string();
  TemporaryFolder() { REQUIRE(::mkdtemp(path.data())); }
  ~TemporaryFolder() { fs::remove_all(path); }
};

/// Plays the broker's part, as far as one worker sees it.
class PlayedBroker {
 public:
  PlayedBroker() : socket_(context_), endpoint_(socket_.bind("tcp://127.0.0.1:0")) {
    loop_.watch(socket_, [this] {
      while (auto received = socket_.receive()) {
        peer_ = received->peer;
        auto decoded = protocol::decode(received->frames);
        REQUIRE(std::holds_alternative<protocol::Message>(decoded));
        hear(std::move(std::get<protocol::Message>(decoded)));
      }
    });
  }

  const std::string& endpoint() const { return endpoint_; }
  void send(const protocol::Message& message) { socket_.send(peer_, protocol::encode(message)); }
  void offer(std::vector<std::byte> program) { program_ = std::move(program); }

  /// The next message of a kind; others are kept.
  template <class Kind>
  Kind wait_for() {
    const auto deadline = protocol::now() + std::chrono::seconds(30);
    while (true) {
      const auto found = std::ranges::find_if(
          heard_, [](const auto& message) { return std::holds_alternative<Kind>(message); });
      if (found != heard_.end()) {
        Kind kind = std::move(std::get<Kind>(*found));
        heard_.erase(found);
        return kind;
      }
      REQUIRE(protocol::now() < deadline);
      loop_.run_once(deadline);
    }
  }
  /// Serves the worker until something is true that the broker is not told.
  void run_until(const std::function<bool()>& reached) {
    const auto deadline = protocol::now() + std::chrono::seconds(30);
    while (!reached()) {
      REQUIRE(protocol::now() < deadline);
      loop_.run_once(protocol::now() + std::chrono::milliseconds(5));
    }
  }
  int parts_sent() const { return parts_sent_; }

 private:
  void hear(protocol::Message message) {
    if (const auto* hello = std::get_if<protocol::Hello>(&message)) {
      protocol::Welcome welcome;
      welcome.boot = {1};
      welcome.session = {2};
      welcome.incarnation = hello->incarnation;
      welcome.heartbeat_interval_ms = 1000;
      welcome.max_payload_bytes = protocol::kMaxPayloadBytes;
      send(welcome);
    }
    if (std::holds_alternative<protocol::Heartbeat>(message)) send(protocol::Heartbeat{{2}});
    if (const auto* need = std::get_if<protocol::NeedProgram>(&message)) {
      if (need->offset < program_.size()) {
        const auto size =
            std::min<std::uint64_t>(protocol::kPartBytes, program_.size() - need->offset);
        ++parts_sent_;
        send(protocol::ProgramPart{
            need->program, program_.size(), need->offset,
            protocol::Bytes::copy(std::span(program_).subspan(need->offset, size))});
      }
    }
    heard_.push_back(std::move(message));
  }

  protocol::Context context_;
  protocol::RouterSocket socket_;
  std::string endpoint_;
  protocol::PollLoop loop_;
  protocol::PeerHandle peer_ = 0;
  std::vector<protocol::Message> heard_;
  std::vector<std::byte> program_;
  int parts_sent_ = 0;
};

struct RunningWorker {
  WorkerShell shell;
  std::optional<WorkerShell::End> end;
  std::thread thread;
  explicit RunningWorker(const worker::WorkerShellOptions& options)
      : shell(options), thread([this] { end = shell.run(); }) {}
  ~RunningWorker() {
    if (!thread.joinable()) return;
    shell.interrupt();
    shell.interrupt();
    thread.join();
  }
  WorkerShell::End wait() {
    thread.join();
    return *end;
  }
};

worker::WorkerShellOptions options_for(const std::string& endpoint, const std::string& folder) {
  spdlog::set_level(spdlog::level::off);
  worker::WorkerShellOptions options;
  options.endpoints = {endpoint};
  options.name = "n1";
  options.host = "h1";
  options.cache_folder = folder;
  options.id = 77;
  options.slots = 2;
  return options;
}

std::vector<std::byte> scripted_task() {
  const worker::MappedFile file{std::string(SCRIPTED_TASK)};
  return {file.bytes().begin(), file.bytes().end()};
}

protocol::OpenJob job_of(protocol::ProgramId program, const std::string& label) {
  protocol::OpenJob job;
  job.job = {protocol::ClientId{5}, 1};
  job.program = program;
  job.label = label;
  job.crash_limit = 3;
  return job;
}

protocol::Assign chunk(std::uint64_t attempt, const std::string& text,
                       protocol::ItemIndex first = 0) {
  protocol::Assignment assignment;
  assignment.job = {protocol::ClientId{5}, 1};
  assignment.attempt = {attempt};
  assignment.result_allowance = 1 << 20;
  assignment.chunk.first = first;
  assignment.chunk.items.layout = {1, static_cast<std::uint32_t>(text.size()), {}};
  assignment.chunk.items.payload = protocol::Bytes::copy(text);
  return {{assignment}};
}

}  // namespace

TEST_CASE("a worker fetches the program, runs chunks, drains and leaves") {
  const TemporaryFolder folder;
  PlayedBroker broker;
  const auto program = scripted_task();
  broker.offer(program);
  const auto name = protocol::hash_of(program);
  {
    RunningWorker worker(options_for(broker.endpoint(), folder.path));
    const auto hello = broker.wait_for<protocol::Hello>();
    REQUIRE(hello.role == protocol::Role::kWorker);
    REQUIRE(hello.name == "n1");
    REQUIRE(broker.wait_for<protocol::WorkerState>().slots == 2);
    broker.send(job_of(name, "plain work"));
    broker.send(chunk(1, "first"));
    const auto results = broker.wait_for<protocol::Results>();
    REQUIRE(results.chunks.size() == 1);
    REQUIRE(results.chunks[0].attempt == protocol::AttemptId{1});
    REQUIRE(results.chunks[0].items.payload.text() == "first");

    // The program is kept beside the work, and a worker that leaves does not wait for that.
    const std::string kept = folder.path + "/programs/" + protocol::to_hex(name);
    broker.run_until([&] { return fs::exists(kept); });
    worker.shell.interrupt();
    broker.wait_for<protocol::Bye>();
    REQUIRE(worker.wait() == WorkerShell::End::kLeft);
  }
  REQUIRE(fs::is_empty(folder.path + "/scratch"));

  // The next worker finds the program in the folder.
  const int parts = broker.parts_sent();
  RunningWorker worker(options_for(broker.endpoint(), folder.path));
  broker.wait_for<protocol::WorkerState>();
  broker.wait_for<protocol::WorkerState>();
  broker.send(job_of(name, "plain work"));
  broker.send(chunk(2, "second"));
  REQUIRE(broker.wait_for<protocol::Results>().chunks[0].items.payload.text() == "second");
  REQUIRE(broker.parts_sent() == parts);
}

TEST_CASE("the death of a task process names the item it worked on") {
  const TemporaryFolder folder;
  PlayedBroker broker;
  const auto program = scripted_task();
  broker.offer(program);
  RunningWorker worker(options_for(broker.endpoint(), folder.path));
  broker.wait_for<protocol::WorkerState>();
  // The label has the task process die as if it were at item 17 of attempt 5.
  broker.send(job_of(protocol::hash_of(program), "raise 11"));
  broker.send(chunk(5, "text", 17));
  const auto crashed = broker.wait_for<protocol::Crashed>();
  REQUIRE(crashed.attempt == protocol::AttemptId{5});
  REQUIRE(crashed.item == 17);
  REQUIRE(crashed.error.detail.find("Segmentation fault") != std::string::npos);
  REQUIRE(crashed.error.host == "h1");
}

TEST_CASE("a program that cannot run here is refused with the reason") {
  const TemporaryFolder folder;
  PlayedBroker broker;
  std::vector<std::byte> nonsense(5000, std::byte{3});
  broker.offer(nonsense);
  RunningWorker worker(options_for(broker.endpoint(), folder.path));
  broker.wait_for<protocol::WorkerState>();
  broker.send(job_of(protocol::hash_of(nonsense), "x"));
  broker.send(chunk(1, "text"));
  REQUIRE(broker.wait_for<protocol::ProgramRefused>().reason.find("no ELF file") !=
          std::string::npos);
}

TEST_CASE("a worker that is told twice leaves at once, whatever runs") {
  const TemporaryFolder folder;
  PlayedBroker broker;
  const auto program = scripted_task();
  broker.offer(program);
  RunningWorker worker(options_for(broker.endpoint(), folder.path));
  broker.wait_for<protocol::WorkerState>();
  const std::string begun = folder.path + "/begun";
  broker.send(job_of(protocol::hash_of(program), "touch_and_hang " + begun));
  broker.send(chunk(1, "text"));
  broker.run_until([&] { return fs::exists(begun); });
  worker.shell.interrupt();
  worker.shell.interrupt();
  REQUIRE(worker.wait() == WorkerShell::End::kStopped);
}

TEST_CASE("without a broker the worker gives up when it was told to") {
  const TemporaryFolder folder;
  std::string endpoint;
  {
    endpoint = PlayedBroker().endpoint();
  }
  auto options = options_for(endpoint, folder.path);
  options.connect_timeout = std::chrono::milliseconds(200);
  RunningWorker worker(options);
  REQUIRE(worker.wait() == WorkerShell::End::kNoBroker);
}
