// The Agent's side of programs and task processes: how they come, what they say, how they end.
#include <algorithm>
#include <utility>

#include "protocol/mutant.hpp"
#include "worker/core/agent_state.hpp"

namespace achilles::worker {

using protocol::mutant;
using protocol::Mutant;

namespace {

/// What a task process left on stderr, short enough for a sentence that travels.
std::string with_stderr(const std::string& stderr_tail) {
  const std::size_t longest = 4096;
  if (stderr_tail.empty()) return {};
  const bool cut = stderr_tail.size() > longest;
  return " Its stderr ended with: " + std::string(cut ? "…" : "") +
         (cut ? stderr_tail.substr(stderr_tail.size() - longest) : stderr_tail);
}

bool answers(const protocol::ChunkResult& result, const Attempt& attempt) {
  return result.job == attempt.assignment.job && result.first == attempt.assignment.chunk.first &&
         result.items.count() == attempt.items;
}

}  // namespace

std::string Agent::State::likely_causes() const {
  return " Likely causes: it was linked without achilles, so that its main ran; its static "
         "initialisation failed; a library or file that it needs is not on this machine; or it was "
         "compiled for another processor (-march=native). Run it by hand on host " +
         options.host + " to see.";
}

std::string Agent::State::program_name(const Program& program) const {
  // An embedded Pool has one program, its own, and takes no time to hash it.
  if (program.id == protocol::ProgramId{}) return "this program";
  return "program " + protocol::to_string(program.id);
}

std::string Agent::State::task_name(const Task& task) {
  return "task process " + std::to_string(task.id.value);
}

// ---- programs -------------------------------------------------------------------------------

void Agent::State::need_program(Turn& turn, Program& program) {
  program.stage = Program::Stage::kLoading;
  tell(turn, program_name(program) + " is looked for in the cache");
  turn.out.push_back(LoadProgram{program.id});
}

void Agent::State::on_program_loaded(Turn& turn, protocol::ProgramId id) {
  Program* program = programs.find(id);
  if (program == nullptr) return;
  if (program->stage == Program::Stage::kLoading || program->stage == Program::Stage::kStored) {
    program->stage = Program::Stage::kReady;
    tell(turn, program_name(*program) + " is ready");
  }
}

void Agent::State::on_program_absent(Turn& turn, protocol::ProgramId id) {
  Program* program = programs.find(id);
  if (program == nullptr) return;
  if (program->stage != Program::Stage::kLoading && program->stage != Program::Stage::kStored) {
    return;
  }
  if (!link.in_session()) {
    program->stage = Program::Stage::kUnknown;  // Nobody can be asked: the next session sees to it.
    return programs.forget_if_unused(*program);
  }
  if (++program->fetches > kFetchesMax) {
    return refuse(turn, *program,
                  "Worker " + options.name + " fetched " + program_name(*program) + " " +
                      std::to_string(kFetchesMax) +
                      " times and did not find it in its cache afterwards; check that the cache "
                      "folder is writable and has room.");
  }
  program->stage = Program::Stage::kFetching;
  program->fetch = ProgramFetch(id);
  tell(turn, program_name(*program) + " is fetched");
  for (auto& need : program->fetch.ask(turn.now)) send(turn, need);
}

void Agent::State::on_program_unusable(Turn& turn, protocol::ProgramId id,
                                       const std::string& reason) {
  Program* program = programs.find(id);
  if (program == nullptr || program->stage == Program::Stage::kRefused ||
      program->stage == Program::Stage::kUnknown) {
    return;
  }
  refuse(turn, *program, reason);
}

void Agent::State::on_program_part(Turn& turn, protocol::ProgramPart& part) {
  Program* program = programs.find(part.program);
  if (program == nullptr || program->stage != Program::Stage::kFetching) return;
  ProgramFetch::Taken taken = program->fetch.take(std::move(part));
  if (!taken.misfit.empty()) return refuse(turn, *program, std::move(taken.misfit));
  for (auto& in_order : taken.in_order) {
    turn.out.push_back(StoreProgramPart{std::move(in_order)});
  }
  if (taken.complete) {
    program->stage = Program::Stage::kStored;
    return;
  }
  for (auto& need : program->fetch.ask(turn.now)) send(turn, need);
}

void Agent::State::refuse(Turn& turn, Program& program, std::string reason) {
  program.stage = Program::Stage::kRefused;
  program.refusal = std::move(reason);
  // The broker takes all attempts of the program back, held results and running ones included.
  for (auto& [id, job] : jobs.all()) {
    if (job.program != &program) continue;
    while (Attempt* attempt = job.attempts.front()) drop(*attempt);
  }
  for (Task* task : program.tasks) end_task(turn, *task, !task->idle());
  tell(turn, program_name(program) + " was refused");
  turn.out.push_back(
      Note{Note::Level::kWarning, "Refused " + program_name(program) + ": " + program.refusal});
  send(turn, protocol::ProgramRefused{program.id, program.refusal});
}

// ---- what task processes say ----------------------------------------------------------------

void Agent::State::on_task_message(Turn& turn, TaskId id, protocol::Message& message) {
  Task* task = tasks.find(id);
  if (task == nullptr) return;
  if (auto* results = std::get_if<protocol::Results>(&message)) {
    return on_results(turn, *task, *results);
  }
  // What an ending task process still says may be cut short anywhere: only results count.
  if (task->stage == Task::Stage::kEnding) return;
  auto* ready = std::get_if<protocol::TaskReady>(&message);
  if (ready == nullptr || task->stage != Task::Stage::kStarting) {
    return confused(turn, *task, "sent a message that it may not send now");
  }
  on_task_ready(turn, *task, *ready);
}

void Agent::State::on_task_ready(Turn& turn, Task& task, const protocol::TaskReady& ready) {
  Program& program = *task.program;
  if (ready.program != program.id) {
    return refuse(turn, program,
                  "A task process that worker " + options.name + " started for " +
                      program_name(program) + " says that it runs program " +
                      protocol::to_string(ready.program) +
                      "; check that the program does not exec another one before its main." +
                      story.tail(turn.now));
  }
  tell(turn, task_name(task) + " is ready, as pid " + std::to_string(ready.pid));
  tasks.ready(task);
}

void Agent::State::on_results(Turn& turn, Task& task, protocol::Results& results) {
  for (auto& result : results.chunks) {
    Attempt* attempt = attempts.find(result.attempt);
    const bool is_there =
        attempt != nullptr && attempt->place == Attempt::Place::kGiven && attempt->task == &task;
    // Of a closed job's chunk, any part may have been left undone.
    if (!is_there || (!attempt->abandoned() && !answers(result, *attempt))) {
      if (task.stage == Task::Stage::kEnding) continue;
      return confused(turn, task, "sent a result that answers none of its chunks");
    }
    tasks.take(*attempt);
    if (attempt->abandoned()) {
      attempts.erase(*attempt);
      continue;
    }
    task.program->early_deaths = 0;
    task.has_worked = true;
    attempt->job->note_pace(result.busy_ns, attempt->items);
    const std::uint64_t cost = protocol::credit_cost(result);
    const std::uint64_t busy_ns = result.busy_ns;
    attempt->finish(std::move(result), cost);
    if (attempt->granted || cost <= attempt->assignment.result_allowance) {
      deliver(*attempt);
    } else {
      send(turn, protocol::ResultReady{attempt->id(), cost, busy_ns});
      held.put(*attempt);
    }
  }
  task.stuck = false;
  watch_front(turn, task);
}

void Agent::State::confused(Turn& turn, Task& task, const std::string& what) {
  end_task(turn, task, true);
  early_death(turn, *task.program, what + " and was killed.", likely_causes());
}

// ---- how task processes end -----------------------------------------------------------------

Attempt* Agent::State::find_given(const Task& task, std::optional<protocol::AttemptId> id) {
  Attempt* attempt = id ? attempts.find(*id) : nullptr;
  const bool is_there =
      attempt != nullptr && attempt->place == Attempt::Place::kGiven && attempt->task == &task;
  return is_there ? attempt : nullptr;
}

Attempt* Agent::State::find_guilty(Turn& turn, Task& task, const TaskExited& exited) {
  if (Attempt* running = find_given(task, exited.running_attempt)) return running;
  const Attempt* begun = find_given(task, exited.begun_attempt);
  if (begun == nullptr) return nullptr;
  // A function may ruin its process and return. Of several whose results are not out it may have
  // been any: next time each of them gets a process for itself.
  Attempt* each = task.given.front();
  Attempt* guilty = each == begun ? each : nullptr;
  for (; each != begun; each = PlaceChain::after(*each)) each->alone = true;
  each->alone = true;
  if (guilty == nullptr) {
    note(turn, Note::Level::kWarning,
         "A task process of " + program_name(*task.program) + " (pid " +
             std::to_string(exited.pid) + ") ended before it had written its results: " +
             exited.how + ". Their chunks begin anew, each by itself.");
  }
  return guilty;
}

void Agent::State::on_task_exited(Turn& turn, const TaskExited& exited) {
  Task* task = tasks.find(exited.task);
  if (task == nullptr) return;
  Program& program = *task->program;
  tell(turn, task_name(*task) + " ended: " + exited.how);
  const bool on_purpose = task->stage == Task::Stage::kEnding;
  const bool was_starting = task->stage == Task::Stage::kStarting;
  const bool had_work = task->given.size() > task->abandoned_count;
  const bool has_worked = task->has_worked;
  const bool ran = find_given(*task, exited.running_attempt) != nullptr ||
                   find_given(*task, exited.begun_attempt) != nullptr;
  Attempt* running = on_purpose ? nullptr : find_guilty(turn, *task, exited);
  if (running != nullptr && !running->abandoned()) {
    protocol::Crashed crashed;
    crashed.attempt = running->id();
    // The page is the task process's own to write: a wild write there must not name a foreign item.
    const protocol::ItemIndex first = running->assignment.chunk.first;
    const bool inside =
        exited.running_item >= first && exited.running_item - first < running->items;
    crashed.item = inside && !mutant(Mutant::kFirstItemIsGuilty) ? exited.running_item : first;
    crashed.error.kind = protocol::ErrorKind::kTaskCrashed;
    crashed.error.worker = options.name;
    crashed.error.host = options.host;
    crashed.error.pid = exited.pid;
    crashed.error.detail = exited.how;
    crashed.error.stderr_tail = exited.stderr_tail;
    note(turn, Note::Level::kWarning,
         "A task process of " + program_name(program) + " (pid " + std::to_string(exited.pid) +
             ") ended on item " + std::to_string(crashed.item) + " of job " +
             protocol::to_string(running->assignment.job) + ": " + exited.how + ".");
    drop(*running);
    send(turn, std::move(crashed));
  }
  requeue_given(turn, *task);
  tasks.erase(*task);
  if (!on_purpose && ran) program.early_deaths = 0;
  if (!on_purpose && !ran && !has_worked && (was_starting || had_work)) {
    early_death(turn, program,
                std::string("ended before it ") + (was_starting ? "was ready" : "began a chunk") +
                    " (" + exited.how + ")." + with_stderr(exited.stderr_tail),
                likely_causes());
  } else if (!on_purpose && !ran) {
    note(turn, Note::Level::kInfo,
         std::string(had_work ? "A" : "An idle") + " task process of " + program_name(program) +
             " (pid " + std::to_string(exited.pid) + ") ended: " + exited.how + ".");
  }
  programs.forget_if_unused(program);
}

void Agent::State::on_task_failed_to_start(Turn& turn, const TaskFailedToStart& failed) {
  Task* task = tasks.find(failed.task);
  if (task == nullptr) return;
  Program& program = *task->program;
  const bool on_purpose = task->stage == Task::Stage::kEnding;
  requeue_given(turn, *task);
  tasks.erase(*task);
  if (!on_purpose) {
    early_death(turn, program, "could not be started: " + failed.reason + ".", {});
  }
  programs.forget_if_unused(program);
}

void Agent::State::on_task_due(Turn& turn, Task& task) {
  if (task.stage == Task::Stage::kReady && !task.overdue) {
    tasks.set_deadline(task, std::nullopt);
    tasks.ask_back(task, true);
    turn.out.push_back(TakeBackFromTask{task.id, task.given_count});
    return;
  }
  if (task.stage == Task::Stage::kReady) {
    tell(turn, task_name(task) + " still works for nobody, and is asked to end");
    tasks.ending(task, false);
    tasks.set_deadline(task, turn.now + kTerminateWithin);
    turn.out.push_back(TerminateTask{task.id});
    return;
  }
  const bool was_starting = task.stage == Task::Stage::kStarting;
  end_task(turn, task, true);
  if (was_starting) {
    early_death(turn, *task.program, "said nothing for 10 s after its start and was killed.",
                likely_causes());
  }
}

void Agent::State::end_task(Turn& turn, Task& task, bool kill) {
  const bool told = task.stage == Task::Stage::kEnding;
  if (told && (task.killed || !kill)) return;
  tell(turn, task_name(task) + (kill ? " is killed" : " is told to end"));
  tasks.ending(task, kill);
  // A user's thread or destructor may keep the process alive.
  if (!kill) tasks.set_deadline(task, turn.now + kHangUpWithin);
  turn.out.push_back(EndTask{task.id, kill});
}

void Agent::State::early_death(Turn& turn, Program& program, const std::string& what,
                               const std::string& advice) {
  if (program.stage == Program::Stage::kRefused) return;
  ++program.early_deaths;
  if (program.early_deaths < kEarlyDeathsMax) {
    note_odd(turn,
             "A task process of " + program_name(program) + " " + what + " Trying another one.");
    return;
  }
  // Where the reason is known, it says all. Where it has to be guessed, the story may help.
  const std::string guesses = advice.empty() ? advice : advice + story.tail(turn.now);
  refuse(turn, program,
         "Worker " + options.name + " gave " + program_name(program) + " up after " +
             std::to_string(kEarlyDeathsMax) + " task processes in a row, of which the last " +
             what + guesses);
}

void Agent::State::requeue_given(Turn& turn, Task& task, std::uint64_t but_the_first) {
  protocol::Returned returned;
  while (Attempt* attempt = task.given.back()) {
    if (attempt->turn <= but_the_first) break;
    tasks.take(*attempt);
    if (attempt->abandoned()) {
      attempts.erase(*attempt);
    } else if (draining) {
      returned.attempts.push_back(attempt->id());
      attempts.erase(*attempt);
    } else if (mutant(Mutant::kDeadTasksChunksLost)) {
      attempts.erase(*attempt);
    } else {
      attempt->job->program->queue.put_back(*attempt);
    }
  }
  std::reverse(returned.attempts.begin(), returned.attempts.end());
  if (!returned.attempts.empty()) send(turn, std::move(returned));
}

void Agent::State::watch_front(Turn& turn, Task& task) {
  if (task.stage != Task::Stage::kReady) return;
  const Attempt* front = task.given.front();
  if (front == nullptr || !front->abandoned()) {
    task.overdue.reset();
    tasks.set_deadline(task, std::nullopt);
    return watch_for_stuck(turn, task);
  }
  if (task.overdue == front->id() || mutant(Mutant::kSkippedTasksLive)) return;
  task.overdue = front->id();
  tasks.set_deadline(task, turn.now + kSkipWithin);
}

void Agent::State::watch_for_stuck(Turn& turn, Task& task) {
  const bool waits = task.stage == Task::Stage::kReady && !task.overdue && !task.stuck &&
                     !task.asked_back && task.given.size() > 1 && !task.given.front()->abandoned();
  if (waits && !task.deadline) tasks.set_deadline(task, turn.now + kStuckAfter);
}

void Agent::State::on_taken_back(Turn& turn, const TakenBackFromTask& taken) {
  Task* task = tasks.find(taken.task);
  // What an ending one has comes back when it is gone.
  if (task == nullptr || task->stage != Task::Stage::kReady) return;
  tasks.ask_back(*task, false);
  requeue_given(turn, *task, taken.come_to);
  task->stuck = !task->given.empty();
  watch_front(turn, *task);
}

void Agent::State::drop(Attempt& attempt) {
  switch (attempt.place) {
    case Attempt::Place::kQueued:
      attempt.job->program->queue.erase(attempt);
      break;
    case Attempt::Place::kGiven:
      tasks.take(attempt);
      break;
    case Attempt::Place::kHeld:
      held.take(attempt);
      break;
    case Attempt::Place::kSent:
      sent.take(attempt);
      break;
    case Attempt::Place::kNowhere:
      break;
  }
  attempts.erase(attempt);
}

}  // namespace achilles::worker
