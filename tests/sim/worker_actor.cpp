#include "tests/sim/worker_actor.hpp"

#include <algorithm>
#include <utility>

namespace achilles::sim {

using worker::TaskId;

WorkerActor::WorkerActor(World& world, const WorkerPlan& plan, std::uint64_t id)
    : world_(world), plan_(plan) {
  start(id);
}

void WorkerActor::start(std::uint64_t id) {
  id_ = id;
  worker::AgentOptions options;
  options.id = {id};
  options.name = "worker" + std::to_string(id);
  options.slots = plan_.slots;
  options.window_bytes = plan_.window_bytes;
  options.held_result_bytes_max = plan_.held_result_bytes_max;
  options.warm_tasks_max = plan_.warm_tasks_max;
  agent_ = std::make_unique<worker::Agent>(options, world_.now());
  world_.connect(*this);
  agent_->connect(world_.now(), out_);
  carry_out();
}

void WorkerActor::replace(std::uint64_t new_id, p::Duration after) {
  ++life_;
  agent_.reset();
  tasks_.clear();
  stored_.clear();
  inbox_.clear();
  out_.clear();
  world_.connect(*this);  // What the old one sent last is lost with its connection.
  world_.timeline.after(after, [this, new_id, life = life_] {
    if (life == life_ && agent_ == nullptr) start(new_id);
  });
}

void WorkerActor::end_an_idle_task() {
  for (const auto& [id, task] : tasks_) {
    if (!task.ready || task.hung_up || !task.holds.empty()) continue;
    exit(id, "exit status 0");
    return;
  }
}

std::optional<p::TimePoint> WorkerActor::next_deadline() const {
  if (agent_ == nullptr) return std::nullopt;
  return agent_->next_deadline();
}

void WorkerActor::turn() {
  if (agent_ == nullptr) return;
  while (!inbox_.empty()) {
    auto event = std::move(inbox_.front());
    inbox_.pop_front();
    step(std::move(event));
  }
  if (const auto due = agent_->next_deadline(); due && *due <= world_.now()) {
    agent_->expire(world_.now(), out_);
    carry_out();
  }
  agent_->settle(world_.now(), out_);
  carry_out();
}

void WorkerActor::step(worker::Event event) {
  agent_->step(world_.now(), std::move(event), out_);
  carry_out();
}

void WorkerActor::carry_out() {
  world_.note_step();
  agent_->check_invariants();
  for (auto& command : std::exchange(out_, {})) obey(command);
  if (!out_.empty()) carry_out();
}

void WorkerActor::obey(worker::Command& command) {
  if (const auto* send = std::get_if<worker::SendToBroker>(&command)) {
    world_.send_to_broker(*this, send->message);
  } else if (std::holds_alternative<worker::Reconnect>(command)) {
    std::erase_if(inbox_, [](const worker::Event& event) {
      return std::holds_alternative<worker::BrokerMessage>(event);
    });
    world_.connect(*this);
    agent_->connect(world_.now(), out_);
  } else if (const auto* start = std::get_if<worker::StartTask>(&command)) {
    tasks_[start->task].program = start->program;
    later(world_.random.between(500us, 5ms), start->task, [this, id = start->task](Task& task) {
      task.ready = true;
      say(id, p::TaskReady{task.program, 7, 1000});
    });
  } else if (auto* send_to_task = std::get_if<worker::SendToTask>(&command)) {
    // Through a socket, which is read a little later.
    later(20us, send_to_task->task,
          [this, id = send_to_task->task,
           message = world_.through_codec(send_to_task->message)](Task&) { tell(id, message); });
  } else if (const auto* skip = std::get_if<worker::SkipJobInTask>(&command)) {
    if (tasks_.contains(skip->task)) tasks_[skip->task].skips.insert(skip->job);
  } else if (const auto* end = std::get_if<worker::EndTask>(&command)) {
    const auto at = tasks_.find(end->task);
    if (at == tasks_.end()) return;
    at->second.hung_up = true;
    if (end->kill) {
      later(100us, end->task, [this, id = end->task](Task&) { exit(id, "signal 9 (Killed)"); });
    } else if (!at->second.running) {
      later(100us, end->task, [this, id = end->task](Task&) { exit(id, "exit status 0"); });
    }
  } else if (const auto* to_load = std::get_if<worker::LoadProgram>(&command)) {
    load(to_load->program);
  } else if (const auto* part = std::get_if<worker::StoreProgramPart>(&command)) {
    store(part->part);
  }
}

void WorkerActor::load(p::ProgramId program) {
  world_.timeline.after(1ms, [this, program, life = life_] {
    if (life != life_) return;
    if (cache_.contains(program)) inbox_.push_back(worker::ProgramLoaded{program});
    if (!cache_.contains(program)) inbox_.push_back(worker::ProgramAbsent{program});
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

// ---- task processes -------------------------------------------------------------------------

void WorkerActor::later(p::Duration delay, TaskId id, std::function<void(Task&)> what) {
  world_.timeline.after(delay, [this, id, life = life_, what = std::move(what)] {
    if (life != life_) return;
    if (const auto at = tasks_.find(id); at != tasks_.end()) what(at->second);
  });
}

void WorkerActor::say(TaskId id, const p::Message& message) {
  inbox_.push_back(worker::TaskMessage{id, world_.through_codec(message)});
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
      task.holds.push_back(std::move(assignment));
    }
    run_next(id, task);
  }
}

void WorkerActor::run_next(TaskId id, Task& task) {
  if (task.running || task.holds.empty()) return;
  if (task.hung_up) return exit(id, "exit status 0");
  const p::Assignment& front = task.holds.front();
  const JobPlan& plan = world_.job(front.job);
  task.running = true;
  p::Duration time = 2us;
  const p::ItemIndex end = front.chunk.first + front.chunk.items.count();
  for (p::ItemIndex item = front.chunk.first; item < end; ++item) {
    if (task.skips.contains(front.job)) break;
    task.running_item = item;
    time += plan.run_time(item);
    const Fate fate = plan.fate(item);
    if (fate != Fate::kCrashesOnce && fate != Fate::kAlwaysCrashes) continue;
    if (world_.count_crash(front.job, item) > 0 && fate == Fate::kCrashesOnce) continue;
    return later(time, id, [this, id](Task&) { exit(id, "signal 11 (Segmentation fault)"); });
  }
  later(time, id, [this, id](Task& done) { finish(id, done); });
}

void WorkerActor::finish(TaskId id, Task& task) {
  const p::Assignment done = std::move(task.holds.front());
  task.holds.pop_front();
  task.running = false;
  const JobPlan& plan = world_.job(done.job);
  std::uint64_t count = done.chunk.items.count();
  world_.demand(done.chunk.items == plan.inputs(done.chunk.first, count),
                "a task process got other items than the user gave");
  if (task.skips.contains(done.job)) count = world_.random.below(count + 1);
  p::ChunkResult result;
  result.job = done.job;
  result.attempt = done.attempt;
  result.first = done.chunk.first;
  p::ItemBuilder values;
  for (p::ItemIndex item = result.first; item < result.first + count; ++item) {
    result.busy_ns += static_cast<std::uint64_t>(plan.run_time(item).count());
    plan.answer(item, values, result);
  }
  auto [layout, bytes] = values.take();
  result.items = {std::move(layout), p::Bytes::own(std::move(bytes))};
  say(id, p::Results{{std::move(result)}});
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
  }
  tasks_.erase(id);
  inbox_.push_back(std::move(exited));
}

}  // namespace achilles::sim
