// HELLO, ids, rejections, status.
#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;
using p::RejectReason;

TEST_CASE("HELLO is answered by WELCOME with a growing session") {
  SchedulerOptions options;
  options.boot = {77};
  options.heartbeat_interval = 250ms;
  Broker broker(options);
  const auto first = broker.hello(1, p::Role::kClient, 5);
  CHECK(first.boot == p::BootId{77});
  CHECK(first.heartbeat_interval_ms == 250);
  CHECK(first.incarnation == 1);
  CHECK(first.workers == 0);
  broker.worker(2, 3);
  const auto second = broker.hello(3, p::Role::kObserver, 0);
  CHECK(second.session > first.session);
  CHECK(second.workers == 1);
  CHECK(second.slots == 3);
}

TEST_CASE("a message before HELLO is rejected as an unknown session") {
  Broker broker;
  broker.send(1, p::CloseJob{{{1}, 1}});
  CHECK(broker.expect<p::Rejected>(1).reason == RejectReason::kUnknownSession);
  broker.send(1, p::Heartbeat{{4}});
  CHECK(broker.expect<p::Rejected>(1).reason == RejectReason::kUnknownSession);
  broker.client(1);
  broker.open(1, 1);
  broker.settle();
  CHECK(broker.quiet());
}

TEST_CASE("a HELLO that is sent twice is answered twice with the same session") {
  Broker broker;
  const auto first = broker.hello(1, p::Role::kClient, 5, 3);
  CHECK(broker.hello(1, p::Role::kClient, 5, 3).session == first.session);
}

TEST_CASE("a HELLO with a lower incarnation is rejected") {
  Broker broker;
  broker.hello(1, p::Role::kClient, 5, 3);
  broker.send(1, p::Hello{p::Role::kClient, 5, 2, {}, {}, 0, {}});
  CHECK(broker.expect<p::Rejected>(1).reason == RejectReason::kOutOfOrder);
}

TEST_CASE("two processes with one id: the second is rejected while the first is alive") {
  Broker broker;
  broker.worker(2);
  broker.send(3, p::Hello{p::Role::kWorker, 2, 1, {}, {}, 0, {}});
  CHECK(broker.expect<p::Rejected>(3).reason == RejectReason::kDuplicateId);
  CHECK_FALSE(broker.forgotten(2));
  // A client's id is no worker's.
  broker.hello(4, p::Role::kClient, 2);
}

TEST_CASE("messages that the role may not send are rejected and counted") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.hello(3, p::Role::kObserver, 3);
  broker.send(1, p::Results{});
  broker.send(2, p::Submit{{{2}, 1}, {}});
  broker.send(3, p::OpenJob{});
  broker.send(1, p::Welcome{});
  CHECK(broker.expect<p::Rejected>(1).reason == RejectReason::kOutOfOrder);
  CHECK(broker.expect<p::Rejected>(1).reason == RejectReason::kOutOfOrder);
  CHECK(broker.expect<p::Rejected>(2).reason == RejectReason::kOutOfOrder);
  CHECK(broker.expect<p::Rejected>(3).reason == RejectReason::kOutOfOrder);
  broker.send(3, p::StatusRequest{});
  CHECK(broker.expect<p::StatusReply>(3).rejected_messages == 4);
}

TEST_CASE("malformed bytes harm nobody but their sender") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.open(1, 1);
  broker.event(MessageMalformed{{66}, RejectReason::kWrongVersion, std::string(100'000, 'x')});
  const auto rejected = broker.expect<p::Rejected>(66);
  CHECK(rejected.reason == RejectReason::kWrongVersion);
  CHECK(rejected.detail.size() < 2000);
  broker.event(MessageMalformed{{2}, RejectReason::kMalformed, "rubbish"});
  broker.expect<p::Rejected>(2);
  broker.submit(1, 1, 0);
  broker.settle();
  CHECK(broker.assigned(2).size() == 1);
}

TEST_CASE("a REJECTED is never answered") {
  Broker broker;
  broker.client(1);
  broker.send(1, p::Rejected{});
  broker.send(5, p::Rejected{});
  CHECK(broker.quiet());
}

TEST_CASE("workers are told how large results may be, and never more than the broker takes") {
  SchedulerOptions options;
  options.max_payload_bytes = 5 << 20;
  Broker broker(options);
  CHECK(broker.hello(1, p::Role::kClient, 1).max_payload_bytes == 5 << 20);
  broker.worker(2);
  const auto told = [&](std::uint64_t number, std::uint64_t asked) {
    p::OpenJob open;
    open.job = {{1}, number};
    open.max_payload_bytes = asked;
    broker.send(1, open);
    broker.expect<p::JobWindow>(1);
    broker.send(1, p::ResultCredit{open.job, 1 << 20, std::nullopt});
    broker.submit(1, number, 0);
    broker.settle();
    const auto opened = broker.expect<p::OpenJob>(2);
    broker.discard(2);
    broker.send(1, p::CloseJob{open.job});
    broker.expect<p::CloseJob>(2);
    return opened.max_payload_bytes;
  };
  CHECK(told(1, 0) == 5 << 20);
  CHECK(told(2, 6 << 20) == 5 << 20);
  CHECK(told(3, 4 << 20) == 4 << 20);
}

TEST_CASE("another client's job is out of reach") {
  Broker broker;
  broker.client(1);
  broker.client(3);
  broker.open(1, 1);
  p::OpenJob open;
  open.job = {{1}, 2};
  broker.send(3, open);
  broker.submit(3, 1, 0);
  broker.send(3, p::Submit{{{1}, 1}, {{0, items_of(1)}}});
  broker.send(3, p::CloseJob{{{1}, 1}});
  broker.send(3, p::ResultCredit{{{1}, 1}, 5, std::nullopt});
  CHECK(broker.inbox(3).size() == 5);
  CHECK_FALSE(broker.scheduler().idle());
}

TEST_CASE("the status needs no HELLO, and strangers are forgotten in time") {
  SchedulerOptions options;
  options.host = "pc7";
  options.pid = 12;
  Broker broker(options);
  broker.client(1);
  broker.worker(2, 4);
  broker.open(1, 1);
  broker.submit(1, 1, 0, 3, 10);
  broker.settle();
  const auto work = broker.assigned(2);
  broker.finish(2, work[0]);
  broker.settle();
  broker.send(9, p::StatusRequest{});
  const auto status = broker.expect<p::StatusReply>(9);
  CHECK(status.host == "pc7");
  CHECK(status.clients == 1);
  REQUIRE(status.workers.size() == 1);
  CHECK(status.workers[0].slots == 4);
  CHECK(status.workers[0].running_chunks == 2);
  CHECK(status.workers[0].done_chunks == 1);
  CHECK(status.workers[0].state == "ready");
  REQUIRE(status.jobs.size() == 1);
  CHECK(status.jobs[0].done_items == 10);
  CHECK(status.jobs[0].running_items == 20);
  CHECK(status.jobs[0].client == "n1@pc:7");
  broker.pass(6 * kInterval);
  CHECK(broker.forgotten(9));
}

TEST_CASE("endless names do not make a message that cannot be sent") {
  Broker broker;
  const std::string name(60'000, 'n');
  broker.send(2, p::Hello{p::Role::kWorker, 2, 1, name, name, 0, {}});
  broker.expect<p::Welcome>(2);
  broker.send(3, p::Hello{p::Role::kWorker, 2, 1, {}, {}, 0, {}});
  broker.expect<p::Rejected>(3);
  broker.send(3, p::StatusRequest{});
  broker.expect<p::StatusReply>(3);
}

TEST_CASE("a broker that leaves says BYE to all that said HELLO, and waits for their answers") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.client(3);
  broker.send(9, p::StatusRequest{});
  broker.discard_all();
  broker.farewell();
  for (const int peer : {1, 2, 3}) broker.expect<p::Bye>(peer);
  CHECK(broker.quiet());
  // They make new connections at once, and are not heard over those.
  broker.send(1, p::Bye{});
  broker.send(11, p::Hello{p::Role::kClient, 1, 2, "n", "pc", 7, "0.1.0"});
  broker.event(PeerUnreachable{{2}});
  CHECK_FALSE(broker.scheduler().left(broker.now()));
  broker.send(3, p::Heartbeat{});
  CHECK_FALSE(broker.scheduler().left(broker.now()));
  broker.send(3, p::Bye{});
  CHECK(broker.scheduler().left(broker.now()));
  CHECK(broker.quiet());
}

TEST_CASE("a broker that leaves does not wait for ever for a peer that says nothing") {
  Broker broker;
  broker.client(1);
  broker.farewell();
  const auto deadline = broker.scheduler().next_deadline();
  REQUIRE(deadline == broker.now() + SchedulerOptions{}.farewell_max);
  CHECK_FALSE(broker.scheduler().left(broker.now()));
  CHECK(broker.scheduler().left(*deadline));
}
