// Drives the client's core by hand: feed an event, then claim every command it answered with.
//
// The invariants are checked after each step. Commands that a test does not claim fail it.
#pragma once

#include <deque>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "client/core/session.hpp"
#include "protocol/describe.hpp"
#include "protocol/limits.hpp"
#include "tests/support/catch.hpp"

namespace achilles::client::testing {

using namespace std::chrono_literals;
namespace p = achilles::protocol;

using Indices = std::vector<p::ItemIndex>;

/// `count` items of one size.
inline p::Items items_of(std::uint64_t count, std::uint32_t bytes_per_item = 8) {
  return {{count, bytes_per_item, {}},
          p::Bytes::own(std::vector<std::byte>(count * bytes_per_item))};
}

inline p::JobId job_id(std::uint64_t number) {
  return {{7}, number};
}

inline p::ChunkResult result_of(p::JobId job, p::ItemIndex first, std::uint64_t count,
                                std::uint32_t bytes_per_item = 8, p::Duration busy = 1ms) {
  p::ChunkResult result;
  result.job = job;
  result.first = first;
  result.busy_ns = static_cast<std::uint64_t>(busy.count());
  result.items = items_of(count, bytes_per_item);
  return result;
}

inline p::ItemError error_at(p::ItemIndex index) {
  p::ItemError error;
  error.index = index;
  error.error.causes.push_back({"std::runtime_error", "item " + std::to_string(index)});
  return error;
}

inline SessionOptions options_with(std::uint64_t result_bytes_max) {
  SessionOptions options;
  options.id = {7};
  options.name = "word_count";
  options.host = "pc";
  options.pid = 42;
  options.connect_timeout = 30s;
  options.result_bytes_max = result_bytes_max;
  return options;
}

class Harness {
 public:
  explicit Harness(std::uint64_t result_bytes_max = 8ULL << 20)
      : Harness(options_with(result_bytes_max)) {}
  explicit Harness(SessionOptions options) : session(std::move(options), now) {}
  ~Harness() noexcept(false) {
    if (std::uncaught_exceptions() == 0) none();
  }
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  // ---- feeding ----
  void connect() {
    none();
    collect([&](Commands& out) { session.connect(now, out); });
  }
  void feed(Event event) {
    none();
    collect([&](Commands& out) { session.step(now, std::move(event), out); });
  }
  /// What the client acknowledges is kept in `accepted`, not among the commands.
  void broker(p::Message message) {
    feed(BrokerMessage{std::move(message)});
    std::erase_if(commands, [&](const Command& command) {
      const auto* send = std::get_if<SendToBroker>(&command);
      const auto* now_accepted = send ? std::get_if<p::Accepted>(&send->message) : nullptr;
      if (now_accepted == nullptr) return false;
      const auto& attempts = now_accepted->attempts;
      accepted.insert(accepted.end(), attempts.begin(), attempts.end());
      return true;
    });
  }
  void expire() {
    collect([&](Commands& out) { session.expire(now, out); });
  }
  /// Time passes as in a shell: expire is called whenever it is due, `late` after it.
  void pass(p::Duration duration, p::Duration late = 0ns) {
    const p::TimePoint end = now + duration;
    for (auto due = session.next_deadline(); due && *due + late <= end;
         due = session.next_deadline()) {
      now = std::max(now, *due + late);
      expire();
      // Whoever is asked for a new connection makes one before anything else.
      if (commands.empty() || !std::holds_alternative<Reconnect>(commands.back())) continue;
      collect([&](Commands& out) { session.connect(now, out); });
    }
    now = end;
  }

  // ---- claiming ----
  template <class T>
  T take() {
    REQUIRE_FALSE(commands.empty());
    INFO("the next command is " << describe(commands.front()));
    REQUIRE(std::holds_alternative<T>(commands.front()));
    T taken = std::get<T>(std::move(commands.front()));
    commands.pop_front();
    return taken;
  }
  template <class M>
  M sent() {
    auto command = take<SendToBroker>();
    INFO("it sent " << p::describe(command.message));
    REQUIRE(std::holds_alternative<M>(command.message));
    return std::get<M>(std::move(command.message));
  }
  void woken(std::uint64_t job = 1) { CHECK(take<WakeConsumer>().job == job_id(job)); }
  void none() {
    INFO("unclaimed: " << (commands.empty() ? "" : describe(commands.front())));
    REQUIRE(commands.empty());
  }
  /// Takes the commands that are SendToBroker of an M, wherever they are.
  template <class M>
  std::size_t drop() {
    return std::erase_if(commands, [](const Command& command) {
      const auto* send = std::get_if<SendToBroker>(&command);
      return send != nullptr && std::holds_alternative<M>(send->message);
    });
  }
  Indices submitted() {
    Indices firsts;
    for (const auto& chunk : sent<p::Submit>().chunks) firsts.push_back(chunk.first);
    return firsts;
  }

  // ---- common beginnings ----
  /// `first_chunks`: what a job may submit before its window is told.
  void welcome(std::uint64_t first_chunks = 0) {
    const auto hello = sent<p::Hello>();
    p::Welcome welcome;
    welcome.session = {++sessions};
    welcome.incarnation = hello.incarnation;
    welcome.heartbeat_interval_ms = 1000;
    welcome.workers = 2;
    welcome.slots = slots;
    welcome.first_window_chunks = first_chunks;
    welcome.first_window_bytes = first_chunks * 10;
    broker(welcome);
    kept.clear();
    for (const auto& job : sent<p::KeepJobs>().jobs) kept.push_back(job.number);
  }
  void in_session() {
    connect();
    welcome();
    CHECK(take<Connected>().slots == 8);
  }
  void open(std::uint64_t job = 1, bool ordered = true, std::uint64_t chunksize = 1) {
    JobOpened opened;
    opened.spec.job = job_id(job);
    opened.ordered = ordered;
    opened.chunksize = chunksize;
    feed(std::move(opened));
    if (!session.connected()) return;
    CHECK(sent<p::OpenJob>().job == job_id(job));
    sent<p::ResultCredit>();
  }
  /// Opens a job where a HELLO may still be unanswered.
  void open_later() {
    sent<p::Hello>();
    open();
  }
  void window(std::uint64_t chunks, std::uint64_t bytes = 1 << 20, std::uint64_t job = 1) {
    broker(p::JobWindow{job_id(job), chunks, bytes, 8});
  }
  void chunk_sent(p::ItemIndex first) { CHECK(submitted() == Indices{first}); }
  void chunk(std::uint64_t count = 1, std::uint64_t job = 1, std::uint32_t bytes_per_item = 8) {
    feed(ChunkClosed{job_id(job), items_of(count, bytes_per_item)});
  }
  /// `count` chunks of an item each, all at the broker.
  void under_way(std::uint64_t count, std::uint64_t job = 1) {
    window(64, 1 << 20, job);
    if (!commands.empty()) woken(job);
    for (std::uint64_t i = 0; i < count; ++i) {
      chunk(1, job);
      CHECK(submitted().size() == 1);
    }
  }
  void results(p::ItemIndex first, std::uint64_t count = 1, std::uint32_t bytes_per_item = 8,
               std::uint64_t job = 1) {
    broker(p::Results{{result_of(job_id(job), first, count, bytes_per_item)}});
  }
  p::ItemIndex taken(std::uint64_t job = 1) {
    p::ItemIndex first = 0;
    collect([&](Commands& out) { first = session.take_result(now, job_id(job), out).first; });
    return first;
  }
  void waits(std::uint64_t job = 1) { feed(ConsumerWaits{job_id(job)}); }

  static std::string describe(const Command& command) {
    if (const auto* send = std::get_if<SendToBroker>(&command)) return p::describe(send->message);
    return "a command of kind " + std::to_string(command.index());
  }

  p::TimePoint now{1h};
  Session session;
  std::deque<Command> commands;
  std::vector<p::AttemptId> accepted;
  std::vector<std::uint64_t> kept;  ///< The jobs it went on with, by number.
  std::uint64_t sessions = 100;
  std::uint32_t slots = 8;

 private:
  template <class Call>
  void collect(Call call) {
    Commands out;
    call(out);
    for (auto& command : out) commands.push_back(std::move(command));
    session.check_invariants();
  }
};

}  // namespace achilles::client::testing
