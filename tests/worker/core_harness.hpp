// Drives the worker's core by hand: feed an event, then claim every command it answered with.
//
// The invariants are checked after each step. Commands that a test does not claim fail it.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "protocol/limits.hpp"
#include "tests/support/catch.hpp"
#include "worker/core/agent.hpp"

namespace achilles::worker::testing {

using namespace std::chrono_literals;

inline protocol::ProgramId program_id(std::uint8_t number) {
  protocol::ProgramId id;
  id.hash.fill(number);
  return id;
}

inline protocol::JobId job_id(std::uint64_t number) {
  return {protocol::ClientId{7}, number};
}

inline protocol::Items items_of(std::uint64_t count, std::uint32_t stride) {
  return {{count, stride, {}}, protocol::Bytes::own(std::vector<std::byte>(count * stride))};
}

inline protocol::OpenJob open_job(std::uint64_t number, std::uint8_t program) {
  protocol::OpenJob open;
  open.job = job_id(number);
  open.program = program_id(program);
  open.label = "job " + std::to_string(number);
  return open;
}

inline const std::uint64_t kAmple = 1 << 20;

inline protocol::Assignment assignment(std::uint64_t job, std::uint64_t attempt,
                                       std::uint64_t items = 1, std::uint64_t allowance = kAmple,
                                       std::uint32_t stride = 8) {
  return {job_id(job),
          protocol::AttemptId{attempt},
          allowance,
          {attempt * 1000, items_of(items, stride)}};
}

inline protocol::ChunkResult result_of(const protocol::Assignment& done, std::uint64_t busy_ns,
                                       std::uint32_t stride = 8) {
  protocol::ChunkResult result;
  result.job = done.job;
  result.attempt = done.attempt;
  result.first = done.chunk.first;
  result.busy_ns = busy_ns;
  result.items = items_of(done.chunk.items.count(), stride);
  return result;
}

inline AgentOptions options_with(std::uint32_t slots) {
  AgentOptions options;
  options.id = protocol::WorkerId{42};
  options.name = "n3";
  options.host = "host3";
  options.pid = 99;
  options.slots = slots;
  return options;
}

class Harness {
 public:
  explicit Harness(std::uint32_t slots = 1) : Harness(options_with(slots)) {}
  explicit Harness(AgentOptions options) : agent(std::move(options), now) {}
  ~Harness() noexcept(false) {
    if (std::uncaught_exceptions() == 0) none();
  }
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  // ---- feeding ----
  void connect() {
    none();
    collect([&](Commands& out) { agent.connect(now, out); });
  }
  void feed(Event event) {
    none();
    feed_more(std::move(event));
  }
  /// Leaves what is unclaimed so far to be claimed later.
  void feed_more(Event event) {
    collect([&](Commands& out) { agent.step(now, std::move(event), out); });
  }
  void settle() {
    collect([&](Commands& out) { agent.settle(now, out); });
  }
  void broker(protocol::Message message) { feed(BrokerMessage{std::move(message)}); }
  void task(TaskId id, protocol::Message message) { feed(TaskMessage{id, std::move(message)}); }
  void expire() {
    collect([&](Commands& out) { agent.expire(now, out); });
  }
  /// Time passes as it does in a shell: expire is called whenever it is due.
  void pass(protocol::Duration duration) {
    const protocol::TimePoint end = now + duration;
    while (agent.next_deadline() && *agent.next_deadline() <= end) {
      now = std::max(now, *agent.next_deadline());
      expire();
    }
    now = end;
  }
  /// Time passes while the broker says heartbeats and the worker's own are not looked at.
  void pass_alive(protocol::Duration duration) {
    const protocol::TimePoint end = now + duration;
    while (now < end) {
      pass(std::min<protocol::Duration>(500ms, end - now));
      feed_more(BrokerMessage{protocol::Heartbeat{protocol::SessionId{session}}});
      std::erase_if(commands, [](const Command& command) {
        const auto* sent = std::get_if<SendToBroker>(&command);
        return sent != nullptr && std::holds_alternative<protocol::Heartbeat>(sent->message);
      });
    }
  }

  // ---- claiming ----
  template <class T>
  T take() {
    REQUIRE_FALSE(commands.empty());
    INFO("the next command is of kind " << commands.front().index());
    REQUIRE(std::holds_alternative<T>(commands.front()));
    T taken = std::get<T>(std::move(commands.front()));
    commands.pop_front();
    return taken;
  }
  template <class M>
  M sent() {
    auto command = take<SendToBroker>();
    REQUIRE(std::holds_alternative<M>(command.message));
    return std::get<M>(std::move(command.message));
  }
  template <class M>
  M told(TaskId id) {
    auto command = take<SendToTask>();
    CHECK(command.task == id);
    REQUIRE(std::holds_alternative<M>(command.message));
    return std::get<M>(std::move(command.message));
  }
  Note noted(const std::string& part) {
    Note note = take<Note>();
    INFO(note.text);
    CHECK(note.text.find(part) != std::string::npos);
    return note;
  }
  void none() {
    INFO("unclaimed command of kind " << (commands.empty() ? 0 : commands.front().index()));
    REQUIRE(commands.empty());
  }

  // ---- common beginnings ----
  void welcome() {
    const auto hello = sent<protocol::Hello>();
    protocol::Welcome welcome;
    welcome.boot = protocol::BootId{1};
    welcome.session = protocol::SessionId{++session};
    welcome.incarnation = hello.incarnation;
    welcome.heartbeat_interval_ms = 1000;
    broker(welcome);
  }
  void in_session() {
    connect();
    welcome();
    sent<protocol::WorkerState>();
    CHECK(holding().empty());
  }
  /// What it says that it holds, by number of the attempt.
  std::vector<std::uint64_t> holding() {
    std::vector<std::uint64_t> numbers;
    for (const auto& held : sent<protocol::Holding>().attempts) {
      numbers.push_back(held.attempt.value);
    }
    return numbers;
  }
  void accept(std::vector<std::uint64_t> numbers) {
    protocol::Accepted accepted;
    for (const auto number : numbers) accepted.attempts.push_back({number});
    broker(std::move(accepted));
  }
  void open(std::uint64_t job, std::uint8_t program) {
    broker(open_job(job, program));
    if (commands.empty()) return;
    CHECK(take<LoadProgram>().program == program_id(program));
    feed(ProgramLoaded{program_id(program)});
  }
  void assign(std::vector<protocol::Assignment> chunks) {
    broker(protocol::Assign{std::move(chunks)});
    settle();
  }
  TaskId started(std::uint8_t program = 1) {
    const auto start = take<StartTask>();
    CHECK(start.program == program_id(program));
    return start.task;
  }
  void ready(TaskId id, std::uint8_t program = 1) {
    task(id, protocol::TaskReady{program_id(program), 5, 1000});
    settle();
  }
  std::vector<std::uint64_t> given(TaskId id) {
    std::vector<std::uint64_t> attempts;
    for (const auto& chunk : told<protocol::Assign>(id).chunks) {
      attempts.push_back(chunk.attempt.value);
    }
    return attempts;
  }
  /// The task process answers; the results are not looked at yet.
  void answer(TaskId id, std::vector<protocol::ChunkResult> results) {
    task(id, protocol::Results{std::move(results)});
  }
  std::vector<std::uint64_t> results_sent() {
    std::vector<std::uint64_t> attempts;
    for (const auto& chunk : sent<protocol::Results>().chunks) {
      attempts.push_back(chunk.attempt.value);
    }
    return attempts;
  }

  protocol::TimePoint now{1h};
  Agent agent;
  std::deque<Command> commands;
  std::uint64_t session = 100;

 private:
  template <class Call>
  void collect(Call call) {
    Commands out;
    call(out);
    for (auto& command : out) commands.push_back(std::move(command));
    agent.check_invariants();
  }
};

using Numbers = std::vector<std::uint64_t>;

}  // namespace achilles::worker::testing
