// Heartbeats, silence, and the broker's own stalls.
#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {
std::size_t heartbeats(Broker& broker, std::uint64_t peer) {
  std::size_t count = 0;
  for (const auto& m : broker.inbox(peer)) count += std::holds_alternative<p::Heartbeat>(m) ? 1 : 0;
  return count;
}
}  // namespace

TEST_CASE("heartbeats are sent when nothing else was") {
  Broker broker;
  const auto welcome = broker.hello(1, p::Role::kClient, 1);
  broker.pass(999ms);
  CHECK(broker.quiet());
  broker.pass(1ms);
  CHECK(broker.expect<p::Heartbeat>(1).session == welcome.session);
  broker.send(1, p::Heartbeat{welcome.session});
  broker.pass(500ms);
  broker.send(1, p::StatusRequest{});
  broker.expect<p::StatusReply>(1);
  broker.pass(999ms);
  CHECK(broker.quiet());
  broker.pass(1ms);
  broker.expect<p::Heartbeat>(1);
}

TEST_CASE("a spurious expire does nothing") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  for (int i = 0; i < 10; ++i) broker.expire();
  CHECK(broker.quiet());
}

TEST_CASE("a silent worker is suspect at three intervals, gets nothing, and is lost at five") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.open(1, 1);
  const auto live = [&](p::Duration time) {
    broker.send(1, p::Heartbeat{});
    broker.pass(time);
    broker.send(1, p::Heartbeat{});
  };
  const auto state = [&] {
    broker.send(9, p::StatusRequest{});
    const auto status = broker.expect<p::StatusReply>(9);
    return status.workers.empty() ? "gone" : status.workers[0].state;
  };
  live(2999ms);
  CHECK(state() == "ready");
  live(1ms);
  CHECK(state() == "suspect");
  broker.submit(1, 1, 0);
  broker.settle();
  CHECK(broker.assigned(2).empty());
  SECTION("a sign of life makes it well again") {
    broker.send(2, p::Heartbeat{});
    CHECK(state() == "ready");
    broker.settle();
    CHECK(broker.assigned(2).size() == 1);
    live(2999ms);
    CHECK(state() == "ready");
  }
  SECTION("silence does not") {
    live(1999ms);
    CHECK(state() == "suspect");
    live(1ms);
    CHECK(state() == "gone");
    CHECK(broker.forgotten(2));
  }
}

TEST_CASE("any message is a sign of life") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  for (int i = 0; i < 10; ++i) {
    broker.pass(2 * kInterval);
    broker.send(1, p::StatusRequest{});
    broker.send(2, p::Results{});
  }
  CHECK_FALSE(broker.forgotten(1));
  CHECK_FALSE(broker.forgotten(2));
}

TEST_CASE("a part of a message is a sign of life") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  for (int i = 0; i < 10; ++i) {
    broker.pass(4 * kInterval);
    broker.event(PeerHeard{{1}});
    broker.event(PeerHeard{{2}});
  }
  CHECK_FALSE(broker.forgotten(1));
  CHECK_FALSE(broker.forgotten(2));
  broker.pass(5 * kInterval);
  CHECK(broker.forgotten(1));
  CHECK(broker.forgotten(2));
}

TEST_CASE("after a stall of its own the broker judges nobody by that time") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.pass(2 * kInterval);
  SECTION("the timers come first") {
    broker.stall(60s);
    broker.expire();
    CHECK_FALSE(broker.forgotten(2));
  }
  SECTION("one peer's message comes first") {
    broker.stall(60s);
    broker.send(1, p::Heartbeat{});
    broker.expire();
    CHECK_FALSE(broker.forgotten(2));
  }
  // Its lease runs on from there: two of five intervals had passed.
  broker.send(1, p::Heartbeat{});
  broker.pass(2999ms);
  CHECK_FALSE(broker.forgotten(2));
  broker.send(1, p::Heartbeat{});
  broker.pass(1ms);
  CHECK(broker.forgotten(2));
  CHECK_FALSE(broker.forgotten(1));
}

TEST_CASE("an idle broker without peers has no deadline, and long silence is no stall") {
  Broker broker;
  CHECK_FALSE(broker.scheduler().next_deadline());
  broker.stall(1000s);
  broker.worker(2);
  broker.pass(4999ms);
  CHECK(heartbeats(broker, 2) == 4);
  CHECK_FALSE(broker.forgotten(2));
  broker.pass(1ms);
  CHECK(broker.forgotten(2));
}

TEST_CASE("a peer that is unreachable is gone at once; a second report changes nothing") {
  Broker broker;
  broker.worker(2);
  broker.event(PeerUnreachable{{2}});
  CHECK(broker.forgotten(2));
  broker.event(PeerUnreachable{{2}});
  broker.event(PeerUnreachable{{99}});
  CHECK_FALSE(broker.scheduler().next_deadline());
}
