// A broker's core with peers made of strings: events in, commands sorted into inboxes.
//
// Each message goes through the codec in both directions, and the invariants are checked after each
// entrance. A test takes what it expects out of the inboxes; `quiet()` says whether all was
// claimed.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/core/scheduler.hpp"
#include "protocol/codec.hpp"
#include "protocol/describe.hpp"
#include "protocol/limits.hpp"
#include "tests/support/catch.hpp"

namespace achilles::broker::test {

using namespace std::chrono_literals;
namespace p = achilles::protocol;

inline constexpr p::Duration kInterval = 1s;

inline p::Message through_codec(const p::Message& message) {
  const p::Frames frames = p::encode(message);
  auto decoded = p::decode(frames);
  if (const auto* malformed = std::get_if<p::Malformed>(&decoded)) {
    FAIL("does not survive the codec: " << p::describe(message) << ": " << malformed->detail);
  }
  return std::get<p::Message>(std::move(decoded));
}

class Broker {
 public:
  explicit Broker(SchedulerOptions options = {}) : scheduler_(std::move(options), now_) {}

  void send(std::uint64_t peer, const p::Message& message) {
    event(MessageReceived{{peer}, through_codec(message)});
  }
  void event(Event what) {
    Commands out;
    scheduler_.step(now_, std::move(what), out);
    take(out);
  }
  void settle() {
    Commands out;
    scheduler_.settle(now_, out);
    take(out);
  }
  void farewell() {
    Commands out;
    scheduler_.farewell(now_, "the broker stops", out);
    take(out);
  }
  /// Time passes, and the broker is called when it asked to be.
  void pass(p::Duration time) {
    const p::TimePoint end = now_ + time;
    while (true) {
      const auto next = scheduler_.next_deadline();
      if (!next || *next > end) break;
      now_ = std::max(now_, *next);
      expire();
    }
    now_ = end;
    expire();
  }
  /// Time passes, and these peers give signs of life; heartbeats to them are not looked at.
  void pass_alive(p::Duration time, const std::vector<std::uint64_t>& peers) {
    for (p::Duration left = time; left > 0s; left -= kInterval) {
      pass(std::min(left, kInterval));
      for (const auto peer : peers) {
        send(peer, p::Heartbeat{});
        std::erase_if(inboxes_[peer],
                      [](const p::Message& m) { return std::holds_alternative<p::Heartbeat>(m); });
      }
    }
  }
  /// Time passes, and the broker does not get to run.
  void stall(p::Duration time) { now_ += time; }
  void expire() {
    Commands out;
    scheduler_.expire(now_, out);
    scheduler_.settle(now_, out);
    take(out);
  }

  /// The oldest message to the peer, which must be an M.
  template <class M>
  M expect(std::uint64_t peer) {
    auto& inbox = inboxes_[peer];
    INFO("peer " << peer << " expects type " << static_cast<int>(M::kType) << "\n" << dump(peer));
    REQUIRE(!inbox.empty());
    REQUIRE(std::holds_alternative<M>(inbox.front()));
    M message = std::get<M>(std::move(inbox.front()));
    inbox.pop_front();
    return message;
  }
  std::deque<p::Message>& inbox(std::uint64_t peer) { return inboxes_[peer]; }
  void discard(std::uint64_t peer) { inboxes_[peer].clear(); }
  void discard_all() { inboxes_.clear(); }
  bool forgotten(std::uint64_t peer) const { return forgotten_.contains(peer); }
  bool quiet() const {
    for (const auto& [peer, inbox] : inboxes_) {
      for (const auto& message : inbox) UNSCOPED_INFO("unclaimed: " << p::describe(message));
      if (!inbox.empty()) return false;
    }
    return true;
  }
  std::string dump(std::uint64_t peer) {
    std::string text;
    for (const auto& message : inboxes_[peer]) text += p::describe(message) + "\n";
    return text;
  }
  Scheduler& scheduler() { return scheduler_; }
  p::TimePoint now() const { return now_; }

  // ---- peers in a few words; a peer's number is also its client's or worker's id

  p::Welcome hello(std::uint64_t peer, p::Role role, std::uint64_t id,
                   std::uint64_t incarnation = 1) {
    const std::string name = "n" + std::to_string(id);
    send(peer, p::Hello{role, id, incarnation, name, "pc", 7, "0.1.0"});
    return expect<p::Welcome>(peer);
  }
  void client(std::uint64_t peer) {
    hello(peer, p::Role::kClient, peer);
    send(peer, p::KeepJobs{});
  }
  void worker(std::uint64_t peer, std::uint32_t slots = 1, std::uint64_t window_chunks = 4096,
              std::uint64_t window_bytes = 64 << 20) {
    hello(peer, p::Role::kWorker, peer);
    send(peer, p::WorkerState{slots, window_chunks, window_bytes, false});
    send(peer, p::Holding{});
    settle();
  }
  /// Opens a job and takes its window.
  p::JobWindow open(std::uint64_t client, std::uint64_t number, std::uint64_t credit = 1 << 20,
                    p::ProgramId program = {}) {
    p::OpenJob open;
    open.job = {{client}, number};
    open.program = program;
    open.context = p::Bytes::copy("context");
    open.label = "f";
    send(client, open);
    const auto window = expect<p::JobWindow>(client);
    send(client, p::ResultCredit{open.job, credit, std::nullopt});
    return window;
  }
  /// Chunks of `count` items each, one byte an item.
  void submit(std::uint64_t client, std::uint64_t number, std::uint64_t first,
              std::uint64_t chunks = 1, std::uint64_t count = 1);
  /// What the worker is told to do; OPEN_JOBs before it are taken silently.
  std::vector<p::Assignment> assigned(std::uint64_t worker);
  void finish(std::uint64_t worker, const p::Assignment& assignment,
              std::uint64_t bytes_per_item = 1, std::uint64_t busy_ns = 1'000'000);
  /// Indices of all items that the client has been sent, in the order of arrival.
  std::vector<p::ItemIndex> delivered(std::uint64_t client);

 private:
  void take(Commands& out) {
    for (auto& command : out) {
      if (auto* send = std::get_if<SendMessage>(&command)) {
        REQUIRE(!forgotten_.contains(send->peer.value));
        inboxes_[send->peer.value].push_back(through_codec(send->message));
      } else if (auto* forget = std::get_if<ForgetPeer>(&command)) {
        forgotten_.insert(forget->peer.value);
        inboxes_.erase(forget->peer.value);
      }
    }
    scheduler_.check_invariants();
  }

  p::TimePoint now_{1000s};
  Scheduler scheduler_;
  std::map<std::uint64_t, std::deque<p::Message>> inboxes_;
  std::set<std::uint64_t> forgotten_;
};

p::Items items_of(std::uint64_t count, std::uint64_t bytes_per_item = 1);
p::ChunkResult result_of(const p::Assignment& assignment, std::uint64_t bytes_per_item,
                         std::uint64_t busy_ns);

}  // namespace achilles::broker::test
