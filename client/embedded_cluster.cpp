#include "client/embedded_cluster.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "client/host_name.hpp"

namespace achilles::client {

using protocol::TimePoint;

namespace {

constexpr broker::PeerId kClient{1};
constexpr broker::PeerId kWorker{2};
/// Within one process nobody is lost by silence: heartbeats would only wake an idle program.
constexpr protocol::Duration kNoHeartbeats = std::chrono::hours(24);

broker::SchedulerOptions scheduler_options() {
  broker::SchedulerOptions options;
  options.boot = {1};
  options.heartbeat_interval = kNoHeartbeats;
  options.host = host_name();
  options.pid = static_cast<std::uint32_t>(getpid());
  return options;
}

worker::AgentOptions agent_options(std::uint32_t slots) {
  worker::AgentOptions options;
  options.id = {1};
  options.name = "embedded";
  options.host = host_name();
  options.pid = static_cast<std::uint32_t>(getpid());
  options.slots = slots;
  // Beside those that wait for their user: it is all the program's own memory.
  options.held_result_bytes_max = 8ULL << 20;
  return options;
}

worker::TaskManagerOptions task_options(const std::shared_ptr<const OwnProgram>& program) {
  worker::TaskManagerOptions options;
  options.worker_name = "embedded";
  options.program_fd = [program](protocol::ProgramId) { return program->fd(); };
  options.program_name = program->name();
  options.inherit_environment = true;
  return options;
}

}  // namespace

EmbeddedCluster::EmbeddedCluster(std::uint32_t slots, std::shared_ptr<const OwnProgram> program,
                                 TimePoint now)
    : program_(std::move(program)),
      scheduler_(scheduler_options(), now),
      agent_(agent_options(slots), now),
      tasks_(task_options(program_)) {
  agent_.connect(now, worker_commands_);
}

void EmbeddedCluster::carry_out(SendToBroker command) {
  from_client_.push_back(std::move(command.message));
}

void EmbeddedCluster::carry_out(Reconnect) {}
void EmbeddedCluster::carry_out(AskWhetherThere) {}

void EmbeddedCluster::carry_out(ServeProgram) {}  // The task processes exec this very program.

void EmbeddedCluster::carry_out_broker(TimePoint now, std::vector<Event>& events) {
  for (auto& command : std::exchange(broker_commands_, {})) {
    if (auto* send = std::get_if<broker::SendMessage>(&command)) {
      if (send->peer == kClient) {
        events.push_back(BrokerMessage{std::move(send->message)});
      } else {
        agent_.step(now, worker::BrokerMessage{std::move(send->message)}, worker_commands_);
      }
    }
  }
}

void EmbeddedCluster::carry_out_worker(TimePoint now) {
  for (auto& command : std::exchange(worker_commands_, {})) {
    if (auto* send = std::get_if<worker::SendToBroker>(&command)) {
      scheduler_.step(now, broker::MessageReceived{kWorker, std::move(send->message)},
                      broker_commands_);
    } else if (auto* to_task = std::get_if<worker::SendToTask>(&command)) {
      tasks_.carry_out(*to_task);
    } else if (const auto* start = std::get_if<worker::StartTask>(&command)) {
      tasks_.carry_out(*start);
    } else if (const auto* skip = std::get_if<worker::SkipJobInTask>(&command)) {
      tasks_.carry_out(*skip);
    } else if (const auto* take_back = std::get_if<worker::TakeBackFromTask>(&command)) {
      tasks_.carry_out(*take_back);
    } else if (const auto* terminate = std::get_if<worker::TerminateTask>(&command)) {
      tasks_.carry_out(*terminate);
    } else if (const auto* end = std::get_if<worker::EndTask>(&command)) {
      tasks_.carry_out(*end);
    } else if (const auto* load = std::get_if<worker::LoadProgram>(&command)) {
      worker_events_.push_back(worker::ProgramLoaded{load->program});
    } else if (const auto* note = std::get_if<worker::Note>(&command)) {
      if (note->level == worker::Note::Level::kWarning) {
        std::fprintf(stderr, "achilles: %s\n", note->text.c_str());
      }
    } else if (std::holds_alternative<worker::Reconnect>(command)) {
      agent_.connect(now, worker_commands_);
    }
  }
}

bool EmbeddedCluster::move_messages(TimePoint now, std::vector<Event>& events) {
  const bool moved = !from_client_.empty() || !broker_commands_.empty() ||
                     !worker_commands_.empty() || !worker_events_.empty();
  for (auto& message : std::exchange(from_client_, {})) {
    scheduler_.step(now, broker::MessageReceived{kClient, std::move(message)}, broker_commands_);
  }
  for (auto& event : std::exchange(worker_events_, {})) {
    agent_.step(now, std::move(event), worker_commands_);
  }
  carry_out_worker(now);
  carry_out_broker(now, events);
  return moved;
}

void EmbeddedCluster::turn(TimePoint now, std::vector<Event>& events) {
  tasks_.take_events(worker_events_);
  if (const auto due = scheduler_.next_deadline(); due && *due <= now) {
    scheduler_.expire(now, broker_commands_);
  }
  if (const auto due = agent_.next_deadline(); due && *due <= now)
    agent_.expire(now, worker_commands_);
  // Once nothing moves any more, the cores hand out what has gathered, until that moves nothing
  // either.
  do {
    while (move_messages(now, events)) {
    }
    scheduler_.settle(now, broker_commands_);
    agent_.settle(now, worker_commands_);
  } while (!broker_commands_.empty() || !worker_commands_.empty());
  tasks_.flush();
}

std::optional<TimePoint> EmbeddedCluster::next_deadline() const {
  if (tasks_.events_waiting()) return TimePoint{};  // At once.
  const auto a = scheduler_.next_deadline();
  const auto b = agent_.next_deadline();
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

}  // namespace achilles::client
