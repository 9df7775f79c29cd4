// The client's core with several brokers to choose from.
#include "tests/client/core_harness.hpp"

using namespace achilles::client;
using namespace achilles::client::testing;

namespace {

SessionOptions with_brokers(std::size_t brokers) {
  SessionOptions options = options_with(8ULL << 20);
  options.brokers = brokers;
  options.connect_timeout = 0s;
  return options;
}

/// Its Reconnect, with the HELLO to the next broker, unanswered.
std::size_t reconnected(Harness& client) {
  client.drop<p::Heartbeat>();
  const auto broker = client.take<Reconnect>().broker;
  client.drop<p::Hello>();
  client.commands.clear();
  return broker;
}

}  // namespace

TEST_CASE("a client tries one broker after another, for three seconds each") {
  Harness client(with_brokers(3));
  client.connect();
  client.commands.clear();
  for (const std::size_t next : {1, 2, 0, 1}) {
    client.pass(2999ms);
    for (const auto& command : client.commands) {
      CHECK_FALSE(std::holds_alternative<Reconnect>(command));
    }
    client.commands.clear();
    client.pass(1ms);
    CHECK(reconnected(client) == next);
  }
}

TEST_CASE("a client whose broker falls silent submits again to the next one") {
  Harness client(with_brokers(2));
  client.in_session();
  client.open(1, true, 2);
  client.broker(p::JobWindow{job_id(1), 4, 1 << 20, 2});
  client.commands.clear();
  client.feed(ChunkClosed{job_id(1), items_of(2)});
  CHECK(client.submitted() == Indices{0});
  client.pass(5s);
  client.drop<p::Heartbeat>();
  CHECK(client.take<Reconnect>().broker == 1);
  std::erase_if(client.commands, [](const Command& c) { return std::holds_alternative<Note>(c); });
  client.welcome();
  CHECK(client.sent<p::OpenJob>().resubmits == 1);
  client.commands.clear();
  client.broker(p::JobWindow{job_id(1), 4, 1 << 20, 2});
  CHECK(client.submitted() == Indices{0});
  client.commands.clear();

  // Back to the first one when that answers.
  client.pass(2s);
  client.drop<p::Heartbeat>();
  CHECK(client.take<AskWhetherThere>().broker == 0);
  client.none();
  client.feed(BrokerThere{0});
  CHECK(client.take<Reconnect>().broker == 0);
  client.feed(BrokerThere{0});  // It has left already.
  client.none();
  client.connect();
  client.sent<p::Hello>();
}

TEST_CASE("a broker that says goodbye is left for another") {
  Harness client(with_brokers(2));
  client.in_session();
  client.broker(p::Bye{"maintenance"});
  client.sent<p::Bye>();
  CHECK(client.take<Reconnect>().broker == 1);
}

TEST_CASE("a broker that was started again is the same choice") {
  Harness client(with_brokers(2));
  client.in_session();
  client.broker(p::Rejected{p::RejectReason::kUnknownSession, "who?"});
  CHECK(client.take<Reconnect>().broker == 0);
}
