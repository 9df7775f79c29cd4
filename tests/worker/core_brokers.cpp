// The worker's core with several brokers to choose from.
#include "tests/worker/core_harness.hpp"

using namespace achilles;
using namespace achilles::worker;
using namespace achilles::worker::testing;

namespace {

AgentOptions with_brokers(std::size_t brokers) {
  AgentOptions options = options_with(1);
  options.brokers = brokers;
  return options;
}

/// The broker of the one Reconnect among the commands, which are all taken.
std::size_t reconnected(Harness& h) {
  std::size_t broker = SIZE_MAX;
  for (const auto& command : h.commands) {
    const auto* reconnect = std::get_if<Reconnect>(&command);
    if (reconnect != nullptr) broker = reconnect->broker;
  }
  h.commands.clear();
  return broker;
}

}  // namespace

TEST_CASE("a worker tries one broker after another, for three intervals each") {
  Harness h(with_brokers(2));
  for (const std::size_t next : {1, 0, 1}) {
    h.connect();
    h.pass(2999ms);
    CHECK(reconnected(h) == SIZE_MAX);
    h.pass(1ms);
    CHECK(reconnected(h) == next);
  }
}

TEST_CASE("a worker whose broker falls silent tells the next one what it holds, and comes back") {
  Harness h(with_brokers(2));
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.ready(a);
  h.told<protocol::OpenJob>(a);
  CHECK(h.given(a) == Numbers{1});
  h.pass(5s);
  CHECK(reconnected(h) == 1);
  h.connect();
  h.welcome();
  h.sent<protocol::WorkerState>();
  CHECK(h.sent<protocol::Holding>().attempts.size() == 1);
  h.pass(2s);
  std::erase_if(h.commands,
                [](const Command& c) { return std::holds_alternative<SendToBroker>(c); });
  CHECK(h.take<AskWhetherThere>().broker == 0);
  h.feed(BrokerThere{0});
  CHECK(reconnected(h) == 0);
  h.connect();
  h.welcome();
  h.sent<protocol::WorkerState>();
  CHECK(h.sent<protocol::Holding>().attempts.size() == 1);
  h.pass(4s);
  for (const auto& command : h.commands) {
    CHECK_FALSE(std::holds_alternative<AskWhetherThere>(command));
  }
  h.commands.clear();
}

TEST_CASE("a worker whose later broker was started again asks nobody until it knows it") {
  Harness h(with_brokers(2));
  h.connect();
  h.pass(3s);
  CHECK(reconnected(h) == 1);
  h.connect();
  h.welcome();
  h.commands.clear();
  h.broker(protocol::Rejected{protocol::RejectReason::kUnknownSession, "who?"});
  h.commands.clear();
  h.now += 2500ms;
  h.expire();
  h.commands.clear();
  CHECK(h.agent.next_deadline() > h.now);
}

TEST_CASE("a worker that drains goes to no other broker") {
  Harness h(with_brokers(2));
  h.in_session();
  h.open(1, 1);
  h.assign({assignment(1, 1)});
  const TaskId a = h.started();
  h.ready(a);
  h.commands.clear();
  h.settle();
  h.commands.clear();
  h.feed(DrainRequested{});
  h.commands.clear();
  h.feed(BrokerThere{0});
  h.none();
  h.pass(6s);
  CHECK(reconnected(h) == SIZE_MAX);
}
