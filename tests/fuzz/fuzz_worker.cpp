// The worker's core, fed anything that a broker and task processes may say and do, in any order.
// Whatever comes, its tables fit together, it tells its task processes and its broker only what may
// be told, answers for what it was given, and comes to rest when it is told to end.
//
// An input is steps one after another: a byte says which, its arguments follow. See `step`.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "tests/fuzz/drawn.hpp"
#include "worker/core/agent.hpp"

using namespace achilles::protocol;
using namespace achilles::worker;
using namespace achilles::fuzz;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kAttemptsMax = 1024;

AgentOptions options_of(Input& input) {
  const std::uint64_t drawn = input.u8();
  AgentOptions options;
  options.id = {7};
  options.name = "n";
  options.host = "pc";
  options.slots = static_cast<std::uint32_t>(drawn % 4);
  options.warm_tasks_max = static_cast<std::uint32_t>(drawn / 4 % 3);
  if (drawn / 16 % 2 == 1) options.held_result_bytes_max = 500;
  return options;
}

/// A task process as the world has it.
struct Running {
  ProgramId program;
  bool ready = false;
  bool killed = false;
  std::set<JobId> knows;
  struct Held : Assignment {
    std::uint64_t turn = 0;  ///< Among all that it was given, from 1.
  };
  std::vector<Held> holds;
  std::uint64_t given = 0;
  std::uint64_t come_to = 0;
};

class World {
 public:
  explicit World(Input input) : input_(input), agent_(options_of(input_), now_) {}

  void run() {
    connect();
    while (!input_.empty() && !left_) step();
    end();
  }

 private:
  void step() {
    switch (input_.u8() % 26) {
      case 0:
      case 1:
        return send_welcome();
      case 2:
        return send_open_job();
      case 3:
      case 4:
        return send_assign();
      case 5:
        return send(Grant{draw_attempt()});
      case 6:
        return send(Accepted{draw_attempts()});
      case 7:
        return send(Revoke{draw_attempts()});
      case 8:
        return send(CloseJob{draw_job()});
      case 9:
        return send_program_part();
      case 10:
        return send_small();
      case 11:
        if (const auto message = draw_anything(input_)) send(*message);
        return;
      case 12:
        return answer_program();
      case 13:
      case 14:
        return task_is_ready();
      case 15:
      case 16:
        return task_answers();
      case 17:
        return task_exits();
      case 18:
        return task_says_anything();
      case 19:
        return task_fails_to_start();
      case 20:
        return settle();
      case 21:
        return pass(input_.u8() * 50ms);
      case 22:
        now_ += input_.u16() * 10ms;  // The worker itself stands still.
        return expire();
      case 24:
        return send(Recall{draw_attempts()});
      case 25:
        return answer_take_back();
      default:
        if (input_.u8() % 8 == 0) event(DrainRequested{});
        return settle();
    }
  }

  // ---- what the broker says

  void send_welcome() {
    const std::uint64_t drawn = input_.u8();
    Welcome welcome;
    welcome.boot = {drawn % 2};
    welcome.session = {drawn < 200 ? ++sessions_ : sessions_};
    welcome.incarnation = drawn % 16 == 15 ? input_.size() : incarnation_;
    welcome.heartbeat_interval_ms =
        static_cast<std::uint32_t>(drawn % 8 == 7 ? input_.size() : 1000);
    send(welcome);
  }
  void send_open_job() {
    OpenJob open;
    open.job = draw_job();
    open.program = draw_program(input_);
    send(open);
  }
  void send_assign() {
    Assign assign;
    for (auto count = input_.u8() % 5; count > 0; --count) {
      Assignment assignment;
      assignment.job = draw_job();
      assignment.attempt = input_.u8() % 8 == 0 ? draw_attempt() : AttemptId{++attempts_};
      assignment.result_allowance = input_.u8() % 4 == 0 ? 0 : 1000;
      const ItemIndex first = input_.size();
      assignment.chunk = draw_chunk(input_, first, 1 + input_.size());
      if (known_.size() < kAttemptsMax) known_.push_back(assignment.attempt);
      given_.insert(assignment.attempt);
      assign.chunks.push_back(std::move(assignment));
    }
    send(assign);
  }
  void send_program_part() {
    const std::uint64_t drawn = input_.u8();
    ProgramPart part;
    part.program = draw_program(input_);
    part.total_bytes = drawn % 16 == 15 ? input_.size() % kMaxProgramBytes : kPartBytes + 7;
    part.offset = std::min(part.total_bytes, drawn / 16 % 3 * kPartBytes);
    const std::uint64_t size = std::min(kPartBytes, part.total_bytes - part.offset);
    static const Bytes zeros = Bytes::own(std::vector<std::byte>(kPartBytes));
    part.bytes = zeros.slice(0, drawn % 16 == 14 ? size / 2 : size);
    send(part);
  }
  void send_small() {
    switch (input_.u8() % 8) {
      case 0:
        return send(Bye{"enough"});
      case 1:
      case 2:
        return send(Rejected{static_cast<RejectReason>(input_.u8() % 6), "no"});
      case 3:
        return event(BrokerMalformed{RejectReason::kMalformed, "what?"});
      case 4:
        return event(BrokerHeard{});
      case 5:
        return send(Results{});
      default:
        return send(Heartbeat{{sessions_}});
    }
  }

  // ---- what happens beside the broker

  void answer_program() {
    const std::uint64_t drawn = input_.u8();
    const ProgramId program = draw_program(input_);
    switch (drawn % 4) {
      case 0:
      case 1:
        return event(ProgramLoaded{program});
      case 2:
        return event(ProgramAbsent{program});
      default:
        return event(ProgramUnusable{program, "no"});
    }
  }
  TaskId draw_task() {
    const std::uint64_t which = input_.u8();
    if (tasks_.empty() || which == 255) return {which};
    return std::next(tasks_.begin(), static_cast<std::ptrdiff_t>(which % tasks_.size()))->first;
  }
  void task_fails_to_start() {
    const TaskId id = draw_task();
    tasks_.erase(id);
    event(TaskFailedToStart{id, "no room"});
  }
  void task_is_ready() {
    const TaskId id = draw_task();
    const auto at = tasks_.find(id);
    if (at == tasks_.end() || at->second.ready) return;
    at->second.ready = true;
    say(id, TaskReady{at->second.program, 1, 1000});
  }
  /// As it should, or with something wrong.
  void task_answers() {
    const TaskId id = draw_task();
    const auto at = tasks_.find(id);
    if (at == tasks_.end() || at->second.holds.empty()) return;
    auto& holds = at->second.holds;
    Results results;
    for (auto count = 1 + input_.u8() % 3; count > 0 && !holds.empty(); --count) {
      const auto done = holds.front();
      holds.erase(holds.begin());
      at->second.come_to = done.turn;
      const std::uint64_t twist = input_.u8();
      const std::uint64_t items = done.chunk.items.count() + (twist == 255 ? 1 : 0);
      results.chunks.push_back(
          draw_result(input_, done.job, done.attempt, done.chunk.first, items));
    }
    say(id, results);
  }
  /// The worker hears late of what came back, after more of what happens, or never.
  void answer_take_back() {
    if (taken_back_.empty()) return;
    const TakenBackFromTask answer = taken_back_.front();
    taken_back_.erase(taken_back_.begin());
    if (tasks_.contains(answer.task)) event(answer);
  }
  void task_exits() {
    const TaskId id = draw_task();
    const auto at = tasks_.find(id);
    const std::uint64_t drawn = input_.u8();
    TaskExited exited{id, {}, 0, "signal 9 (Killed)", "", 1000, {}};
    if (at != tasks_.end() && !at->second.holds.empty()) {
      const Assignment& front = at->second.holds.front();
      if (drawn % 2 == 1) exited.running_attempt = front.attempt;
      exited.running_item = front.chunk.first + input_.u8();
      if (drawn / 2 % 2 == 1) exited.begun_attempt = at->second.holds.back().attempt;
    }
    if (drawn / 4 % 8 == 7) exited.running_attempt = draw_attempt();
    if (at != tasks_.end()) tasks_.erase(at);
    event(std::move(exited));
  }
  void task_says_anything() {
    const TaskId id = draw_task();
    const auto at = tasks_.find(id);
    if (at == tasks_.end()) return;
    if (input_.u8() % 2 == 0) {
      at->second.ready = true;
      return say(id, TaskReady{draw_program(input_), 1, 1000});
    }
    if (const auto message = draw_anything(input_)) say(id, *message);
  }

  // ---- what is drawn

  JobId draw_job() { return {{input_.u8() % 2 + 1}, input_.u8() % 3}; }
  AttemptId draw_attempt() {
    const std::uint64_t which = input_.u8();
    if (which >= 240 || known_.empty()) return {input_.size()};
    return known_[known_.size() - 1 - which % known_.size()];
  }
  std::vector<AttemptId> draw_attempts() {
    std::vector<AttemptId> attempts;
    for (auto count = input_.u8() % 5; count > 0; --count) attempts.push_back(draw_attempt());
    return attempts;
  }

  // ---- entrances, and what must hold after each

  void send(const Message& message) {
    tell("broker", 0, message);
    event(BrokerMessage{through_codec(message, &payloads_)});
  }
  void say(TaskId id, const Message& message) {
    tell("task", id.value, message);
    event(TaskMessage{id, through_codec(message, &payloads_)});
  }
  void event(Event what) {
    Commands out;
    agent_.step(now_, std::move(what), out);
    take(out);
  }
  void settle() {
    Commands out;
    agent_.settle(now_, out);
    take(out);
  }
  void connect() {
    Commands out;
    agent_.connect(now_, out);
    take(out);
  }
  /// What it puts off when it loses its broker is done in the next call, and nothing more often.
  void expire() {
    for (int calls = 0; calls < 3; ++calls) {
      Commands out;
      agent_.expire(now_, out);
      take(out);
      settle();
      const auto next = agent_.next_deadline();
      if (!next || *next > now_) return;
    }
    require(false);
  }
  void pass(Duration time) {
    const TimePoint until = now_ + time;
    for (auto next = agent_.next_deadline(); next && *next <= until;
         next = agent_.next_deadline()) {
      now_ = std::max(now_, *next);
      expire();
    }
    now_ = until;
  }
  /// Twice told to end, or once while there is no session, it leaves at once.
  void end() {
    if (!left_) event(DrainRequested{});
    if (!left_) event(DrainRequested{});
    require(left_ && !agent_.next_deadline());
    for (const auto& [id, task] : tasks_) require(told_to_end_.contains(id));
  }

  void take(Commands& out) {
    for (auto& command : out) {
      require(!left_ || std::holds_alternative<Note>(command));
      std::visit([&](auto& c) { carry_out(c); }, command);
    }
    if (!left_) agent_.check_invariants();
    if (std::exchange(reconnect_, false) && !left_) connect();
  }

  // ---- what the worker does

  void carry_out(SendToBroker& command) {
    tell("to broker", 0, command.message);
    require(through_codec(command.message) == command.message);
    if (const auto* hello = std::get_if<Hello>(&command.message)) {
      require(hello->incarnation > incarnation_);
      incarnation_ = hello->incarnation;
    } else if (const auto* results = std::get_if<Results>(&command.message)) {
      for (const auto& result : results->chunks) require(given_.contains(result.attempt));
    } else if (const auto* crashed = std::get_if<Crashed>(&command.message)) {
      require(given_.contains(crashed->attempt));
    } else if (const auto* holding = std::get_if<Holding>(&command.message)) {
      for (const auto& held : holding->attempts) require(given_.contains(held.attempt));
    }
  }
  void carry_out(StartTask& command) {
    require(!tasks_.contains(command.task) && !told_to_end_.contains(command.task));
    tasks_[command.task].program = command.program;
  }
  void carry_out(SendToTask& command) {
    tell("to task", command.task.value, command.message);
    require(through_codec(command.message) == command.message);
    Running& task = running(command.task);
    require(task.ready && !task.killed);
    if (const auto* open = std::get_if<OpenJob>(&command.message)) {
      require(open->program == task.program);
      task.knows.insert(open->job);
    } else if (const auto* close = std::get_if<CloseJob>(&command.message)) {
      require(task.knows.erase(close->job) == 1);
    } else {
      for (auto& assignment : std::get<Assign>(command.message).chunks) {
        require(task.knows.contains(assignment.job));
        task.holds.push_back({std::move(assignment), ++task.given});
      }
    }
  }
  void carry_out(SkipJobInTask& command) { require(running(command.task).ready); }
  void carry_out(TakeBackFromTask& command) {
    Running& task = running(command.task);
    require(task.ready && command.given == task.given);
    if (!task.holds.empty() && input_.u8() % 2 == 0) task.come_to = task.holds.front().turn;
    std::erase_if(task.holds, [&](const auto& held) { return held.turn > task.come_to; });
    taken_back_.push_back({command.task, command.given, task.come_to});
  }
  void carry_out(TerminateTask& command) {
    require(running(command.task).ready);
    told_to_end_.insert(command.task);
  }
  void carry_out(EndTask& command) {
    Running& task = running(command.task);
    require(!task.killed);
    task.killed = command.kill;
    told_to_end_.insert(command.task);
  }
  void carry_out(Reconnect&) { reconnect_ = true; }
  void carry_out(Leave&) { left_ = true; }
  template <class Other>
  void carry_out(Other&) {}

  Running& running(TaskId id) {
    const auto at = tasks_.find(id);
    require(at != tasks_.end());
    return at->second;
  }

  Input input_;
  TimePoint now_{1000s};
  Agent agent_;
  PayloadCount payloads_;
  std::map<TaskId, Running> tasks_;
  std::set<TaskId> told_to_end_;
  std::vector<TakenBackFromTask> taken_back_;
  std::vector<AttemptId> known_;
  std::set<AttemptId> given_;
  std::uint64_t attempts_ = 0;
  std::uint64_t sessions_ = 0;
  std::uint64_t incarnation_ = 0;
  bool reconnect_ = false;
  bool left_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World(Input({data, size})).run();
  return 0;
}
