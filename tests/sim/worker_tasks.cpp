// The task processes of a simulated worker.
#include <utility>

#include "tests/sim/worker_actor.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {

using worker::TaskId;

namespace {

/// A task process at work for a closed job is asked to end, and killed 1.1 s after it was told.
constexpr p::Duration kSkippedMax = 1500ms;
constexpr p::Duration kTakenBackToldMax = 20ms;

}  // namespace

void WorkerActor::later(p::Duration delay, TaskId id, std::function<void(Task&)> what) {
  world_.timeline.after(delay, [this, id, life = life_, what = std::move(what)] {
    if (life != life_) return;
    if (const auto at = tasks_.find(id); at != tasks_.end()) what(at->second);
  });
}

void WorkerActor::plan_step(p::Duration delay, TaskStep::What what, TaskId id) {
  world_.timeline.after(delay, TaskStep{what, this, life_, id});
}

void WorkerActor::happen(TaskStep step) {
  if (step.life != life_) return;
  const auto at = tasks_.find(step.task);
  if (at == tasks_.end()) return;
  switch (step.what) {
    case TaskStep::What::kTold:
      return tell(step.task, std::move(step.message));
    case TaskStep::What::kDone:
      return finish(step.task, at->second);
    case TaskStep::What::kDies:
      return exit(step.task, "signal 11 (Segmentation fault)");
    case TaskStep::What::kEnds:
      return exit(step.task, "exit status 0");
  }
}

void WorkerActor::start_task(const worker::StartTask& start) {
  tasks_[start.task].program = start.program;
  const p::Duration takes = slowed(world_.random.between(500us, 5ms));
  if (world_.now() < broken_until_) return plan_step(takes, TaskStep::What::kDies, start.task);
  later(takes, start.task, [this, id = start.task](Task& task) {
    task.ready = true;
    say(id, p::TaskReady{task.program, 7, 1000});
  });
}

p::Duration WorkerActor::slowed(p::Duration time) const {
  const unsigned times = plan_.slowness * (world_.now() < slow_until_ ? slow_times_ : 1);
  return time * static_cast<p::Duration::rep>(times);
}

void WorkerActor::say(TaskId id, p::Message message) {
  news(worker::TaskMessage{id, world_.network().through_codec(std::move(message))});
}

void WorkerActor::tell(TaskId id, p::Message message) {
  Task& task = tasks_.at(id);
  world_.demand(task.ready, "a task process was told something before it was ready");
  if (const auto* open = std::get_if<p::OpenJob>(&message)) {
    world_.demand(open->program == task.program, "a task process got another program's job");
    task.knows.insert(open->job);
    task.skips.erase(open->job);
  } else if (const auto* close = std::get_if<p::CloseJob>(&message)) {
    task.knows.erase(close->job);
  } else if (auto* assign = std::get_if<p::Assign>(&message)) {
    for (auto& assignment : assign->chunks) {
      world_.demand(task.knows.contains(assignment.job),
                    "a task process got a chunk of a job it was not told of");
      if (++task.told <= task.left_out) continue;
      task.holds.push_back({std::move(assignment), task.told});
    }
    run_next(id, task);
  }
}

void WorkerActor::run_next(TaskId id, Task& task) {
  if (task.running || task.holds.empty()) return;
  if (task.hung_up) return exit(id, "exit status 0");
  const Task::Held& front = task.holds.front();
  JobRecord& job = world_.job(front.job);
  task.running = true;
  task.come_to = front.turn;
  task.began = world_.now();
  ++world_.count().runs;
  p::Duration time = 2us;
  const p::ItemIndex end = front.chunk.first + front.chunk.items.count();
  const bool skipped = !task.skips.empty() && task.skips.contains(front.job);
  for (p::ItemIndex item = front.chunk.first; item < end; ++item) {
    if (skipped) break;
    task.running_item = item;
    world_.note_run(job, item);
    time += slowed(job.plan.run_time(item));
    const Fate fate = job.plan.fate(item);
    const bool crashes = (fate == Fate::kAlwaysCrashes) ||
                         (fate == Fate::kCrashesOnce && job.crashes[item]++ == 0) ||
                         world_.now() < deadly_until_;
    if (crashes) return plan_step(time, TaskStep::What::kDies, id);
  }
  plan_step(time, TaskStep::What::kDone, id);
}

void WorkerActor::take_back(const worker::TakeBackFromTask& command) {
  const auto at = tasks_.find(command.task);
  if (at == tasks_.end()) return;
  Task& task = at->second;
  task.left_out = command.given;
  while (!task.holds.empty() && task.holds.back().turn > task.come_to) task.holds.pop_back();
  ++world_.count().taken_back;
  // The worker hears of it in its next turn, or after more of what else is new.
  const worker::TakenBackFromTask answer{command.task, command.given, task.come_to};
  later(world_.random.between(0us, kTakenBackToldMax), command.task,
        [this, answer](Task&) { news(answer); });
}

void WorkerActor::finish(TaskId id, Task& task) {
  const p::Assignment done = std::move(task.holds.front());
  task.holds.pop_front();
  task.running = false;
  const JobPlan& plan = world_.job(done.job).plan;
  std::uint64_t count = done.chunk.items.count();
  world_.demand(done.chunk.items == plan.inputs(done.chunk.first, count),
                "a task process got other items than the user gave");
  if (const auto skip = task.skips.find(done.job); skip != task.skips.end()) {
    world_.demand(awake(world_.now()) < skip->second + kSkippedMax,
                  "a task process was left to work for a closed job");
    count = world_.random.below(count + 1);
  }
  p::ChunkResult result;
  result.job = done.job;
  result.attempt = done.attempt;
  result.first = done.chunk.first;
  p::ItemBuilder values;
  for (p::ItemIndex item = result.first; item < result.first + count; ++item) {
    result.busy_ns += static_cast<std::uint64_t>(slowed(plan.run_time(item)).count());
    plan.answer(item, values, result);
  }
  auto [layout, bytes] = values.take();
  result.items = {std::move(layout), p::Bytes::own(std::move(bytes))};
  p::Results results;
  results.chunks.push_back(std::move(result));
  say(id, std::move(results));
  if (task.hung_up) return exit(id, "exit status 0");
  run_next(id, task);
}

void WorkerActor::exit(TaskId id, std::string how) {
  const Task& task = tasks_.at(id);
  worker::TaskExited exited;
  exited.task = id;
  exited.how = std::move(how);
  exited.pid = 1000;
  if (task.running) {
    exited.running_attempt = task.holds.front().attempt;
    exited.running_item = task.running_item;
    ++world_.count().deaths;
    ++world_.job(task.holds.front().job).deaths[task.running_item];
  }
  tasks_.erase(id);
  news(std::move(exited));
}

bool WorkerActor::end_an_idle_task() {
  for (const auto& [id, task] : tasks_) {
    if (!task.ready || task.hung_up || !task.holds.empty()) continue;
    exit(id, "exit status 0");
    return true;
  }
  return false;
}

bool WorkerActor::kill_a_busy_task() {
  for (auto& [id, task] : tasks_) {
    if (!task.running) continue;
    // It works on the items one after another; it had come to this one.
    const p::Assignment& front = task.holds.front();
    const JobPlan& plan = world_.job(front.job).plan;
    p::Duration left = world_.now() - task.began;
    p::ItemIndex item = front.chunk.first;
    while (item < task.running_item && left > slowed(plan.run_time(item))) {
      left -= slowed(plan.run_time(item++));
    }
    task.running_item = item;
    exit(id, "signal 9 (Killed)");
    return true;
  }
  return false;
}

}  // namespace achilles::sim
