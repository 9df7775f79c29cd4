// The Agent's invariants across its tables. For tests.
#include <stdexcept>
#include <string>

#include "worker/core/agent_state.hpp"

namespace achilles::worker {

namespace {

void require(bool holds, const char* invariant) {
  if (!holds)
    throw std::logic_error(std::string("The worker's core broke an invariant: ") + invariant);
}

std::size_t check_queue(const Program& program) {
  std::size_t count = 0;
  for (const PlaceChain* chain : {&program.queue.granted(), &program.queue.plain()}) {
    std::size_t walked = 0;
    for (const Attempt* a = chain->front(); a != nullptr; a = PlaceChain::after(*a)) {
      ++walked;
      require(a->place == Attempt::Place::kQueued, "what is in a queue says that it is queued");
      require(a->granted == (chain == &program.queue.granted()),
              "granted attempts are in the granted queue");
      require(a->job != nullptr, "an attempt of a closed job is not queued");
      require(a->job->program == &program, "an attempt waits in its own program's queue");
      const Attempt* next = PlaceChain::after(*a);
      require(chain == &program.queue.granted() || next == nullptr || a->order < next->order,
              "the plain queue is in order of arrival");
    }
    require(walked == chain->size(), "a queue's size is its length");
    count += walked;
  }
  return count;
}

void check_task(const Task& task) {
  std::uint64_t bytes = 0;
  std::int64_t expected_ns = 0;
  std::uint32_t unknown = 0;
  std::uint32_t abandoned = 0;
  std::size_t walked = 0;
  for (const Attempt* a = task.given.front(); a != nullptr; a = PlaceChain::after(*a)) {
    ++walked;
    require(a->place == Attempt::Place::kGiven && a->task == &task,
            "what a task holds says that it is given to it");
    require(a->abandoned() || a->job->program == task.program, "a task runs one program");
    bytes += a->bytes;
    expected_ns += a->expected_ns.value_or(0);
    unknown += a->expected_ns ? 0 : 1;
    abandoned += a->abandoned() ? 1 : 0;
  }
  require(walked == task.given.size(), "a task's count is what it holds");
  require(bytes == task.given_bytes, "a task's bytes are the sum of what it holds");
  require(expected_ns == task.expected_ns, "a task's time is the sum of what it holds");
  require(unknown == task.unknown_count, "a task's unknown chunks are counted");
  require(abandoned == task.abandoned_count, "a task's abandoned chunks are counted");
  require(unknown == 0 || walked == 1, "a chunk of unknown time is alone in its task");
  require(task.outbox.empty(), "what was given has been sent");
  require(task.stage != Task::Stage::kStarting || walked == 0, "a starting task holds nothing");
  require(task.stage != Task::Stage::kStarting || task.deadline.has_value(),
          "a starting task has a deadline");
}

void check_kept(const KeptResults& kept, Attempt::Place place) {
  std::uint64_t bytes = 0;
  for (const Attempt* a = kept.chain().front(); a != nullptr; a = PlaceChain::after(*a)) {
    require(a->place == place && a->result.has_value(), "what is kept has a result");
    require(a->job != nullptr, "only results of open jobs are kept");
    bytes += a->result_cost;
  }
  require(bytes == kept.bytes(), "a shelf's bytes are the sum of its results");
}

}  // namespace

void Agent::State::check_invariants() const {
  std::size_t placed = 0;
  std::size_t program_jobs = 0;
  for (const auto& [id, program] : programs.all()) {
    const std::size_t queued = check_queue(program);
    placed += queued;
    program_jobs += program.jobs;
    require(program.jobs > 0 || !program.tasks.empty() ||
                program.stage == Program::Stage::kRefused || left,
            "a program without jobs and tasks is forgotten");
    require(link.in_session() || left || program.stage != Program::Stage::kFetching,
            "nothing is fetched outside of a session");
    require(queued == 0 || program.stage != Program::Stage::kRefused,
            "nothing waits for a refused program");
    std::uint32_t starting = 0;
    for (const Task* task : program.tasks) {
      require(task->program == &program, "a task belongs to the program that lists it");
      starting += task->stage == Task::Stage::kStarting ? 1 : 0;
    }
    require(starting == program.starting, "a program's starting tasks are counted");
  }
  std::uint32_t in_use = 0;
  std::size_t deadlines = 0;
  std::size_t program_tasks = 0;
  for (const auto& [id, program] : programs.all()) program_tasks += program.tasks.size();
  for (const auto& [id, task] : tasks.all()) {
    check_task(task);
    placed += task.given.size();
    in_use += task.in_use() ? 1 : 0;
    deadlines += task.deadline ? 1 : 0;
    require(!task.deadline || tasks.deadlines().count({*task.deadline, id}) == 1,
            "a task's deadline is in the set");
  }
  require(program_tasks == tasks.all().size(), "every task is listed by its program");
  require(deadlines == tasks.deadlines().size(), "every deadline belongs to a task");
  require(in_use == tasks.in_use(), "tasks in use are counted");
  require(in_use <= options.slots, "no more tasks are in use than there are slots");

  check_kept(held, Attempt::Place::kHeld);
  check_kept(sent, Attempt::Place::kSent);
  require(link.in_session() || left || sent.chain().empty(),
          "outside a session nothing counts as sent");
  placed += held.chain().size() + sent.chain().size();
  require(placed == attempts.size(), "each attempt is in exactly one place");

  std::size_t of_jobs = 0;
  std::size_t abandoned = 0;
  for (const auto& [id, job] : jobs.all()) of_jobs += job.attempts.size();
  for (const auto& [id, task] : tasks.all()) abandoned += task.abandoned_count;
  require(of_jobs + abandoned == attempts.size(), "each attempt has an open job or was abandoned");
  require(program_jobs == jobs.all().size(), "a program's jobs are counted");
}

}  // namespace achilles::worker
