// The conversation with the broker: sessions that begin, end and begin anew, and what of the jobs
// survives it.
#include "tests/client/core_harness.hpp"

using namespace achilles::client;
using namespace achilles::client::testing;

TEST_CASE("a client says who it is, and opens its jobs when it is welcome") {
  Harness client;
  client.connect();
  const auto hello = std::get<p::Hello>(std::get<SendToBroker>(client.commands.front()).message);
  CHECK(hello.role == p::Role::kClient);
  CHECK(hello.id == 7);
  CHECK(hello.name == "word_count");
  CHECK_FALSE(client.session.connected());
  client.commands.pop_front();
  client.open();
  client.none();
  client.commands.push_back(SendToBroker{hello});
  client.welcome();
  CHECK(client.take<Connected>().workers == 2);
  CHECK(client.sent<p::OpenJob>().job == job_id(1));
  CHECK(client.sent<p::ResultCredit>().wanted == 0U);
  CHECK(client.session.connected());
}

TEST_CASE("HELLO is said again each second, and only the answer to the last one counts") {
  Harness client;
  client.connect();
  const auto first = client.sent<p::Hello>();
  client.pass(999ms);
  client.none();
  client.pass(1ms);
  const auto second = client.sent<p::Hello>();
  CHECK(second.incarnation > first.incarnation);
  client.take<Note>();
  p::Welcome late;
  late.session = {1};
  late.incarnation = first.incarnation;
  client.broker(late);
  CHECK_FALSE(client.session.connected());
  late.incarnation = second.incarnation;
  client.broker(late);
  CHECK(client.session.connected());
  CHECK(client.sent<p::KeepJobs>().jobs.empty());
  client.take<Connected>();
  client.broker(late);  // A second copy changes nothing.
  client.none();
}

TEST_CASE("heartbeats fill the silence, and only the silence") {
  Harness client;
  client.in_session();
  client.open();
  client.pass(900ms);
  client.window(4);
  client.woken();
  client.chunk();
  client.chunk_sent(0);
  client.pass(999ms);
  client.none();
  client.pass(1ms);
  CHECK(client.sent<p::Heartbeat>().session == p::SessionId{client.sessions});
}

TEST_CASE("a broker that is silent for five heartbeats is lost") {
  Harness client;
  client.in_session();
  client.pass(4999ms);
  CHECK(client.drop<p::Heartbeat>() == 4);
  client.none();
  client.broker(p::Heartbeat{});  // Any sign of life.
  client.pass(4999ms);
  client.drop<p::Heartbeat>();
  client.none();
  client.pass(1ms);
  client.take<Reconnect>();
  CHECK(client.sent<p::Hello>().incarnation == 2);
  CHECK(client.take<Note>().text == "no answer yet; is achilles-broker running there?");
  CHECK_FALSE(client.session.connected());
}

TEST_CASE("a welcome to another session means that this one is lost") {
  Harness client;
  client.connect();
  p::Welcome welcome;
  welcome.boot = {5};
  welcome.session = {1};
  welcome.incarnation = client.sent<p::Hello>().incarnation;
  client.broker(welcome);
  client.commands.clear();
  client.broker(welcome);  // A copy of the same.
  client.none();
  welcome.boot = {6};
  client.broker(welcome);
  client.take<Reconnect>();
  CHECK_FALSE(client.session.connected());
}

TEST_CASE("a job that no worker is there for says so, until one comes") {
  Harness client;
  client.in_session();
  client.open();
  client.broker(p::JobWindow{job_id(1), 4, 1 << 20, 0});
  client.woken();
  client.pass(999ms);
  client.none();
  client.pass(1ms);
  client.drop<p::Heartbeat>();
  CHECK_THAT(client.take<Note>().text, Catch::Contains("no worker is there"));
  client.broker(p::Heartbeat{});
  client.pass(4s);
  client.drop<p::Heartbeat>();
  client.none();
  client.broker(p::Heartbeat{});
  client.pass(1s);
  client.drop<p::Heartbeat>();
  client.take<Note>();
  client.window(4);
  client.woken();
  client.pass(4s);
  CHECK(client.drop<p::Heartbeat>() == 4);
}

TEST_CASE("without jobs nobody asks for workers") {
  Harness client;
  client.in_session();
  client.open();
  client.broker(p::JobWindow{job_id(1), 4, 1 << 20, 0});
  client.woken();
  client.feed(JobClosed{job_id(1)});
  client.sent<p::CloseJob>();
  client.pass(4s);
  CHECK(client.drop<p::Heartbeat>() == 4);
}

TEST_CASE("a part of a message is a sign of life") {
  Harness client;
  client.in_session();
  for (int i = 0; i < 3; ++i) {
    client.pass(4999ms);
    client.drop<p::Heartbeat>();
    client.feed(BrokerHeard{});
  }
  CHECK(client.session.connected());
}

TEST_CASE("a client that is always called a little late still loses a silent broker") {
  Harness client;
  client.in_session();
  client.pass(7s, 1ms);
  client.drop<p::Heartbeat>();
  client.take<Reconnect>();
  client.drop<p::Hello>();
  client.commands.clear();
}

TEST_CASE("the client's own stall is not the broker's fault") {
  Harness client;
  client.in_session();
  client.now += 1min;
  client.expire();
  client.sent<p::Heartbeat>();
  client.none();
  client.broker(p::Heartbeat{});  // It was waiting in the socket.
  client.pass(4s);
  CHECK(client.drop<p::Heartbeat>() == 4);
}

TEST_CASE("after a stall a broker that is silent indeed is lost in time") {
  Harness client;
  client.in_session();
  client.now += 1min;
  client.expire();
  client.pass(6s);
  client.drop<p::Heartbeat>();
  client.take<Reconnect>();
  client.drop<p::Hello>();
  client.commands.clear();
}

TEST_CASE("a connection that leads nowhere is made anew although there is no session yet") {
  Harness client;
  client.connect();
  client.sent<p::Hello>();
  client.pass(4999ms);
  CHECK(client.drop<p::Hello>() == 4);
  client.take<Note>();
  client.none();
  client.pass(1ms);
  client.take<Reconnect>();
  client.sent<p::Hello>();
  client.none();
}

TEST_CASE("a restarted broker gets again what is missing, and nothing else") {
  Harness client;
  client.in_session();
  client.open(1, true, 4);
  client.window(64);
  client.woken();
  client.chunk(4);
  client.chunk_sent(0);
  client.chunk(4);
  client.chunk_sent(4);
  client.window(2);
  client.chunk(4);  // Never sent.
  client.results(5, 2);
  client.results(0, 4);
  CHECK(client.submitted() == Indices{8});
  client.woken();
  client.broker(p::Rejected{p::RejectReason::kUnknownSession, "say HELLO first"});
  client.take<Reconnect>();
  CHECK_FALSE(client.session.wants_input(job_id(1)));
  client.connect();
  client.welcome();
  CHECK(client.sent<p::OpenJob>().job == job_id(1));
  CHECK(client.sent<p::ResultCredit>().wanted == 0U);
  client.none();  // Nothing goes before the new window.
  client.window(64);
  const auto submit = client.sent<p::Submit>();
  REQUIRE(submit.chunks.size() == 3);
  CHECK(submit.chunks[0].first == 4);
  CHECK(submit.chunks[0].items.count() == 1);
  CHECK(submit.chunks[1].first == 7);
  CHECK(submit.chunks[1].items.count() == 1);
  CHECK(submit.chunks[2].first == 8);
  CHECK(submit.chunks[2].items.count() == 4);
  client.woken();
  // What had come before is still there, once.
  CHECK(client.taken() == 0);
  CHECK_FALSE(client.session.has_result(job_id(1)));
  client.results(4, 1);
  client.woken();
  CHECK(client.taken() == 4);
  CHECK(client.taken() == 5);
}

TEST_CASE("a restarted broker that takes less ends the jobs whose chunks are too large for it") {
  Harness client;
  client.in_session();
  client.open(1);
  client.open(2);
  CHECK(client.session.max_payload_bytes() == p::kMaxPayloadBytes);
  client.under_way(1, 2);
  client.window(64, 8 << 20);
  client.woken();
  client.chunk(1, 1, 3 << 20);
  client.chunk_sent(0);
  client.broker(p::Rejected{p::RejectReason::kUnknownSession, "say HELLO first"});
  client.take<Reconnect>();
  client.connect();
  p::Welcome welcome;
  welcome.session = {200};
  welcome.incarnation = client.sent<p::Hello>().incarnation;
  welcome.heartbeat_interval_ms = 1000;
  welcome.max_payload_bytes = 2 << 20;
  client.broker(welcome);
  CHECK(client.session.max_payload_bytes() == 2 << 20);
  client.sent<p::KeepJobs>();
  CHECK(client.sent<p::OpenJob>().job == job_id(1));
  client.woken();
  REQUIRE(client.session.failure(job_id(1)) != nullptr);
  CHECK(client.session.failure(job_id(1))->detail.find("3145728 bytes, at most 2097152") !=
        std::string::npos);
  CHECK(client.sent<p::OpenJob>().job == job_id(2));
  client.sent<p::ResultCredit>();
  client.window(64, 1 << 20, 2);
  CHECK(client.submitted() == Indices{0});
  CHECK(client.session.failure(job_id(2)) == nullptr);
  client.woken(2);
}

TEST_CASE("a broker that says goodbye, or is started again, is told HELLO over a new connection") {
  Harness client;
  client.in_session();
  client.broker(p::Bye{"maintenance"});
  client.sent<p::Bye>();  // Which the broker waits for.
  CHECK(client.take<Reconnect>().reason.find("maintenance") != std::string::npos);
  client.broker(p::Bye{"maintenance"});
  client.broker(p::Rejected{p::RejectReason::kUnknownSession, ""});
  client.none();  // What still comes from the former session changes nothing.
  client.connect();
  client.welcome();
  CHECK(client.session.connected());
}

TEST_CASE("between two sessions nothing is taken in and nothing sent") {
  Harness client;
  client.in_session();
  client.open();
  client.under_way(2);
  client.broker(p::Bye{});
  client.sent<p::Bye>();
  client.take<Reconnect>();
  client.results(0);
  client.window(100);
  client.chunk();
  client.waits();
  client.none();
  CHECK_FALSE(client.session.has_result(job_id(1)));
}

TEST_CASE("results of a closed job are ignored") {
  Harness client;
  client.in_session();
  client.open(1);
  client.open(2);
  client.under_way(2, 1);
  client.feed(JobClosed{job_id(1)});
  CHECK(client.sent<p::CloseJob>().job == job_id(1));
  client.results(0, 1, 8, 1);
  client.window(100, 1 << 20, 1);
  client.broker(p::JobFailed{job_id(1), {}});
  client.feed(ChunkClosed{job_id(1), items_of(1)});
  client.feed(ConsumerWaits{job_id(1)});
  client.feed(InputEnded{job_id(1)});
  client.feed(JobClosed{job_id(1)});
  client.none();
  CHECK(client.session.finished(job_id(1)));
  CHECK(client.session.has_jobs());
}

TEST_CASE("a job closed without a broker is not opened at the next one") {
  Harness client;
  client.connect();
  JobOpened opened;
  opened.spec.job = job_id(1);
  client.commands.clear();
  client.feed(opened);
  client.feed(JobClosed{job_id(1)});
  client.none();
  client.pass(1s);
  client.take<SendToBroker>();
  client.take<Note>();
  p::Welcome welcome;
  welcome.incarnation = 2;
  client.broker(welcome);
  CHECK(client.sent<p::KeepJobs>().jobs.empty());
  client.take<Connected>();
  client.none();
}

TEST_CASE("a job is finished when its input has ended and all results are taken") {
  Harness client;
  client.in_session();
  client.open();
  client.under_way(2);
  client.feed(InputEnded{job_id(1)});
  CHECK_FALSE(client.session.wants_input(job_id(1)));
  client.results(1);
  client.results(0);
  client.woken();
  CHECK(client.taken() == 0);
  CHECK_FALSE(client.session.finished(job_id(1)));
  CHECK(client.taken() == 1);
  CHECK(client.session.finished(job_id(1)));
}

TEST_CASE("a job that cannot run says why") {
  Harness client;
  client.in_session();
  client.open(1);
  client.open(2);
  p::ErrorRecord error;
  error.kind = p::ErrorKind::kProgramRefused;
  error.detail = "needs GLIBCXX_3.4.31";
  client.broker(p::JobFailed{job_id(1), error});
  client.woken(1);
  REQUIRE(client.session.failure(job_id(1)) != nullptr);
  CHECK(client.session.failure(job_id(1))->detail == "needs GLIBCXX_3.4.31");
  CHECK(client.session.failure(job_id(2)) == nullptr);
}

TEST_CASE("a refused client tells its jobs why, and goes on trying") {
  Harness client;
  client.connect();
  client.sent<p::Hello>();
  client.open();
  client.broker(p::Rejected{p::RejectReason::kWrongVersion, "version 9 is spoken here"});
  client.woken();
  REQUIRE(client.session.unreachable().has_value());
  CHECK(client.session.unreachable()->find("version 9") != std::string::npos);
  client.pass(1s);
  client.welcome();
  CHECK_FALSE(client.session.unreachable().has_value());
  client.take<Connected>();
  client.sent<p::OpenJob>();
  client.sent<p::ResultCredit>();
}

TEST_CASE("a rejected message is told to the user, and changes nothing") {
  Harness client;
  client.in_session();
  client.broker(p::Rejected{p::RejectReason::kOverLimit, "too much"});
  CHECK(client.take<Note>().text.find("too much") != std::string::npos);
  client.feed(BrokerMalformed{"bytes"});
  client.take<Note>();
  CHECK(client.session.connected());
}

TEST_CASE("without a broker jobs fail after connect_timeout, and live again when it is back") {
  Harness client;
  client.connect();
  client.open_later();
  client.pass(29'999ms);
  CHECK_FALSE(client.session.unreachable().has_value());
  client.commands.clear();
  client.pass(1ms);
  client.drop<p::Hello>();
  std::erase_if(client.commands,
                [](const Command& c) { return std::holds_alternative<Reconnect>(c); });
  client.woken();
  REQUIRE(client.session.unreachable().has_value());
  CHECK(client.session.unreachable()->find("30 s") != std::string::npos);
  client.commands.clear();
  client.pass(900ms);
  client.commands.clear();
  client.pass(200ms);
  client.welcome();
  client.take<Connected>();
  CHECK_FALSE(client.session.unreachable().has_value());
  client.sent<p::OpenJob>();
  client.sent<p::ResultCredit>();
}

TEST_CASE("connect_timeout begins anew when a broker that was there is lost") {
  Harness client;
  client.in_session();
  for (int i = 0; i < 60; ++i) {
    client.pass(1s);
    client.drop<p::Heartbeat>();
    client.broker(p::Heartbeat{});
  }
  client.broker(p::Bye{});
  client.commands.clear();
  client.connect();
  client.pass(29s);
  CHECK_FALSE(client.session.unreachable().has_value());
  client.pass(1s);
  CHECK(client.session.unreachable().has_value());
  client.commands.clear();
}

TEST_CASE("a client that was stopped does not count that time as the broker's absence") {
  Harness client;
  client.connect();
  client.pass(10s);
  client.now += 1h;
  client.expire();
  CHECK_FALSE(client.session.unreachable().has_value());
  client.pass(15s);
  CHECK_FALSE(client.session.unreachable().has_value());
  client.pass(6s);
  CHECK(client.session.unreachable().has_value());
  client.commands.clear();
}

TEST_CASE("with a connect_timeout of 0 jobs wait for ever") {
  auto options = options_with(1 << 20);
  options.connect_timeout = 0s;
  Harness client(options);
  client.connect();
  client.pass(24h);
  CHECK_FALSE(client.session.unreachable().has_value());
  client.commands.clear();
}

TEST_CASE("short heartbeat intervals do not lengthen connect_timeout") {
  Harness client;
  client.connect();
  const auto hello = client.sent<p::Hello>();
  p::Welcome welcome;
  welcome.incarnation = hello.incarnation;
  welcome.heartbeat_interval_ms = 10;
  client.broker(welcome);
  client.sent<p::KeepJobs>();
  client.take<Connected>();
  client.pass(100ms);
  client.pass(31s);
  CHECK(client.session.unreachable().has_value());
  client.commands.clear();
}

TEST_CASE("a worker's wish for the program is passed to the shell") {
  Harness client;
  client.in_session();
  client.broker(p::NeedProgram{{}, p::kPartBytes});
  CHECK(client.take<ServeProgram>().request.offset == p::kPartBytes);
}
