// A question to a broker that is there, by one who only looks at it from time to time.
#include "protocol/transport/broker_question.hpp"

#include <chrono>
#include <functional>
#include <thread>
#include <variant>

#include "protocol/codec.hpp"
#include "protocol/transport/clock.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::protocol;

namespace {

bool within_patience(const std::function<bool()>& holds) {
  const TimePoint deadline = now() + std::chrono::seconds(30);
  while (!holds() && now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return holds();
}

/// Answers every HELLO that has come.
void answer(RouterSocket& broker) {
  broker.poll_prepare();
  while (auto received = broker.receive()) {
    const auto message = decode(received->frames);
    if (!std::holds_alternative<Message>(message)) continue;
    if (const auto* hello = std::get_if<Hello>(&std::get<Message>(message))) {
      CHECK(hello->role == Role::kObserver);
      Welcome welcome;
      welcome.incarnation = hello->incarnation;
      broker.send(received->peer, encode(welcome));
    }
  }
}

}  // namespace

TEST_CASE("a broker that is there answers, though nobody polls the question's socket") {
  Context context;
  RouterSocket broker(context);
  const auto endpoint = broker.bind("tcp://127.0.0.1:0");
  BrokerQuestion question(context, 7, endpoint);
  CHECK(question.broker() == 7);
  CHECK(within_patience([&] {
    answer(broker);
    return question.answered();
  }));
}
