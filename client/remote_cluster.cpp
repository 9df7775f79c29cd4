#include "client/remote_cluster.hpp"

#include <chrono>
#include <utility>

#include "protocol/limits.hpp"

namespace achilles::client {

using protocol::TimePoint;

namespace {

constexpr auto kLastWordsMax = std::chrono::milliseconds(500);
constexpr auto kGoodbyeMax = std::chrono::milliseconds(1000);
constexpr protocol::Duration kRetryAfter = std::chrono::milliseconds(5);
constexpr protocol::Duration kQuestionEvery = std::chrono::milliseconds(100);
/// Messages taken in at a time, so that the user gets results meanwhile.
constexpr int kMessagesPerTurn = 256;

}  // namespace

RemoteCluster::RemoteCluster(std::vector<std::string> endpoints,
                             std::shared_ptr<const OwnProgram> program)
    : endpoints_(std::move(endpoints)), program_(std::move(program)) {
  connect(0);
}

RemoteCluster::~RemoteCluster() {
  socket_->set_linger(kGoodbyeMax);
  hop_.drop_unsent();  // Nobody wants it any more, and the BYE would wait behind it.
  send(protocol::Bye{"the Pool is closed"});
}

void RemoteCluster::connect(std::size_t broker) {
  question_.reset();
  broker_ = broker;
  // The answer to a BYE is still to go out; nothing waits for it here.
  if (socket_) socket_->set_linger(kLastWordsMax);
  socket_ = std::make_unique<protocol::DealerSocket>(context_);
  socket_->connect(endpoints_.at(broker));
  hop_ = protocol::Hop(protocol::Hop::End::kPeer);
}

void RemoteCluster::send(const protocol::Message& message) {
  hop_.send(message);
  flush();
}

void RemoteCluster::flush() {
  while (auto frames = hop_.next()) socket_->send(std::move(*frames));
}

void RemoteCluster::carry_out(SendToBroker command) {
  send(command.message);
}

void RemoteCluster::carry_out(Reconnect command) {
  connect(command.broker);
}

void RemoteCluster::carry_out(AskWhetherThere command) {
  question_.emplace(context_, command.broker, endpoints_.at(command.broker));
}

void RemoteCluster::carry_out(ServeProgram command) {
  const auto& request = command.request;
  if (request.program != program_->id() || request.offset >= program_->size()) return;
  send(protocol::ProgramPart{request.program, program_->size(), request.offset,
                             program_->read(request.offset, protocol::kPartBytes)});
}

void RemoteCluster::turn(TimePoint now, std::vector<Event>& events) {
  last_turn_ = now;
  for (int received = 0; received < kMessagesPerTurn; ++received) {
    const auto frames = socket_->receive();
    if (!frames) break;
    auto heard = hop_.receive(*frames);
    if (auto* message = std::get_if<protocol::Message>(&heard)) {
      events.push_back(BrokerMessage{std::move(*message)});
    } else if (auto* malformed = std::get_if<protocol::Malformed>(&heard)) {
      events.push_back(BrokerMalformed{std::move(malformed->detail)});
    } else {
      events.push_back(BrokerHeard{});
    }
  }
  flush();  // What it took makes room, what it sent is taken.
  if (question_ && question_->answered()) {
    events.push_back(BrokerThere{question_->broker()});
    question_.reset();
  }
  more_to_receive_ = socket_->poll_prepare();
}

std::optional<TimePoint> RemoteCluster::next_deadline() const {
  if (more_to_receive_) return TimePoint{};  // At once.
  if (socket_->wants_retry()) return last_turn_ + kRetryAfter;
  // Its descriptor is not polled: it is there for a moment, while the first broker is away.
  if (question_) return last_turn_ + kQuestionEvery;
  return std::nullopt;
}

}  // namespace achilles::client
