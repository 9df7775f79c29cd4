#include "protocol/transport/broker_question.hpp"

#include <chrono>
#include <variant>

#include "protocol/codec.hpp"
#include "protocol/version.hpp"

namespace achilles::protocol {
namespace {

/// How long the farewell may stay behind.
constexpr std::chrono::milliseconds kLinger{200};

}  // namespace

BrokerQuestion::BrokerQuestion(Context& context, std::size_t broker, const std::string& endpoint)
    : broker_(broker), socket_(context) {
  socket_.connect(endpoint);
  Hello hello;
  hello.role = Role::kObserver;
  hello.incarnation = 1;
  hello.library_version = std::string(kLibraryVersion);
  socket_.send(encode(hello));
}

BrokerQuestion::~BrokerQuestion() {
  if (!answered_) return;
  socket_.set_linger(kLinger);
  socket_.send(encode(Bye{"it only asked whether a broker is there"}));
}

bool BrokerQuestion::answered() {
  socket_.poll_prepare();  // The HELLO goes out once the connection is there.
  while (auto frames = socket_.receive()) {
    auto decoded = decode(*frames);
    const auto* message = std::get_if<Message>(&decoded);
    answered_ = answered_ || (message != nullptr && std::holds_alternative<Welcome>(*message));
  }
  return answered_;
}

}  // namespace achilles::protocol
