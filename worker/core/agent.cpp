#include "worker/core/agent.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "protocol/batch.hpp"
#include "protocol/mutant.hpp"
#include "protocol/version.hpp"
#include "worker/core/agent_state.hpp"

namespace achilles::worker {

using protocol::mutant;
using protocol::Mutant;

namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

protocol::Hello hello_of(const AgentOptions& options) {
  protocol::Hello hello;
  hello.role = protocol::Role::kWorker;
  hello.id = options.id.value;
  hello.name = options.name;
  hello.host = options.host;
  hello.pid = options.pid;
  hello.library_version = std::string(protocol::kLibraryVersion);
  return hello;
}

std::string rejection_sentence(const protocol::Rejected& rejected) {
  const std::string detail = rejected.detail.empty() ? "" : " (" + rejected.detail + ")";
  switch (rejected.reason) {
    case protocol::RejectReason::kWrongVersion:
      return "The broker speaks another version of the protocol" + detail +
             "; install the same version of achilles on both machines. Trying on.";
    case protocol::RejectReason::kDuplicateId:
      return "The broker already knows another worker under this worker's id" + detail +
             "; it is let in once the other one is gone. Trying on.";
    default:
      return "The broker rejected a message of this worker" + detail +
             "; check that broker and worker run the same version of achilles.";
  }
}

}  // namespace

Agent::State::State(AgentOptions given, protocol::TimePoint now)
    : options(std::move(given)),
      choice(options.brokers),
      link(hello_of(options), choice.several()),
      last_called(now) {
  options.slots = std::max<std::uint32_t>(options.slots, 1);
}

Agent::Agent(AgentOptions options, protocol::TimePoint now)
    : state_(std::make_unique<State>(std::move(options), now)) {}

Agent::~Agent() = default;

void Agent::connect(protocol::TimePoint now, Commands& out) {
  if (state_->left) return;
  state_->begin(now);
  Turn turn{now, out};
  state_->end_session(turn);
  state_->link.heard(now);  // From a new connection nothing could be heard before.
  state_->link.say_hello(now, out);
}

void Agent::step(protocol::TimePoint now, Event event, Commands& out) {
  State& state = *state_;
  if (state.left) return;
  state.begin(now);
  Turn turn{now, out};
  std::visit(Overloaded{
                 [&](BrokerMessage& e) { state.on_broker(turn, e.message); },
                 [&](BrokerMalformed& e) {
                   state.link.heard(now);
                   state.note_odd(turn, "The broker sent bytes that are no message (" + e.detail +
                                            "); they were dropped. Check that broker and worker "
                                            "run the same version of achilles.");
                 },
                 [&](BrokerHeard&) { state.on_heard(turn); },
                 [&](BrokerThere& e) { state.on_broker_there(turn, e.broker); },
                 [&](TaskMessage& e) { state.on_task_message(turn, e.task, e.message); },
                 [&](TaskExited& e) { state.on_task_exited(turn, e); },
                 [&](TakenBackFromTask& e) { state.on_taken_back(turn, e); },
                 [&](TaskFailedToStart& e) { state.on_task_failed_to_start(turn, e); },
                 [&](ProgramLoaded& e) { state.on_program_loaded(turn, e.program); },
                 [&](ProgramAbsent& e) { state.on_program_absent(turn, e.program); },
                 [&](ProgramUnusable& e) { state.on_program_unusable(turn, e.program, e.reason); },
                 [&](DrainRequested&) { state.on_drain(turn); },
             },
             event);
}

void Agent::settle(protocol::TimePoint now, Commands& out) {
  if (state_->left) return;
  state_->begin(now);
  Turn turn{now, out};
  state_->settle(turn);
}

void Agent::expire(protocol::TimePoint now, Commands& out) {
  if (state_->left) return;
  state_->begin(now);
  Turn turn{now, out};
  state_->expire(turn);
}

std::optional<protocol::TimePoint> Agent::next_deadline() const {
  if (state_->left) return std::nullopt;
  std::optional<protocol::TimePoint> earliest = state_->link.deadline();
  const auto consider = [&](std::optional<protocol::TimePoint> deadline) {
    if (deadline && (!earliest || *deadline < *earliest)) earliest = deadline;
  };
  consider(state_->tasks.deadline());
  consider(state_->leave_by);
  consider(state_->choice.next_due());
  for (const auto& [id, program] : state_->programs.all()) {
    if (program.stage == Program::Stage::kFetching) consider(program.fetch.deadline());
  }
  return earliest;
}

bool Agent::idle() const {
  return state_->attempts.size() == 0 && state_->outgoing.empty() && state_->tasks.in_use() == 0;
}

void Agent::check_invariants() const {
  try {
    state_->check_invariants();
  } catch (const std::logic_error& broken) {
    throw std::logic_error(state_->story.after(broken.what(), state_->last_called));
  }
}

void Agent::State::begin(protocol::TimePoint now) {
  // Some deadline is never further away than an interval, so a longer silence of our own caller is
  // a stall (a stopped process, a suspended machine): what came meanwhile has not been read yet.
  const protocol::Duration since = now - last_called;
  if (since > 2 * link.interval()) {
    const protocol::Duration gap = since - link.interval();
    story.tell(now, "this worker itself stood still for " + protocol::in_seconds(since));
    if (!mutant(Mutant::kWorkerJudgesAfterItsNap)) link.extend(gap);
    tasks.extend(gap);
    if (leave_by) *leave_by += gap;
    for (auto& [id, program] : programs.all()) program.fetch.extend(gap);
  }
  last_called = std::max(last_called, now);
}

void Agent::State::send(Turn& turn, protocol::Message message) {
  if (link.in_session()) link.send(turn.now, std::move(message), turn.out);
}

void Agent::State::note(Turn& turn, Note::Level level, std::string text) {
  tell(turn, text);
  turn.out.push_back(Note{level, std::move(text)});
}

void Agent::State::note_odd(Turn& turn, const std::string& text) {
  turn.out.push_back(Note{Note::Level::kWarning, text + story.tail(turn.now)});
  tell(turn, text);
}

void Agent::State::on_broker(Turn& turn, protocol::Message& message) {
  if (link.closed()) return;
  link.heard(turn.now);
  if (auto* welcome = std::get_if<protocol::Welcome>(&message)) return on_welcome(turn, *welcome);
  if (auto* rejected = std::get_if<protocol::Rejected>(&message)) {
    return on_rejected(turn, *rejected);
  }
  if (auto* bye = std::get_if<protocol::Bye>(&message)) return on_bye(turn, *bye);
  // Anything else is of a session that we have given up.
  if (!link.in_session()) return;
  std::visit(Overloaded{
                 [&](protocol::Heartbeat&) {},
                 [&](protocol::OpenJob& m) { on_open_job(turn, m); },
                 [&](protocol::CloseJob& m) { on_close_job(turn, m.job); },
                 [&](protocol::Assign& m) { on_assign(turn, m); },
                 [&](protocol::Grant& m) { on_grant(m.attempt); },
                 [&](protocol::Accepted& m) { on_accepted(m); },
                 [&](protocol::Revoke& m) { on_revoke(turn, m); },
                 [&](protocol::Recall& m) { on_recall(turn, m); },
                 [&](protocol::ProgramPart& m) { on_program_part(turn, m); },
                 [&](auto&) {
                   note_odd(
                       turn,
                       "The broker sent a message that workers do not take; it was dropped. Check "
                       "that broker and worker run the same version of achilles.");
                 },
             },
             message);
}

void Agent::State::on_heard(Turn& turn) {
  link.heard(turn.now);
  if (leave_by && held.chain().empty()) leave_by = turn.now + kAcceptedWithin;
}

void Agent::State::on_welcome(Turn& turn, const protocol::Welcome& welcome) {
  switch (link.welcome(turn.now, welcome)) {
    case BrokerLink::Answer::kStale:
      return;
    case BrokerLink::Answer::kOtherSession:
      return lose_session(turn);
    case BrokerLink::Answer::kOpened:
      break;
  }
  choice.joined(turn.now);
  last_warning.clear();
  tell(turn, "a session with broker " + protocol::to_hex(welcome.boot.value) + " began, with " +
                 std::to_string(attempts.size()) + " attempts from before");
  send(turn, protocol::WorkerState{options.slots, std::uint64_t{kAheadChunks} * options.slots,
                                   options.window_bytes, draining});
  close_empty_jobs(turn);  // Attempts may have died since the former session's end.
  send_holding(turn);
  for (auto& [id, program] : programs.all()) {
    const bool wanted = program.jobs > 0;
    if (wanted && program.stage == Program::Stage::kUnknown) need_program(turn, program);
  }
}

void Agent::State::on_rejected(Turn& turn, const protocol::Rejected& rejected) {
  using protocol::RejectReason;
  if (rejected.reason == RejectReason::kUnknownSession) {
    // Outside a session it answers something we sent before our HELLO: that one is on its way.
    if (link.in_session()) lose_session(turn);
    return;
  }
  std::string warning = rejection_sentence(rejected);
  if (warning != last_warning) {
    last_warning = warning;
    note(turn, Note::Level::kWarning, std::move(warning));
  }
  const bool unwelcome = rejected.reason == RejectReason::kWrongVersion ||
                         rejected.reason == RejectReason::kDuplicateId;
  if (!unwelcome || !link.in_session()) return;
  if (draining) return leave(turn, {});
  end_session(turn);
  link.hello_later(turn.now);
}

void Agent::State::on_bye(Turn& turn, const protocol::Bye& bye) {
  send(turn, protocol::Bye{"the broker leaves"});
  if (draining) return leave(turn, {});
  lose_connection(turn, "The broker left (" + bye.reason + ").");
}

void Agent::State::on_open_job(Turn& turn, protocol::OpenJob& open) {
  if (jobs.find(open.job) != nullptr) return;
  Program& program = programs.get(open.program);
  ++program.jobs;
  tell(turn, open.job, "job " + protocol::to_string(open.job) + " was opened");
  jobs.add(std::move(open), program);
  if (program.stage == Program::Stage::kUnknown) need_program(turn, program);
}

void Agent::State::on_close_job(Turn& turn, protocol::JobId id) {
  Job* job = jobs.find(id);
  if (job == nullptr) return;
  Program& program = *job->program;
  tell(turn, id,
       "job " + protocol::to_string(id) + " was closed, with " +
           std::to_string(job->attempts.size()) + " attempts here");
  std::vector<TaskId> skipping;
  while (Attempt* attempt = job->attempts.front()) {
    if (attempt->place != Attempt::Place::kGiven) {
      drop(*attempt);
      continue;
    }
    skipping.push_back(attempt->task->id);
    tasks.abandoned(*attempt);
    attempts.abandon(*attempt);
  }
  std::sort(skipping.begin(), skipping.end());
  skipping.erase(std::unique(skipping.begin(), skipping.end()), skipping.end());
  for (const TaskId task_id : skipping) {
    Task& task = *tasks.find(task_id);
    if (task.stage != Task::Stage::kReady) continue;
    turn.out.push_back(SkipJobInTask{task_id, id});
    watch_front(turn, task);
  }
  for (Task* task : program.tasks) {
    if (task->known_jobs.erase(id) == 0) continue;
    if (task->last_job == id) task->last_job.reset();
    if (task->stage == Task::Stage::kReady) {
      turn.out.push_back(SendToTask{task->id, protocol::CloseJob{id}});
    }
  }
  jobs.erase(id);
  --program.jobs;
  // Nobody waits for a program that is still on its way: parts that come are dropped.
  programs.forget_if_unused(program);
}

void Agent::State::on_assign(Turn& turn, protocol::Assign& assign) {
  protocol::Returned returned;
  std::vector<Program*> refused;
  bool unknown_job = false;
  bool twice = false;
  Job* job = nullptr;
  for (auto& assignment : assign.chunks) {
    // Most neighbours are of the same job.
    if (job == nullptr || job->open.job != assignment.job) job = jobs.find(assignment.job);
    if (job == nullptr || draining) {
      unknown_job = unknown_job || job == nullptr;
      returned.attempts.push_back(assignment.attempt);
      continue;
    }
    Program& program = *job->program;
    if (program.stage == Program::Stage::kRefused) {
      if (std::find(refused.begin(), refused.end(), &program) == refused.end()) {
        refused.push_back(&program);
      }
      continue;
    }
    Attempt* attempt = attempts.add(std::move(assignment), *job);
    if (attempt == nullptr) {
      twice = true;
      continue;
    }
    program.queue.push_back(*attempt);
  }
  if (unknown_job) {
    note_odd(turn,
             "The broker assigned chunks of a job that is not open here; they were returned.");
  }
  if (twice) {
    note_odd(turn,
             "The broker assigned an attempt that is already here; the second one was dropped.");
  }
  if (!returned.attempts.empty()) send(turn, std::move(returned));
  // These crossed our refusal. Saying it again is harmless, and the broker takes them back.
  for (Program* program : refused) {
    send(turn, protocol::ProgramRefused{program->id, program->refusal});
  }
}

void Agent::State::on_grant(protocol::AttemptId id) {
  Attempt* attempt = attempts.find(id);
  if (attempt == nullptr || attempt->abandoned()) return;
  switch (attempt->place) {
    case Attempt::Place::kQueued:
      attempt->job->program->queue.grant(*attempt);
      break;
    case Attempt::Place::kHeld:
      held.take(*attempt);
      deliver(*attempt);
      break;
    case Attempt::Place::kSent:
      outgoing.push_back(*attempt->result);  // It got lost behind the broker.
      break;
    case Attempt::Place::kGiven:
    case Attempt::Place::kNowhere:
      attempt->granted = true;
      break;
  }
}

void Agent::State::deliver(Attempt& attempt) {
  outgoing.push_back(*attempt.result);
  if (mutant(Mutant::kResultsFreedWhenSent)) return attempts.erase(attempt);
  sent.put(attempt);
}

void Agent::State::on_accepted(const protocol::Accepted& accepted) {
  for (const auto id : accepted.attempts) {
    Attempt* attempt = attempts.find(id);
    if (attempt != nullptr && attempt->result) drop(*attempt);
  }
}

void Agent::State::on_revoke(Turn& turn, const protocol::Revoke& revoke) {
  tell(turn, std::to_string(revoke.attempts.size()) + " attempts were revoked");
  for (const auto id : revoke.attempts) {
    Attempt* attempt = attempts.find(id);
    if (attempt == nullptr || attempt->abandoned()) continue;
    if (attempt->place != Attempt::Place::kGiven) {
      drop(*attempt);
      continue;
    }
    tasks.abandoned(*attempt);
    attempts.abandon(*attempt);
    watch_front(turn, *attempt->task);
  }
}

void Agent::State::on_recall(Turn& turn, const protocol::Recall& recall) {
  protocol::Returned returned;
  for (const auto id : recall.attempts) {
    Attempt* attempt = attempts.find(id);
    if (attempt == nullptr || attempt->place != Attempt::Place::kQueued) continue;
    returned.attempts.push_back(id);
    drop(*attempt);
  }
  if (!returned.attempts.empty()) send(turn, std::move(returned));
}

void Agent::State::on_drain(Turn& turn) {
  if (draining || !link.in_session()) {
    return leave(turn, link.in_session() ? "the worker was told twice to end" : "");
  }
  draining = true;
  tell(turn, "it was told to drain");
  send(turn, protocol::WorkerState{options.slots, std::uint64_t{kAheadChunks} * options.slots,
                                   options.window_bytes, true});
  std::vector<std::pair<std::uint64_t, Attempt*>> unstarted;
  for (auto& [id, program] : programs.all()) {
    for (const PlaceChain* chain : {&program.queue.granted(), &program.queue.plain()}) {
      for (Attempt* a = chain->front(); a != nullptr; a = PlaceChain::after(*a)) {
        unstarted.emplace_back(a->order, a);
      }
    }
  }
  std::sort(unstarted.begin(), unstarted.end());
  protocol::Returned returned;
  for (const auto& [order, attempt] : unstarted) {
    returned.attempts.push_back(attempt->id());
    drop(*attempt);
  }
  if (mutant(Mutant::kReturnedNotTold)) return;
  if (!returned.attempts.empty()) send(turn, std::move(returned));
}

void Agent::State::send_results(Turn& turn) {
  protocol::send_batched(std::exchange(outgoing, {}), protocol::credit_cost,
                         [&](std::vector<protocol::ChunkResult> batch) {
                           send(turn, protocol::Results{std::move(batch)});
                         });
}

void Agent::State::leave_if_finished(Turn& turn) {
  const std::size_t done = held.chain().size() + sent.chain().size();
  const bool waits = mutant(Mutant::kDrainWaitsForGrants) && !held.chain().empty();
  if (attempts.size() > done || waits) return leave_by.reset();
  if (done == 0) return leave(turn, "the worker drained");
  // Somebody would have to run them again. But who consumes them may be gone, or in no hurry.
  if (!leave_by) leave_by = turn.now + kAcceptedWithin;
}

void Agent::State::leave_unfinished(Turn& turn) {
  if (held.chain().empty() || sent.chain().empty()) return leave(turn, "the worker drained");
  // BYE gives back what nobody has asked for. What is on its way may be large: it is waited for
  // as long as the broker takes parts of it.
  while (Attempt* attempt = held.chain().front()) drop(*attempt);
  leave_by = turn.now + kAcceptedWithin;
}

void Agent::State::leave(Turn& turn, const std::string& reason) {
  for (auto& [id, task] : tasks.all()) end_task(turn, task, !task.idle());
  if (!reason.empty()) {
    send_results(turn);
    send(turn, protocol::Bye{reason});
  }
  link.close();
  turn.out.push_back(Leave{});
  left = true;
}

void Agent::State::expire(Turn& turn) {
  if (link.lost(turn.now)) {
    const auto silence = link.patience();
    return lose_connection(
        turn,
        "The broker said nothing for " +
            std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(silence).count()) +
            " ms.");
  }
  if (leave_by && *leave_by <= turn.now) return leave_unfinished(turn);
  link.expire(turn.now, turn.out);
  while (Task* task = tasks.due(turn.now)) on_task_due(turn, *task);
  if (!link.in_session()) return;
  if (const auto broker = choice.take_due(turn.now)) turn.out.push_back(AskWhetherThere{*broker});
  for (auto& [id, program] : programs.all()) {
    if (program.stage != Program::Stage::kFetching) continue;
    for (auto& need : program.fetch.ask(turn.now)) send(turn, need);
  }
}

}  // namespace achilles::worker
