#include "client/cli/ask_broker.hpp"

#include <chrono>
#include <string>
#include <thread>

#include "protocol/codec.hpp"
#include "protocol/transport/clock.hpp"
#include "protocol/transport/poll_loop.hpp"
#include "protocol/transport/socket.hpp"
#include "tests/support/catch.hpp"

using namespace achilles;
using namespace std::chrono_literals;

namespace {

/// Answers the first message it gets with `answer`, and ends.
class OneAnswerBroker {
 public:
  explicit OneAnswerBroker(protocol::Frames answer)
      : endpoint_(router_.bind("tcp://127.0.0.1:0")),
        thread_([this, frames = std::move(answer)] { serve(frames); }) {}
  ~OneAnswerBroker() { thread_.join(); }

  const std::string& endpoint() const { return endpoint_; }

 private:
  void serve(const protocol::Frames& answer) {
    protocol::PollLoop loop;
    bool answered = false;
    const auto watch = loop.watch(router_, [&] {
      if (const auto received = router_.receive()) {
        const auto decoded = protocol::decode(received->frames);
        const auto* message = std::get_if<protocol::Message>(&decoded);
        asked_ = message != nullptr && std::holds_alternative<protocol::StatusRequest>(*message);
        router_.send(received->peer, answer);
        answered = true;
      }
    });
    const auto deadline = protocol::now() + 60s;
    while (!answered && protocol::now() < deadline) loop.run_once(deadline);
    loop.unwatch(watch);
  }

  protocol::Context context_;
  protocol::RouterSocket router_{context_, {.linger = 5s}};
  std::string endpoint_;
  bool asked_ = false;
  std::thread thread_;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the broker's answer is handed over") {
  protocol::StatusReply reply;
  reply.host = "head";
  reply.workers.push_back({{1}, "n3", "node3", 4321, 8, 12, 340, 0, "ready"});
  OneAnswerBroker broker(protocol::encode(reply));
  const auto answer = cli::ask_broker(broker.endpoint(), protocol::StatusRequest{}, 30s, [] {});
  REQUIRE(std::holds_alternative<protocol::Message>(answer));
  CHECK(std::get<protocol::Message>(answer) == protocol::Message(reply));
}

TEST_CASE("a refusal is passed on") {
  OneAnswerBroker broker(protocol::encode(
      protocol::Rejected{protocol::RejectReason::kWrongVersion, "Speak version 9."}));
  const auto answer = cli::ask_broker(broker.endpoint(), protocol::StatusRequest{}, 30s, [] {});
  REQUIRE(std::holds_alternative<cli::NoAnswer>(answer));
  CHECK(contains(std::get<cli::NoAnswer>(answer).sentence, "Speak version 9."));
}

TEST_CASE("somebody else's server is told from a broker") {
  OneAnswerBroker broker({protocol::Bytes::copy("HTTP/1.1 400 Bad Request")});
  const auto answer = cli::ask_broker(broker.endpoint(), protocol::StatusRequest{}, 30s, [] {});
  REQUIRE(std::holds_alternative<cli::NoAnswer>(answer));
  CHECK(contains(std::get<cli::NoAnswer>(answer).sentence, "does not speak this version"));
}

TEST_CASE("a broker that is not there is waited for, once announced, and no longer than asked") {
  std::string endpoint;
  {
    protocol::Context context;
    protocol::RouterSocket router(context);
    endpoint = router.bind("tcp://127.0.0.1:0");
  }
  int announced = 0;
  const auto begin = protocol::now();
  const auto answer =
      cli::ask_broker(endpoint, protocol::StatusRequest{}, 1200ms, [&] { ++announced; });
  CHECK(protocol::now() - begin >= 1200ms);
  CHECK(announced == 1);
  REQUIRE(std::holds_alternative<cli::NoAnswer>(answer));
  CHECK(contains(std::get<cli::NoAnswer>(answer).sentence, "No broker answered at " + endpoint));
}
