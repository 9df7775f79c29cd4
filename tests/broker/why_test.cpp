// What the broker answers when it is asked what a job waits for.
#include "protocol/story.hpp"
#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {

struct Asked {
  Broker broker;
  std::string reasons;
  std::string story;

  Asked() { broker.client(1); }
  void ask(std::uint64_t number = 1) {
    const p::JobId job{{1}, number};
    broker.send(99, p::WhyRequest{to_string(job)});
    reasons.clear();
    story.clear();
    const auto reply = broker.expect<p::WhyReply>(99);
    CHECK(reply.job == to_string(job));
    for (const auto& reason : reply.reasons) reasons += reason + "\n";
    for (const auto& line : reply.story) story += line + "\n";
  }
  void says(const std::string& part, std::uint64_t number = 1) {
    ask(number);
    INFO(reasons);
    CHECK(reasons.find(part) != std::string::npos);
  }
};

}  // namespace

TEST_CASE("a job that nobody knows has no reasons") {
  Asked asked;
  asked.ask();
  CHECK(asked.reasons.empty());
}

TEST_CASE("a job says what it waits for, whatever it is") {
  Asked asked;
  Broker& broker = asked.broker;
  broker.open(1, 1);
  asked.says("It waits for the client");
  broker.submit(1, 1, 0, 6);
  broker.settle();
  asked.says("6 chunks of it wait because no worker is connected that takes them.");
  broker.worker(2, 1);
  const auto work = broker.assigned(2);
  REQUIRE(work.size() == 2);
  asked.says("There are 2 chunks of it at worker n2@pc, the one from item 0 on for 0.0 s.");
  asked.says("4 chunks of it wait for a free slot: all that take them are busy (1 worker, 1 open");
  for (const auto& a : work) broker.send(2, p::ResultReady{a.attempt, 5 << 20, 1000});
  broker.settle();
  asked.says("At worker n2@pc results of 1 chunk wait until the client has room");
}

TEST_CASE("a job says why no worker takes it") {
  Asked asked;
  Broker& broker = asked.broker;
  broker.worker(2, 1);
  broker.worker(3, 1);
  broker.open(1, 1);
  broker.submit(1, 1, 0, 6);
  broker.settle();
  broker.send(2, p::ProgramRefused{{}, "needs GLIBCXX_3.4.31, has 3.4.30"});
  broker.send(3, p::WorkerState{1, 4096, 64 << 20, true});
  broker.settle();
  asked.says(
      "because no worker is connected that takes them. Worker n2 cannot run the program: "
      "needs GLIBCXX_3.4.31, has 3.4.30. Worker n3 is draining.");
  CHECK(asked.story.find("the chunk from item 0 on is queued again") != std::string::npos);
}

TEST_CASE("a job whose client is away says how long it is waited for") {
  Asked asked;
  asked.broker.open(1, 1);
  asked.broker.event(PeerUnreachable{{1}});
  asked.says("Its client is away. The job is closed in 10.0 s, unless");
  CHECK(asked.story.find("0.0 s ago: its client opened it\n") != std::string::npos);
}

TEST_CASE("a job without credit waits for its client's user") {
  Asked asked;
  asked.broker.worker(2, 4);
  asked.broker.open(1, 1, 600);
  asked.broker.submit(1, 1, 0, 6);
  asked.broker.settle();
  asked.says("wait for room for their results: the client has not read what it has.");
}

TEST_CASE("the story forgets its oldest lines, and errors carry it") {
  p::Story story;
  const p::TimePoint now{1h};
  for (std::size_t i = 0; i < p::Story::kLinesMax + 10; ++i) {
    story.tell(now + i * 1ms, p::JobId{{1}, i % 2}, "line " + std::to_string(i));
  }
  const auto lines = story.lines(now + 10s);
  REQUIRE(lines.size() == p::Story::kLinesMax);
  CHECK(lines.front() == "9.9 s ago: line 10");
  CHECK(story.lines(now + 10s, p::JobId{{1}, 1}).size() == p::Story::kLinesMax / 2);
  CHECK(story.after("broken", now + 10s).starts_with("broken\n  9.9 s ago: line 10\n"));
  const std::string tail = story.tail(now + 10s, p::JobId{{1}, 1});
  CHECK(tail.starts_with(" (what came before: 9.4 s ago: line 513; "));
  CHECK(tail.ends_with("9.4 s ago: line 521)"));
  CHECK(p::Story().tail(now).empty());
  story.tell(now + 10s, std::string(5000, 'x'));
  CHECK(story.tail(now + 10s).size() < 400);
}
