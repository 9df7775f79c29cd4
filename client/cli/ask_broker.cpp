#include "client/cli/ask_broker.hpp"

#include <algorithm>
#include <exception>
#include <optional>

#include "protocol/codec.hpp"
#include "protocol/transport/clock.hpp"
#include "protocol/transport/poll_loop.hpp"
#include "protocol/transport/socket.hpp"

namespace achilles::cli {
namespace {

constexpr std::chrono::milliseconds kPatience{1000};

using Answer = std::variant<protocol::Message, NoAnswer>;

std::optional<Answer> read(const protocol::Frames& frames, protocol::MessageType wanted,
                           const std::string& endpoint) {
  auto decoded = protocol::decode(frames);
  if (const auto* malformed = std::get_if<protocol::Malformed>(&decoded)) {
    return NoAnswer{"What answers at " + endpoint + " does not speak this version of achilles (" +
                    malformed->detail +
                    "): check the address, and that both sides have the same version."};
  }
  auto& message = std::get<protocol::Message>(decoded);
  if (protocol::type_of(message) == wanted) return std::move(message);
  if (const auto* rejected = std::get_if<protocol::Rejected>(&message)) {
    return NoAnswer{"The broker at " + endpoint + " refused the request: " + rejected->detail};
  }
  return std::nullopt;  // Anything else was not meant as an answer.
}

}  // namespace

Answer ask_broker(const std::string& endpoint, const protocol::Message& request,
                  std::chrono::milliseconds timeout, const std::function<void()>& on_waiting) {
  const auto wanted = std::holds_alternative<protocol::WhyRequest>(request)
                          ? protocol::MessageType::kWhyReply
                          : protocol::MessageType::kStatusReply;
  try {
    protocol::Context context;
    protocol::DealerSocket socket(context);
    socket.connect(endpoint);
    socket.send(protocol::encode(request));

    std::optional<Answer> answer;
    protocol::PollLoop loop;
    const auto watch = loop.watch(socket, [&] {
      while (!answer) {
        const auto frames = socket.receive();
        if (!frames) break;
        answer = read(*frames, wanted, endpoint);
      }
    });
    const auto begin = protocol::now();
    const auto end = begin + timeout;
    const auto wait_until = [&](protocol::TimePoint until) {
      while (!answer && protocol::now() < until) loop.run_once(until);
    };
    wait_until(std::min(end, begin + kPatience));
    if (!answer && protocol::now() < end) {
      on_waiting();
      wait_until(end);
    }
    loop.unwatch(watch);
    if (answer) return *answer;
  } catch (const std::exception& error) {
    return NoAnswer{error.what()};
  }
  return NoAnswer{
      "No broker answered at " + endpoint +
      ": check that achilles-broker runs there and that the address is the one it printed."};
}

}  // namespace achilles::cli
