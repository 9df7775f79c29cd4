// The broker's core, fed anything that peers may say, do and fail to do, in any order. Whatever
// comes, its tables fit together, it says only what may be said, delivers no item twice, and
// forgets everything once everybody has gone.
//
// An input is steps one after another: a byte says which, its arguments follow. See `step`.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "broker/core/scheduler.hpp"
#include "tests/fuzz/drawn.hpp"
#include "tests/fuzz/ranges.hpp"

using namespace achilles::protocol;
using namespace achilles::broker;
using namespace achilles::fuzz;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kAttemptsMax = 1024;

/// What a connection has come to, as its other end sees it.
struct Connection {
  PeerId peer;
  Hello said;  ///< Not answered yet, or refused; or that of the session.
  Role role = Role::kObserver;
  std::uint64_t id = 0;
  SessionId session;
  std::set<JobId> told;  ///< A worker: the jobs that it may get chunks of.
  std::map<JobId, Ranges> delivered;
  std::set<JobId> muddled;  ///< The client broke its rules: an item may come twice.
  std::map<JobId, Ranges> submitted;
  std::vector<AttemptId> to_accept;
};

/// An attempt that a worker was once given, or that one claimed.
struct Known {
  JobId job;
  AttemptId attempt;
  ItemIndex first = 0;
  std::uint64_t count = 0;
  std::size_t where = 0;
};

SchedulerOptions options_of(Input& input) {
  SchedulerOptions options;
  options.boot = {input.u8()};
  const std::uint64_t limits = input.u8();
  if (limits % 2 == 1) options.max_payload_bytes = 100;
  if (limits / 2 % 2 == 1) options.client_jobs_max = 2;
  if (limits / 4 % 2 == 1) options.kept_bytes_max = 500;
  if (limits / 8 % 2 == 1) options.job_window_bytes = 300;
  return options;
}

class World {
 public:
  explicit World(Input input) : input_(input), broker_(options_of(input_), now_) {
    for (auto& c : connections_) c.peer = {++peers_};
  }

  void run() {
    while (!input_.empty() && !left_) step();
    if (left_) return;
    end();
  }

 private:
  void step() {
    const std::uint64_t what = input_.u8() % 32;
    here_ = input_.u8() % connections_.size();
    switch (what) {
      case 0:
      case 1:
        return send_hello();
      case 2:
        return send_open_job();
      case 3:
      case 4:
        return send_submit();
      case 5:
        return send(ResultCredit{draw_job(), input_.size(), draw_wanted()});
      case 6:
        return send_close_job();
      case 7:
        return send_keep_jobs();
      case 8:
        return send_accepted();
      case 9:
        return send_worker_state();
      case 10:
        return send_holding();
      case 11:
      case 12:
        return send_results();
      case 13:
        return send(ResultReady{draw_attempt().attempt, input_.size(), input_.size()});
      case 14: {
        const Known known = draw_attempt();
        return send(Crashed{known.attempt, known.first + input_.u8() % 8, draw_error(input_)});
      }
      case 15:
        return send(Returned{draw_attempts()});
      case 16:
        return send(ProgramRefused{draw_program(input_), "because"});
      case 17:
        return send(NeedProgram{draw_program(input_), input_.size() * kPartBytes / 2});
      case 18:
        return send_program_part();
      case 19:
        return send_small();
      case 20:
        if (const auto message = draw_anything(input_)) send(*message);
        return;
      case 21:
        return event(MessageMalformed{connection().peer, RejectReason::kMalformed, "what?"});
      case 22:
        return event(PeerHeard{connection().peer});
      case 23:
        return lose_connection();
      case 24:
      case 25:
      case 26:
        return settle();
      case 27:
        return pass(input_.u8() * 50ms);
      case 28:
        now_ += input_.u16() * 10ms;  // The broker itself stands still.
        return expire();
      case 29:
        return accept_all();
      case 30:
        return everybody_is_heard();
      default:
        return farewell();
    }
  }

  // ---- what is said to the broker

  void send_hello() {
    Connection& c = connection();
    Hello hello;
    const std::uint64_t who = input_.u8();
    hello.role = static_cast<Role>(who % 3);
    hello.id = who / 4 % 4 + 1;
    hello.incarnation = who < 128 ? ++incarnations_ : input_.size();
    hello.name.assign(input_.u8(), 'n');
    c.said = hello;
    send(hello);
  }
  void send_open_job() {
    OpenJob open;
    open.job = draw_job();
    open.program = draw_program(input_);
    open.context = Bytes::own(std::vector<std::byte>(input_.size() % 600));
    open.crash_limit = static_cast<std::uint32_t>(input_.u8() % 3);
    open.max_payload_bytes = input_.size();
    open.resubmits = input_.size();
    send(open);
  }
  void send_submit() {
    Submit submit;
    submit.job = draw_job();
    Connection& c = connection();
    for (auto count = input_.u8() % 4; count > 0; --count) {
      const ItemIndex first = input_.size();
      submit.chunks.push_back(draw_chunk(input_, first, input_.size()));
      const Chunk& chunk = submit.chunks.back();
      if (!c.submitted[submit.job].add(chunk.first, chunk.items.count())) {
        c.muddled.insert(submit.job);
      }
    }
    send(submit);
  }
  void send_keep_jobs() {
    send(KeepJobs{draw_jobs()});
    for (const auto& [job, ranges] : std::map(connection().submitted)) forget(connection(), job);
  }
  void send_close_job() {
    const JobId job = draw_job();
    send(CloseJob{job});
    forget(connection(), job);
  }
  void send_accepted() {
    Accepted accepted{draw_attempts()};
    auto& own = connection().to_accept;
    for (auto count = input_.u8() % 4; count > 0 && !own.empty(); --count) {
      accepted.attempts.push_back(own.back());
      own.pop_back();
    }
    send(accepted);
  }
  void send_worker_state() {
    WorkerState state;
    state.slots = static_cast<std::uint32_t>(input_.size());
    state.window_chunks = input_.size();
    state.window_bytes = input_.size();
    state.draining = input_.u8() % 8 == 7;
    send(state);
  }
  void send_holding() {
    Holding holding;
    for (auto count = input_.u8() % 5; count > 0; --count) {
      const Known known = draw_attempt();
      holding.attempts.push_back(
          {known.job, known.attempt, known.first, known.count, input_.size()});
      connection().told.insert(known.job);
      note(known);
    }
    holding.last = input_.u8() % 4 != 0;
    send(holding);
  }
  void send_results() {
    Results results;
    for (auto count = input_.u8() % 4; count > 0; --count) {
      const Known known = draw_attempt();
      results.chunks.push_back(
          draw_result(input_, known.job, known.attempt, known.first, known.count));
    }
    send(results);
  }
  void send_program_part() {
    ProgramPart part;
    part.program = draw_program(input_);
    const std::uint64_t sizes = input_.u8();
    // Of one part and a bit, as a rule.
    part.total_bytes = sizes % 16 == 15 ? input_.size() % kMaxProgramBytes : kPartBytes + 7;
    part.offset = std::min(part.total_bytes, sizes / 16 % 3 * kPartBytes);
    const std::uint64_t size = std::min(kPartBytes, part.total_bytes - part.offset);
    static const Bytes zeros = Bytes::own(std::vector<std::byte>(kPartBytes));
    part.bytes = zeros.slice(0, size);
    send(part);
  }
  void send_small() {
    switch (input_.u8() % 8) {
      case 0:
        return send(Bye{"enough"});
      case 1:
        return send(Rejected{RejectReason::kOverLimit, "no"});
      case 2:
        return send(StatusRequest{});
      case 3:
        return send(WhyRequest{to_string(draw_job())});
      case 4:
        return send(Welcome{});
      case 5:
        return send(JobWindow{draw_job(), 1, 1, 1});
      case 6:
        return send(Assign{});
      default:
        return send(Heartbeat{connection().session});
    }
  }
  /// Takes what it was sent, as a client does that means well.
  void accept_all() { send(Accepted{std::exchange(connection().to_accept, {})}); }

  // ---- what is drawn

  /// Mostly one of its own.
  JobId draw_job() {
    const std::uint64_t which = input_.u8();
    const std::uint64_t client =
        which < 200 && connection().role == Role::kClient ? connection().id : which % 4 + 1;
    return {{client}, which / 8 % 4};
  }
  std::vector<JobId> draw_jobs() {
    std::vector<JobId> jobs;
    for (auto count = input_.u8() % 5; count > 0; --count) jobs.push_back(draw_job());
    return jobs;
  }
  std::optional<ItemIndex> draw_wanted() {
    if (input_.u8() % 2 == 0) return std::nullopt;
    return input_.size();
  }
  /// Mostly one that this worker was given lately, as it was; sometimes with something changed.
  Known draw_attempt() {
    const std::uint64_t which = input_.u8();
    std::size_t at = known_.size();
    if (which < 240) {
      std::uint64_t skip = which % 16;
      const bool own = which < 200;
      while (at > 0) {
        --at;
        if (own && known_[at].where != here_) continue;
        if (skip-- == 0) break;
      }
    }
    Known known = at < known_.size() ? known_[at] : Known{};
    if (which >= 240 || known_.empty()) {
      known = {draw_job(), {input_.size()}, input_.size(), input_.size(), here_};
      // What is given next, guessed.
      if (which % 2 == 0 && !known_.empty()) known.attempt.value += known_.back().attempt.value;
    }
    if (which % 32 == 31) ++known.first;
    if (which % 32 == 30) ++known.count;
    if (which % 32 == 29) known.job = draw_job();
    known.where = here_;
    return known;
  }
  std::vector<AttemptId> draw_attempts() {
    std::vector<AttemptId> attempts;
    for (auto count = input_.u8() % 5; count > 0; --count) {
      attempts.push_back(draw_attempt().attempt);
    }
    return attempts;
  }

  // ---- entrances, and what must hold after each

  Connection& connection() { return connections_[here_]; }
  void send(const Message& message) {
    tell("from", connection().peer.value, message);
    event(MessageReceived{connection().peer, through_codec(message, &payloads_)});
  }
  void event(Event what) {
    Commands out;
    broker_.step(now_, std::move(what), out);
    take(out);
  }
  void settle() {
    Commands out;
    broker_.settle(now_, out);
    take(out);
  }
  void expire() {
    Commands out;
    broker_.expire(now_, out);
    take(out);
    const auto next = broker_.next_deadline();
    require(!next || *next > now_);
    settle();
  }
  void pass(Duration time) {
    const TimePoint until = now_ + time;
    for (auto next = broker_.next_deadline(); next && *next <= until;
         next = broker_.next_deadline()) {
      now_ = std::max(now_, *next);
      expire();
    }
    now_ = until;
  }
  void everybody_is_heard() {
    for (const auto& c : connections_) event(PeerHeard{c.peer});
  }
  void lose_connection() {
    event(PeerUnreachable{connection().peer});
    begin_anew(connection());
  }
  void farewell() {
    if (input_.u8() % 16 != 0) return;  // It is the last thing of a run.
    Commands out;
    broker_.farewell(now_, "the broker stops", out);
    take(out);
    for (here_ = 0; here_ < connections_.size(); ++here_) {
      if (input_.u8() % 4 == 0) send_results();
      send(Bye{});
    }
    require(broker_.left(now_));
    left_ = true;
  }
  void end() {
    settle();
    pass(1h);
    require(broker_.empty());
    require(!broker_.next_deadline());
    require(payloads_.alive() <= 2L * 3);  // Parts of programs are kept for whoever comes next.
  }

  void take(const Commands& out) {
    for (const auto& command : out) {
      if (const auto* send = std::get_if<SendMessage>(&command)) {
        tell("to", send->peer.value, send->message);
        require(through_codec(send->message) == send->message);
        const auto at = std::ranges::find(connections_, send->peer, &Connection::peer);
        require(at != connections_.end());
        std::visit([&](const auto& m) { receive(*at, m); }, send->message);
      } else if (const auto* forget = std::get_if<ForgetPeer>(&command)) {
        const auto at = std::ranges::find(connections_, forget->peer, &Connection::peer);
        require(at != connections_.end());
        begin_anew(*at);
      }
    }
    broker_.check_invariants();
  }

  // ---- what the broker says

  void receive(Connection& c, const Welcome& welcome) {
    require(welcome.session.value != 0 && welcome.incarnation == c.said.incarnation);
    if (welcome.session == c.session) return;
    const Connection old = std::exchange(c, {});
    c.peer = old.peer;
    c.said = old.said;
    c.role = old.said.role;
    c.id = old.said.id;
    c.session = welcome.session;
  }
  void receive(Connection& c, const OpenJob& open) { c.told.insert(open.job); }
  void receive(Connection& c, const CloseJob& close) { c.told.erase(close.job); }
  void receive(Connection& c, const JobFailed& failed) { forget(c, failed.job); }
  void receive(Connection& c, const Assign& assign) {
    for (const auto& assignment : assign.chunks) {
      require(c.told.contains(assignment.job));
      note({assignment.job, assignment.attempt, assignment.chunk.first,
            assignment.chunk.items.count(), static_cast<std::size_t>(&c - connections_.data())});
    }
  }
  void receive(Connection& c, const Results& results) {
    for (const auto& result : results.chunks) {
      require(result.job.client.value == c.id);
      c.to_accept.push_back(result.attempt);
      if (c.muddled.contains(result.job)) continue;
      require(c.delivered[result.job].add(result.first, result.items.count()));
    }
  }
  template <class Other>
  void receive(Connection&, const Other&) {}

  void begin_anew(Connection& c) {
    c = {};
    c.peer = {++peers_};
  }
  /// Its number is not to be used again, but will be.
  static void forget(Connection& c, JobId job) {
    c.delivered.erase(job);
    c.submitted.erase(job);
    c.muddled.insert(job);
  }
  void note(const Known& known) {
    if (known_.size() < kAttemptsMax) known_.push_back(known);
  }

  Input input_;
  TimePoint now_{1000s};
  Scheduler broker_;
  PayloadCount payloads_;
  std::array<Connection, 6> connections_;
  std::vector<Known> known_;
  std::size_t here_ = 0;
  std::uint64_t peers_ = 0;
  std::uint64_t incarnations_ = 0;
  bool left_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World(Input({data, size})).run();
  return 0;
}
