#include "worker/worker_shell.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/hop.hpp"
#include "protocol/transport/broker_question.hpp"
#include "protocol/transport/clock.hpp"
#include "protocol/transport/poll_loop.hpp"
#include "protocol/transport/socket.hpp"
#include "worker/core/agent.hpp"
#include "worker/program_cache.hpp"
#include "worker/scratch_folders.hpp"
#include "worker/task_manager.hpp"

namespace achilles::worker {
namespace {

using protocol::TimePoint;

/// Messages taken from the broker before the other sources and the timers have their turn.
constexpr int kMessagesPerTurn = 256;
/// Between two lines that say the broker has not answered.
constexpr std::chrono::seconds kReportInterval{10};
constexpr std::chrono::seconds kFirstReportAfter{2};
/// What was sent last (BYE, the last results) may delay our end so long.
constexpr std::chrono::milliseconds kLastWordsLinger{1000};
/// Large results are waited for until they were taken, unless the broker is silent for so long.
constexpr std::chrono::seconds kLastResultsPatience{10};

AgentOptions agent_options(const WorkerShellOptions& options) {
  AgentOptions agent;
  agent.id = protocol::WorkerId{options.id};
  agent.name = options.name;
  agent.host = options.host;
  agent.pid = static_cast<std::uint32_t>(::getpid());
  agent.slots = options.slots;
  agent.brokers = options.endpoints.size();
  return agent;
}

}  // namespace

struct WorkerShell::State {
  explicit State(WorkerShellOptions options_);

  /// To that broker of the list.
  void open_socket(std::size_t broker);
  void stop_asking();
  void receive_from_broker();
  void flush_to_broker();
  void note_answer(const protocol::Message& message);
  void collect_events();
  void check_interrupts();
  void report_silence(TimePoint now);
  std::optional<TimePoint> next_deadline() const;
  void turn();
  void carry_out_all();
  void stop(End how);

  void carry_out(SendToBroker& command);
  void carry_out(Reconnect& command);
  void carry_out(AskWhetherThere& command);
  void carry_out(LoadProgram& command) { cache.load(command.program); }
  void carry_out(StoreProgramPart& command) { cache.store(std::move(command.part)); }
  void carry_out(Leave&) { leave_by = protocol::now() + kLastResultsPatience; }
  void carry_out(Note& command);
  template <class TaskCommand>
  void carry_out(TaskCommand& command) {
    tasks.carry_out(command);
  }

  const WorkerShellOptions options;
  protocol::PollLoop loop;
  protocol::Context context;
  std::string endpoint;  ///< Of the present broker.
  std::optional<protocol::DealerSocket> socket;
  /// Whether another broker is there.
  std::optional<protocol::BrokerQuestion> question;
  protocol::Hop hop{protocol::Hop::End::kPeer};
  protocol::PollLoop::WatchId socket_watch = 0;
  protocol::PollLoop::WatchId question_watch = 0;
  ProgramCache cache;
  ScratchFolders scratch;
  TaskManager tasks;
  Agent agent;

  // Callbacks of the loop only mark what is ready: they must not throw, what follows may.
  bool broker_ready = false;
  bool question_ready = false;
  bool tasks_ready = false;
  bool cache_ready = false;
  protocol::SignalWatcher* signals = nullptr;
  std::atomic<int> interrupts = 0;
  int interrupts_seen = 0;

  std::vector<Event> events;
  Commands commands;
  std::optional<End> end;
  bool answered = false;  ///< In the present connection.
  bool ever_answered = false;
  TimePoint report_at;
  std::optional<TimePoint> give_up_at;
  std::optional<TimePoint> leave_by;  ///< Nothing is left to do but to hand results over.
};

WorkerShell::State::State(WorkerShellOptions options_)
    : options(std::move(options_)),
      cache({options.cache_folder}),
      scratch(options.cache_folder + "/scratch"),
      tasks([this] {
        TaskManagerOptions task;
        task.worker_name = options.name;
        task.program_fd = [this](protocol::ProgramId program) { return cache.program_fd(program); };
        task.make_folder = [this](TaskId id) {
          return scratch.make("task-" + std::to_string(id.value));
        };
        task.discard_folder = [this](std::string folder) { scratch.discard(std::move(folder)); };
        task.keep_stderr = true;
        return task;
      }()),
      agent(agent_options(options), protocol::now()) {
  if (!cache.problem().empty()) spdlog::warn("{}", cache.problem());
  loop.watch(tasks.ready_fd(), {}, [this](bool, bool) { tasks_ready = true; });
  loop.watch(cache.event_fd(), {}, [this](bool, bool) { cache_ready = true; });
  open_socket(0);
}

void WorkerShell::State::open_socket(std::size_t broker) {
  if (socket) {
    loop.unwatch(socket_watch);
    socket->set_linger(kLastWordsLinger);  // The answer to a BYE is still to go out.
  }
  socket.reset();
  socket.emplace(context);
  endpoint = options.endpoints.at(broker);
  socket->connect(endpoint);
  hop = protocol::Hop(protocol::Hop::End::kPeer);
  socket_watch = loop.watch(*socket, [this] { broker_ready = true; });
  answered = false;
  report_at = protocol::now() + kFirstReportAfter;
}

void WorkerShell::State::receive_from_broker() {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    auto frames = socket->receive();
    if (!frames) break;
    if (leave_by) leave_by = protocol::now() + kLastResultsPatience;
    auto received = hop.receive(*frames);
    if (auto* message = std::get_if<protocol::Message>(&received)) {
      note_answer(*message);
      events.push_back(BrokerMessage{std::move(*message)});
    } else if (auto* malformed = std::get_if<protocol::Malformed>(&received)) {
      events.push_back(BrokerMalformed{malformed->reason, std::move(malformed->detail)});
    } else {
      events.push_back(BrokerHeard{});
    }
  }
  flush_to_broker();  // What it took makes room, what it sent is taken.
}

void WorkerShell::State::flush_to_broker() {
  while (auto frames = hop.next()) socket->send(std::move(*frames));
}

void WorkerShell::State::note_answer(const protocol::Message& message) {
  if (answered || !std::holds_alternative<protocol::Welcome>(message)) return;
  answered = ever_answered = true;
  spdlog::info("connected to the broker at {}", endpoint);
}

void WorkerShell::State::check_interrupts() {
  while (signals && signals->take()) ++interrupts;
  const int count = interrupts;
  if (interrupts_seen == 0 && count > 0) {
    spdlog::info(
        "told to stop: finishing what runs and returning the rest; tell once more to stop at once");
    events.push_back(DrainRequested{});
  }
  if (interrupts_seen < 2 && count >= 2 && !end) {
    spdlog::warn("told to stop at once: {} task processes end now", tasks.task_count());
    hop.drop_unsent();
    commands.push_back(SendToBroker{protocol::Bye{"stopped"}});
    carry_out_all();
    stop(End::kStopped);
  }
  interrupts_seen = count;
}

void WorkerShell::State::collect_events() {
  check_interrupts();
  if (std::exchange(broker_ready, false)) receive_from_broker();
  if (std::exchange(question_ready, false) && question && question->answered()) {
    events.push_back(BrokerThere{question->broker()});
    stop_asking();
  }
  if (std::exchange(tasks_ready, false) || tasks.events_waiting()) tasks.take_events(events);
  if (std::exchange(cache_ready, false)) {
    for (Event& event : cache.take_events()) events.push_back(std::move(event));
  }
}

void WorkerShell::State::report_silence(TimePoint now) {
  if (answered || now < report_at) return;
  report_at = now + kReportInterval;
  spdlog::warn(
      "no answer from the broker at {} so far; is achilles-broker running there? Trying on",
      endpoint);
}

std::optional<TimePoint> WorkerShell::State::next_deadline() const {
  std::optional<TimePoint> earliest = agent.next_deadline();
  const auto consider = [&](TimePoint time) {
    if (!earliest || time < *earliest) earliest = time;
  };
  if (!answered) consider(report_at);
  if (!ever_answered && give_up_at) consider(*give_up_at);
  if (leave_by) consider(*leave_by);
  return earliest;
}

void WorkerShell::State::turn() {
  do {
    collect_events();
    const TimePoint now = protocol::now();
    for (Event& event : std::exchange(events, {})) agent.step(now, std::move(event), commands);
    if (const auto due = agent.next_deadline(); due && *due <= now) agent.expire(now, commands);
    agent.settle(now, commands);
    carry_out_all();
    report_silence(now);
    if (!ever_answered && give_up_at && *give_up_at <= now) stop(End::kNoBroker);
    if (leave_by && (!hop.holds_bye() || *leave_by <= now)) stop(End::kLeft);
    // A task process that failed to start is news already.
  } while (!end && tasks.events_waiting());
  tasks.flush();
}

void WorkerShell::State::carry_out_all() {
  // A Reconnect adds commands of its own.
  while (!commands.empty()) {
    for (Command& command : std::exchange(commands, {})) {
      std::visit([this](auto& which) { carry_out(which); }, command);
    }
  }
}

void WorkerShell::State::carry_out(SendToBroker& command) {
  // Whether it arrives is the core's concern: it hears, or does not hear, from the broker.
  hop.send(command.message);
  flush_to_broker();
}

void WorkerShell::State::carry_out(Reconnect& command) {
  if (answered) spdlog::warn("connecting to the broker anew: {}", command.reason);
  stop_asking();
  open_socket(command.broker);
  agent.connect(protocol::now(), commands);
}

void WorkerShell::State::carry_out(AskWhetherThere& command) {
  stop_asking();
  question.emplace(context, command.broker, options.endpoints.at(command.broker));
  question_watch = loop.watch(question->socket(), [this] { question_ready = true; });
}

void WorkerShell::State::stop_asking() {
  if (!question) return;
  loop.unwatch(question_watch);
  question.reset();
}

void WorkerShell::State::carry_out(Note& command) {
  if (command.level == Note::Level::kWarning) {
    spdlog::warn("{}", command.text);
  } else {
    spdlog::info("{}", command.text);
  }
}

void WorkerShell::State::stop(End how) {
  if (end) return;
  end = how;
  socket->set_linger(kLastWordsLinger);
  loop.stop();
}

WorkerShell::WorkerShell(WorkerShellOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}
WorkerShell::~WorkerShell() = default;

void WorkerShell::watch_signals(protocol::SignalWatcher& signals) {
  state_->signals = &signals;
  // Looked at in every turn: the callback has only to end the wait.
  state_->loop.watch(signals.fd(), {}, [](bool, bool) {});
}

void WorkerShell::interrupt() {
  ++state_->interrupts;
  state_->loop.wake();
}

WorkerShell::End WorkerShell::run() {
  State& state = *state_;
  const TimePoint now = protocol::now();
  if (state.options.connect_timeout.count() > 0) {
    state.give_up_at = now + state.options.connect_timeout;
  }
  state.agent.connect(now, state.commands);
  state.turn();
  state.loop.run([&] { return state.next_deadline(); }, [&] { state.turn(); });
  return *state.end;
}

}  // namespace achilles::worker
