#include "tests/sim/worker_actor.hpp"

#include <algorithm>
#include <utility>

#include "tests/sim/world.hpp"

namespace achilles::sim {

using worker::TaskId;

namespace {

/// Whoever drains a worker tells it again to end when it takes longer, as an init system does.
constexpr p::Duration kDrainPatience = 30s;
/// A result that arrived, where nothing goes wrong.
constexpr p::Duration kAcceptedWithin = 1s;
/// A drained worker on which nothing runs leaves by then, in its awake time, whatever others do.
constexpr p::Duration kLeavesWithin = 13s;
/// Of task processes that are asked to end.
constexpr unsigned kDeafPercent = 30;

}  // namespace

// ---- the daemon -----------------------------------------------------------------------------

WorkerActor::WorkerActor(World& world, const WorkerPlan& plan)
    : world_(world), plan_(plan), ledger_(world.was_calm()) {
  if (plan_.starts_after == 0s) {
    start();
  } else {
    start_after(plan_.starts_after);
  }
}

void WorkerActor::start() {
  id_ = world_.draw_id();
  interrupts_ = 0;
  drained_since_.reset();
  ledger_ = AnswerLedger(world_.was_calm());
  worker::AgentOptions options;
  options.id = {id_};
  options.name = "worker" + std::to_string(id_);
  options.slots = plan_.slots;
  options.brokers = world_.plan().brokers;
  options.window_bytes = plan_.window_bytes;
  options.held_result_bytes_max = plan_.held_result_bytes_max;
  options.warm_tasks_max = plan_.warm_tasks_max;
  agent_ = std::make_unique<worker::Agent>(options, world_.now());
  world_.network().connect(*this);
  agent_->connect(world_.now(), out_);
  carry_out(false);
  world_.has_news(*this);
}

void WorkerActor::start_after(p::Duration down) {
  world_.timeline.after(down, [this, life = life_] {
    if (life == life_ && agent_ == nullptr) start();
  });
}

void WorkerActor::end_daemon(bool lingers) {
  ++life_;
  agent_.reset();
  tasks_.clear();
  stored_.clear();
  inbox_.clear();
  out_.clear();
  world_.network().disconnect(*this, lingers);
}

void WorkerActor::crash(p::Duration down) {
  end_daemon(false);
  start_after(down);
}

void WorkerActor::interrupt(p::Duration down) {
  if (agent_ == nullptr) return;
  down_ = down;
  if (++interrupts_ == 1) {
    world_.timeline.after(kDrainPatience, [this, life = life_] {
      if (life != life_ || interrupts_ != 1) return;
      ++world_.count().impatient_drains;
      interrupt(down_);
    });
    return news(worker::DrainRequested{});
  }
  world_.network().send_to_broker(*this, p::Bye{"stopped"});
  end_daemon(true);
  start_after(down_);
}

void WorkerActor::leave() {
  world_.demand(ledger_.runs_nothing() || !ledger_.said_farewell(),
                "a worker drained and left, but had not answered for all that it held");
  end_daemon(true);
  start_after(down_);
}

std::optional<p::TimePoint> WorkerActor::next_deadline() const {
  if (agent_ == nullptr) return std::nullopt;
  return agent_->next_deadline();
}

void WorkerActor::news(worker::Event event) {
  inbox_.push(std::move(event));
  world_.has_news(*this);
}

void WorkerActor::turn() {
  if (agent_ == nullptr) return;
  for (std::size_t i = 0; i < kMessagesPerTurn && !inbox_.empty(); ++i) {
    step(inbox_.take());
    if (agent_ == nullptr) return;
  }
  if (const auto due = agent_->next_deadline(); due && *due <= world_.now()) {
    agent_->expire(world_.now(), out_);
    carry_out(true);
    if (agent_ == nullptr) return;
  }
  agent_->settle(world_.now(), out_);
  carry_out(false);
  ledger_.settled();
  check_drain();
  if (!world_.was_calm()) return;
  const auto since = ledger_.unaccepted_since();
  const p::Duration at_most = kAcceptedWithin + 8 * (world_.plan().latency_max + plan_.far_away);
  world_.demand(!since || world_.now() < *since + at_most, "a result is not accepted");
}

void WorkerActor::check_drain() {
  if (interrupts_ == 0 || !ledger_.runs_nothing()) return drained_since_.reset();
  if (!drained_since_) drained_since_ = awake(world_.now());
  world_.demand(awake(world_.now()) < *drained_since_ + kLeavesWithin,
                "a worker drained, runs nothing any more, and does not leave");
}

void WorkerActor::step(worker::Event event) {
  if (const auto* message = std::get_if<worker::BrokerMessage>(&event)) {
    if (const auto fault = ledger_.heard(message->message)) world_.fail(*fault);
    count(message->message);
  }
  agent_->step(world_.now(), std::move(event), out_);
  carry_out(false);
}

void WorkerActor::count(const p::Message& message) {
  if (const auto* assign = std::get_if<p::Assign>(&message)) {
    for (const auto& assignment : assign->chunks) {
      if (assignment.result_allowance == 0) ++world_.count().second_attempts;
    }
  } else if (const auto* recall = std::get_if<p::Recall>(&message)) {
    world_.count().recalled_chunks += recall->attempts.size();
  }
}

void WorkerActor::carry_out(bool judging) {
  ++world_.count().steps;
  if (world_.to_be_checked(steps_)) agent_->check_invariants();
  while (!out_.empty() && agent_ != nullptr) {
    carried_out_.clear();
    carried_out_.swap(out_);
    for (auto& command : carried_out_) {
      obey(command, judging);
      if (agent_ == nullptr) return;
    }
  }
}

void WorkerActor::obey(worker::Command& command, bool judging) {
  if (auto* send = std::get_if<worker::SendToBroker>(&command)) {
    if (const auto fault = ledger_.told(send->message, world_.now())) world_.fail(*fault);
    world_.network().send_to_broker(*this, std::move(send->message));
  } else if (const auto* reconnect = std::get_if<worker::Reconnect>(&command)) {
    world_.demand(!judging || alert(world_.now()) - heard_at >= world_.silence_min(),
                  "a worker gave up a broker that was not silent");
    world_.demand(!judging || !world_.was_calm(),
                  "a worker lost its broker although nothing is wrong");
    inbox_.erase_if([](const worker::Event& event) {
      return std::holds_alternative<worker::BrokerMessage>(event);
    });
    world_.network().connect(*this, reconnect->broker);
    agent_->connect(world_.now(), out_);
  } else if (const auto* ask = std::get_if<worker::AskWhetherThere>(&command)) {
    world_.network().ask(*this, ask->broker);
  } else if (const auto* start = std::get_if<worker::StartTask>(&command)) {
    start_task(*start);
  } else if (auto* send_to_task = std::get_if<worker::SendToTask>(&command)) {
    // Through a socket, which is read a little later.
    world_.timeline.after(
        20us, TaskStep{TaskStep::What::kTold, this, life_, send_to_task->task,
                       world_.network().through_codec(std::move(send_to_task->message))});
  } else if (const auto* skip = std::get_if<worker::SkipJobInTask>(&command)) {
    const auto at = tasks_.find(skip->task);
    if (at != tasks_.end()) at->second.skips.emplace(skip->job, awake(world_.now()));
  } else if (const auto* back = std::get_if<worker::TakeBackFromTask>(&command)) {
    take_back(*back);
  } else if (const auto* terminate = std::get_if<worker::TerminateTask>(&command)) {
    // SIGTERM: most programs end, some take no notice.
    if (world_.random.chance(kDeafPercent)) return;
    later(100us, terminate->task,
          [this, id = terminate->task](Task&) { exit(id, "signal 15 (Terminated)"); });
  } else if (const auto* end = std::get_if<worker::EndTask>(&command)) {
    const auto at = tasks_.find(end->task);
    if (at == tasks_.end()) return;
    at->second.hung_up = true;
    if (end->kill) {
      later(100us, end->task, [this, id = end->task](Task&) { exit(id, "signal 9 (Killed)"); });
    } else if (!at->second.running) {
      plan_step(100us, TaskStep::What::kEnds, end->task);
    }
  } else if (const auto* to_load = std::get_if<worker::LoadProgram>(&command)) {
    load(to_load->program);
  } else if (const auto* part = std::get_if<worker::StoreProgramPart>(&command)) {
    store(part->part);
  } else if (const auto* note = std::get_if<worker::Note>(&command)) {
    // Task processes here keep to the rules. They die, and do not talk nonsense.
    world_.demand(note->text.find("answers none of its chunks") == std::string::npos,
                  "a worker takes a task process's result for another's");
  } else if (std::holds_alternative<worker::Leave>(command)) {
    leave();
  }
}

void WorkerActor::load(p::ProgramId program) {
  world_.timeline.after(1ms, [this, program, life = life_] {
    if (life != life_) return;
    if (cache_.contains(program)) news(worker::ProgramLoaded{program});
    if (!cache_.contains(program)) news(worker::ProgramAbsent{program});
  });
}

void WorkerActor::store(const p::ProgramPart& part) {
  auto& stored = stored_[part.program];
  if (part.offset == 0) stored = 0;
  world_.demand(part.offset == stored, "a part of a program is stored out of order");
  stored += part.bytes.size();
  if (stored < part.total_bytes) return;
  cache_.insert(part.program);
  load(part.program);
}

std::string WorkerActor::describe() const {
  std::string text = "worker " + std::to_string(id_) + " (peer " + std::to_string(peer.value) + ")";
  if (agent_ == nullptr) return text + " is down";
  std::size_t running = 0;
  for (const auto& [id, task] : tasks_) running += task.running ? 1 : 0;
  return text + " owes " + std::to_string(ledger_.owed()) + " attempts, runs " +
         std::to_string(running) + " in " + std::to_string(tasks_.size()) + " task processes" +
         (ledger_.knows_no_job() ? "" : ", knows jobs") + (interrupts_ > 0 ? ", drains" : "");
}

}  // namespace achilles::sim
