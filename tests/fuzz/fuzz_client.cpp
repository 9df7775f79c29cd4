// The client's core, fed anything that a broker may say and a user may call, in any order. Whatever
// comes, it says only what may be said, submits no item twice in a session, hands out the result of
// each item once and in order, and keeps nothing of a job that is closed.
//
// An input is steps one after another: a byte says which, its arguments follow. See `step`.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "client/core/session.hpp"
#include "tests/fuzz/drawn.hpp"
#include "tests/fuzz/ranges.hpp"

using namespace achilles::protocol;
using namespace achilles::client;
using namespace achilles::fuzz;
using namespace std::chrono_literals;

namespace {

SessionOptions options_of(Input& input) {
  const std::uint64_t drawn = input.u8();
  SessionOptions options;
  options.id = {7};
  options.name = "n";
  options.host = "pc";
  if (drawn % 4 == 1) options.connect_timeout = 0s;
  if (drawn / 4 % 2 == 1) options.result_bytes_max = 600;
  return options;
}

/// A job as its user and its broker see it.
struct Seen {
  bool ordered = true;
  bool input_ended = false;
  bool has_window = false;
  ItemIndex given = 0;
  ItemIndex taken = 0;
  Ranges taken_items;
  Ranges submitted;           ///< In this session.
  std::vector<Chunk> chunks;  ///< Submitted at any time.
};

class World {
 public:
  explicit World(Input input) : input_(input), session_(options_of(input_), now_) {}

  void run() {
    connect();
    while (!input_.empty()) step();
    while (!jobs_.empty()) close(jobs_.begin()->first);
    require(!session_.has_jobs());
    require(payloads_.alive() == 0);
  }

 private:
  void step() {
    switch (input_.u8() % 20) {
      case 0:
        return send_welcome();
      case 1:
        return open();
      case 2:
      case 3:
        return give_chunk();
      case 4:
        return end_input();
      case 5:
        return event(ConsumerWaits{draw_job()});
      case 6:
        return close(draw_job());
      case 7:
      case 8:
        return take_result();
      case 9:
      case 10:
        return send_window();
      case 11:
      case 12:
      case 13:
        return send_results();
      case 14:
        return send_failure();
      case 15:
        return send_small();
      case 16:
        if (const auto message = draw_anything(input_)) send(*message);
        return;
      case 17:
        now_ += input_.u16() * 10ms;  // The process itself stands still.
        return expire();
      default:
        return pass(input_.u8() * 50ms);
    }
  }

  // ---- what the user does

  JobId draw_job() { return {{7}, input_.u8() % 3}; }
  void open() {
    JobOpened opened;
    opened.spec.job = draw_job();
    if (jobs_.contains(opened.spec.job)) return;
    opened.ordered = input_.u8() % 2 == 0;
    opened.chunksize = input_.u8() % 4;
    if (input_.u8() % 2 == 0) opened.item_count = input_.size();
    jobs_[opened.spec.job].ordered = opened.ordered;
    event(std::move(opened));
  }
  void give_chunk() {
    const JobId id = draw_job();
    const auto at = jobs_.find(id);
    if (at == jobs_.end() || at->second.input_ended) return;
    // Those who ask first, and those who have all their input at once.
    if (input_.u8() % 4 != 0 && !session_.wants_input(id)) return;
    Items items = draw_items(input_, 1 + input_.u16() % 2000);
    at->second.given += items.count();
    event(ChunkClosed{id, std::move(items)});
  }
  void end_input() {
    const JobId id = draw_job();
    if (const auto at = jobs_.find(id); at != jobs_.end()) at->second.input_ended = true;
    event(InputEnded{id});
  }
  void close(JobId id) {
    jobs_.erase(id);
    event(JobClosed{id});
  }
  void take_result() {
    const JobId id = draw_job();
    if (!session_.has_result(id)) return;
    Seen& seen = jobs_.at(id);
    Commands out;
    const ChunkResult result = session_.take_result(now_, id, out);
    require(result.job == id && result.items.count() > 0);
    require(result.first + result.items.count() <= seen.given);
    require(seen.taken_items.add(result.first, result.items.count()));
    if (seen.ordered) require(result.first == seen.taken);
    seen.taken += result.items.count();
    take(out);
    require(!session_.finished(id) || (seen.input_ended && seen.taken == seen.given));
  }

  // ---- what the broker says

  void send_welcome() {
    const std::uint64_t drawn = input_.u8();
    Welcome welcome;
    welcome.boot = {drawn % 2};
    welcome.session = {++sessions_};
    welcome.incarnation = drawn % 16 == 15 ? input_.size() : incarnation_;
    welcome.heartbeat_interval_ms =
        static_cast<std::uint32_t>(drawn % 8 == 7 ? input_.size() : 1000);
    if (drawn / 8 % 4 == 3) welcome.max_payload_bytes = input_.size();
    send(welcome);
  }
  void send_window() {
    const JobWindow window{draw_job(), input_.size(), input_.size(),
                           static_cast<std::uint32_t>(input_.size())};
    const auto at = jobs_.find(window.job);
    if (at != jobs_.end() && session_.connected()) at->second.has_window = true;
    send(window);
  }
  /// Of what was submitted, in the present session or in others: whole, in parts, or neither.
  void send_results() {
    const JobId id = draw_job();
    const auto at = jobs_.find(id);
    Results results;
    for (auto count = 1 + input_.u8() % 3; count > 0; --count) {
      const std::uint64_t which = input_.u8();
      ItemIndex first = input_.u8() % 4;
      std::uint64_t items = 1 + input_.u8() % 8;
      if (which < 240 && at != jobs_.end() && !at->second.chunks.empty()) {
        const auto& chunks = at->second.chunks;
        const Chunk& chunk = chunks[chunks.size() - 1 - which % chunks.size()];
        const bool whole = first % 2 == 0;
        first = chunk.first + (whole ? 0 : first);
        items = whole ? chunk.items.count() : items;
      } else if (which % 2 == 0) {
        first = input_.size();
      }
      results.chunks.push_back(draw_result(input_, id, {++attempts_}, first, items));
    }
    send(results);
  }
  void send_failure() {
    JobFailed failed;
    failed.job = draw_job();
    failed.error = draw_error(input_);
    send(failed);
  }
  void send_small() {
    switch (input_.u8() % 8) {
      case 0:
        return send(Bye{"enough"});
      case 1:
      case 2:
        return send(Rejected{static_cast<RejectReason>(input_.u8() % 6), "no"});
      case 3:
        return event(BrokerMalformed{"what?"});
      case 4:
        return event(BrokerHeard{});
      case 5:
        return send(NeedProgram{draw_program(input_), input_.size()});
      default:
        return send(Heartbeat{{sessions_}});
    }
  }

  // ---- entrances, and what must hold after each

  void send(const Message& message) {
    tell("broker", 0, message);
    event(BrokerMessage{through_codec(message, &payloads_)});
  }
  void event(Event what) {
    Commands out;
    session_.step(now_, std::move(what), out);
    take(out);
  }
  void connect() {
    Commands out;
    session_.connect(now_, out);
    take(out);
  }
  /// What it puts off when it loses its broker is done in the next call, and nothing more often.
  void expire() {
    for (int calls = 0; calls < 3; ++calls) {
      Commands out;
      session_.expire(now_, out);
      take(out);
      const auto next = session_.next_deadline();
      if (!next || *next > now_) return;
    }
    require(false);
  }
  void pass(Duration time) {
    const TimePoint until = now_ + time;
    for (auto next = session_.next_deadline(); next && *next <= until;
         next = session_.next_deadline()) {
      now_ = std::max(now_, *next);
      expire();
    }
    now_ = until;
  }

  void take(const Commands& out) {
    bool reconnect = false;
    for (const auto& command : out) {
      if (const auto* send = std::get_if<SendToBroker>(&command)) {
        tell("to broker", 0, send->message);
        require(through_codec(send->message) == send->message);
        std::visit([&](const auto& m) { receive(m); }, send->message);
      } else if (const auto* wake = std::get_if<WakeConsumer>(&command)) {
        require(jobs_.contains(wake->job));
      } else if (std::holds_alternative<Reconnect>(command)) {
        reconnect = true;
      }
    }
    session_.check_invariants();
    if (reconnect) connect();
  }

  // ---- what the client says

  void receive(const Hello& hello) {
    require(hello.incarnation > incarnation_);
    incarnation_ = hello.incarnation;
  }
  void receive(const KeepJobs& keep) {
    require(keep.jobs.size() == jobs_.size());
    for (const JobId id : keep.jobs) require(jobs_.contains(id));
    for (auto& [id, seen] : jobs_) {
      seen.submitted = {};
      seen.has_window = false;
    }
  }
  void receive(const Submit& submit) {
    Seen& seen = jobs_.at(submit.job);
    require(seen.has_window && session_.connected());
    for (const auto& chunk : submit.chunks) {
      require(chunk.first + chunk.items.count() <= seen.given);
      require(seen.submitted.add(chunk.first, chunk.items.count()));
      seen.chunks.push_back(chunk);
    }
  }
  template <class Other>
  void receive(const Other&) {}

  Input input_;
  TimePoint now_{1000s};
  Session session_;
  PayloadCount payloads_;
  std::map<JobId, Seen> jobs_;
  std::uint64_t sessions_ = 0;
  std::uint64_t incarnation_ = 0;
  std::uint64_t attempts_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World(Input({data, size})).run();
  return 0;
}
