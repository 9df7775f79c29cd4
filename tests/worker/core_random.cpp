// The worker's core in a made-up world: one seed draws what brokers and task processes do to it.
//
// Safety: each attempt is answered once in a session, and nothing is said about an attempt that
// nobody gave. What is held when a session ends is told in the next one, and answered there. Then
// the world heals, and everything that is still wanted must be answered.
#include <map>
#include <random>
#include <set>

#include "tests/worker/core_harness.hpp"

using namespace achilles::worker;
using namespace achilles::worker::testing;
namespace protocol = achilles::protocol;

namespace {

struct FakeTask {
  protocol::ProgramId program;
  bool ready = false;
  bool told_to_end = false;
  std::set<protocol::JobId> knows;
  std::deque<protocol::Assignment> holds;
  std::uint64_t told = 0;                              ///< So many it was ever given.
  std::map<protocol::AttemptId, std::uint64_t> turns;  ///< Each one's place among them.
  std::set<protocol::JobId> skips;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed), agent_(options(seed), now_) {
    act([&](Commands& out) { agent_.connect(now_, out); });
  }

  void disturb(int steps) {
    for (int i = 0; i < steps; ++i) one_step(true);
  }
  /// No more faults: all that is open must be answered, in bounded time.
  void heal() {
    for (int i = 0; i < 20000 && !(open_.empty() && session_ != 0); ++i) one_step(false);
    INFO(open_.size() << " attempts were never answered");
    REQUIRE(open_.empty());
    for (int i = 0; i < 200 && !agent_.idle(); ++i) one_step(false);
    REQUIRE(agent_.idle());
  }
  std::uint64_t answered() const { return answered_; }

 private:
  struct Open {
    protocol::JobId job;
    bool announced = false;
    bool granted = false;
    std::uint64_t allowance = kAllowance;
  };

  static AgentOptions options(std::uint64_t seed) {
    auto options = options_with(1 + seed % 4);
    options.warm_tasks_max = seed % 3;
    options.held_result_bytes_max = 500 * (seed % 4);
    return options;
  }

  bool chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  template <class Call>
  void act(Call call) {
    Commands out;
    call(out);
    for (auto& command : out) obey(command);
    agent_.check_invariants();
    for (auto& event : std::exchange(answers_, {})) feed(std::move(event));
  }
  void feed(Event event) {
    act([&](Commands& out) { agent_.step(now_, std::move(event), out); });
  }
  void say(protocol::Message message) { feed(BrokerMessage{std::move(message)}); }

  // ---- what the core asks for ----

  void obey(Command& command) {
    if (auto* c = std::get_if<SendToBroker>(&command)) return hear(c->message);
    if (std::holds_alternative<Reconnect>(command)) {
      forget_session();
      reconnect_ = true;
    } else if (auto* start = std::get_if<StartTask>(&command)) {
      tasks_[start->task].program = start->program;
    } else if (auto* tell = std::get_if<SendToTask>(&command)) {
      tell_task(tasks_.at(tell->task), tell->message);
    } else if (auto* skip = std::get_if<SkipJobInTask>(&command)) {
      tasks_.at(skip->task).skips.insert(skip->job);
    } else if (auto* back = std::get_if<TakeBackFromTask>(&command)) {
      // It has begun one at least, and any number of the others.
      FakeTask& task = tasks_.at(back->task);
      const std::uint64_t taken = task.holds.empty() ? 0 : below(task.holds.size());
      task.holds.erase(task.holds.end() - static_cast<std::ptrdiff_t>(taken), task.holds.end());
      const auto come_to = taken == 0 ? back->given : task.turns.at(task.holds.back().attempt);
      answers_.push_back(TakenBackFromTask{back->task, back->given, come_to});
    } else if (auto* terminate = std::get_if<TerminateTask>(&command)) {
      if (chance(70)) tasks_.at(terminate->task).told_to_end = true;
    } else if (auto* end = std::get_if<EndTask>(&command)) {
      tasks_.at(end->task).told_to_end = true;
    } else if (auto* load = std::get_if<LoadProgram>(&command)) {
      answers_.push_back(chance(50) ? Event{ProgramLoaded{load->program}}
                                    : Event{ProgramAbsent{load->program}});
    } else if (auto* store = std::get_if<StoreProgramPart>(&command)) {
      answers_.push_back(ProgramLoaded{store->part.program});
    }
  }

  void tell_task(FakeTask& task, protocol::Message& message) {
    if (auto* open = std::get_if<protocol::OpenJob>(&message)) {
      REQUIRE(open->program == task.program);
      task.knows.insert(open->job);
      task.skips.erase(open->job);
    } else if (auto* close = std::get_if<protocol::CloseJob>(&message)) {
      REQUIRE(task.knows.erase(close->job) == 1);
    } else {
      REQUIRE(task.ready);
      REQUIRE_FALSE(task.told_to_end);
      for (auto& assignment : std::get<protocol::Assign>(message).chunks) {
        REQUIRE(task.knows.count(assignment.job) == 1);
        task.turns[assignment.attempt] = ++task.told;
        task.holds.push_back(std::move(assignment));
      }
    }
  }

  /// The worker has said what it holds: the rest is lost, results that were not accepted wait
  /// again.
  void hear_holding(protocol::Holding& holding) {
    for (const auto& held : holding.attempts) {
      REQUIRE(known_.count(held.attempt) == 1);
      REQUIRE(known_.at(held.attempt) == held.job);
      jobs_[held.job] = program_id(static_cast<std::uint8_t>(held.job.number % 3));
      open_[held.attempt] = {held.job, held.result_cost > 0, false, 0};
    }
    if (holding.last) known_.clear();
  }

  void close_attempt(protocol::AttemptId id) {
    REQUIRE(open_.erase(id) == 1);
    ++answered_;
  }

  void hear(protocol::Message& message) {
    if (auto* hello = std::get_if<protocol::Hello>(&message)) {
      forget_session();
      hello_ = hello->incarnation;
    } else if (auto* results = std::get_if<protocol::Results>(&message)) {
      for (auto& result : results->chunks) {
        REQUIRE(open_.count(result.attempt) == 1);
        const Open& open = open_[result.attempt];
        REQUIRE((protocol::credit_cost(result) <= open.allowance || open.granted));
        unaccepted_[result.attempt] = open.job;
        close_attempt(result.attempt);
      }
    } else if (auto* ready = std::get_if<protocol::ResultReady>(&message)) {
      REQUIRE(open_.count(ready->attempt) == 1);
      REQUIRE_FALSE(std::exchange(open_[ready->attempt].announced, true));
    } else if (auto* crashed = std::get_if<protocol::Crashed>(&message)) {
      close_attempt(crashed->attempt);
    } else if (auto* returned = std::get_if<protocol::Returned>(&message)) {
      for (const auto id : returned->attempts) close_attempt(id);
    } else if (auto* refused = std::get_if<protocol::ProgramRefused>(&message)) {
      std::erase_if(open_, [&](const auto& entry) {
        return jobs_.count(entry.second.job) == 1 && jobs_.at(entry.second.job) == refused->program;
      });
      refused_.insert(refused->program);
    } else if (auto* holding = std::get_if<protocol::Holding>(&message)) {
      hear_holding(*holding);
    } else if (auto* need = std::get_if<protocol::NeedProgram>(&message)) {
      answers_.push_back(BrokerMessage{protocol::ProgramPart{
          need->program, 10, 0, protocol::Bytes::own(std::vector<std::byte>(10))}});
    }
  }

  void forget_session() {
    session_ = 0;
    for (const auto& [id, open] : open_) known_[id] = open.job;
    known_.merge(unaccepted_);
    unaccepted_.clear();
    open_.clear();
    jobs_.clear();
    refused_.clear();
  }

  // ---- what happens to it ----

  void one_step(bool faults) {
    if (std::exchange(reconnect_, false)) {
      act([&](Commands& out) { agent_.connect(now_, out); });
    }
    if (session_ == 0 && faults && chance(70)) {
      // The broker is away for a while: work goes on.
    } else if (session_ == 0) {
      session_ = ++last_session_;
      protocol::Welcome welcome;
      welcome.session = protocol::SessionId{session_};
      welcome.incarnation = hello_;
      welcome.heartbeat_interval_ms = 1000;
      say(welcome);
    } else if (faults) {
      disturb_broker();
    } else {
      say(protocol::Heartbeat{});
    }
    if (session_ != 0) grant_some(faults ? 20 : 100);
    if (session_ != 0) accept_some(faults ? 30 : 100);
    for (auto next = tasks_.begin(); next != tasks_.end();) {
      const TaskId id = (next++)->first;
      disturb_task(id, faults);
    }
    now_ += std::chrono::microseconds(below(faults ? 30'000 : 1000));
    if (faults && chance(1)) now_ += std::chrono::seconds(below(12));
    act([&](Commands& out) { agent_.expire(now_, out); });
    act([&](Commands& out) { agent_.settle(now_, out); });
  }

  void disturb_broker() {
    const auto number = 1 + below(6);
    const auto job = job_id(number);
    if (!jobs_.contains(job)) {
      if (chance(30)) {
        const auto program = static_cast<std::uint8_t>(number % 3);
        jobs_[job] = program_id(program);
        say(open_job(number, program));
      }
    } else if (chance(5)) {
      std::erase_if(open_, [&](const auto& entry) { return entry.second.job == job; });
      std::erase_if(unaccepted_, [&](const auto& entry) { return entry.second == job; });
      jobs_.erase(job);
      say(protocol::CloseJob{job});
    } else if (!refused_.contains(jobs_[job]) && open_.size() < 300) {
      protocol::Assign assign;
      for (std::uint64_t i = below(20); i > 0; --i) {
        const protocol::AttemptId id{++last_attempt_};
        open_[id] = {job};
        assign.chunks.push_back(assignment(number, id.value, 1 + below(3), kAllowance));
      }
      say(std::move(assign));
    }
    if (chance(5) && !open_.empty()) {
      const auto revoked = std::next(open_.begin(), static_cast<long>(below(open_.size())))->first;
      open_.erase(revoked);
      say(protocol::Revoke{{revoked}});
    }
    if (chance(5) && !open_.empty()) {
      say(protocol::Recall{
          {std::next(open_.begin(), static_cast<long>(below(open_.size())))->first}});
    }
    if (chance(1) && chance(30)) {
      forget_session();
      say(protocol::Rejected{protocol::RejectReason::kUnknownSession, "who?"});
    }
  }

  void grant_some(int percent) {
    std::vector<protocol::AttemptId> granted;
    for (auto& [id, open] : open_) {
      if (open.granted || !chance(open.announced ? percent : percent / 20)) continue;
      granted.push_back(id);
      open.granted = true;
      if (granted.size() == 20) break;
    }
    for (const auto id : granted) say(protocol::Grant{id});
  }

  void accept_some(int percent) {
    protocol::Accepted accepted;
    for (const auto& [id, job] : unaccepted_) {
      if (chance(percent)) accepted.attempts.push_back(id);
    }
    for (const auto id : accepted.attempts) unaccepted_.erase(id);
    if (!accepted.attempts.empty()) say(std::move(accepted));
  }

  void disturb_task(TaskId id, bool faults) {
    FakeTask& task = tasks_.at(id);
    if (task.told_to_end || (faults && chance(2))) {
      TaskExited exited;
      exited.task = id;
      exited.how = "signal 9 (Killed)";
      if (!task.holds.empty() && chance(90)) {
        exited.running_attempt = task.holds.front().attempt;
        exited.running_item = task.holds.front().chunk.first;
      }
      tasks_.erase(id);
      return feed(exited);
    }
    if (!task.ready) {
      if (faults && chance(50)) return;
      task.ready = true;
      return feed(TaskMessage{id, protocol::TaskReady{task.program, 5, 1}});
    }
    if (faults && chance(30)) return;
    protocol::Results results;
    for (std::uint64_t i = 1 + below(5); i > 0 && !task.holds.empty(); --i) {
      auto result = result_of(task.holds.front(), 1000 + below(1'000'000), chance(10) ? 500 : 8);
      if (task.skips.contains(result.job)) result.items = items_of(0, 8);
      task.holds.pop_front();
      results.chunks.push_back(std::move(result));
    }
    if (!results.chunks.empty()) feed(TaskMessage{id, std::move(results)});
  }

  static constexpr std::uint64_t kAllowance = 200;
  std::mt19937_64 random_;
  protocol::TimePoint now_{1h};
  Agent agent_;
  std::deque<Event> answers_;
  std::map<TaskId, FakeTask> tasks_;
  std::map<protocol::AttemptId, Open> open_;
  std::map<protocol::AttemptId, protocol::JobId> unaccepted_;
  std::map<protocol::AttemptId, protocol::JobId> known_;  ///< Of the session that is over.
  std::map<protocol::JobId, protocol::ProgramId> jobs_;
  std::set<protocol::ProgramId> refused_;
  std::uint64_t session_ = 0;
  std::uint64_t last_session_ = 0;
  std::uint64_t last_attempt_ = 0;
  std::uint64_t hello_ = 0;
  std::uint64_t answered_ = 0;
  bool reconnect_ = false;
};

}  // namespace

TEST_CASE("whatever broker and tasks do, each attempt is answered once and all of them are") {
  std::uint64_t answered = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    World world(seed);
    world.disturb(400);
    world.heal();
    answered += world.answered();
  }
  CHECK(answered > 2'000);
}
