#include "broker/broker_shell.hpp"

#include <csignal>
#include <utility>
#include <variant>

#include "protocol/transport/clock.hpp"

namespace achilles::broker {

namespace {

constexpr int kMessagesPerTurn = 256;
/// How long BYEs that nobody answered may delay the end.
constexpr std::chrono::milliseconds kFarewellLinger{500};

}  // namespace

BrokerShell::BrokerShell(protocol::Context& context, ShellOptions options, Log log)
    : options_(std::move(options)),
      log_(std::move(log)),
      scheduler_(options_.scheduler, protocol::now()),
      socket_(context, options_.socket) {}

BrokerShell::~BrokerShell() = default;

std::string BrokerShell::bind(const std::string& endpoint) {
  return socket_.bind(endpoint);
}

void BrokerShell::run(protocol::SignalWatcher* signals) {
  const auto socket_watch = loop_.watch(socket_, [this] { receive(); });
  std::optional<protocol::PollLoop::WatchId> signal_watch;
  if (signals != nullptr) {
    signal_watch = loop_.watch(signals->fd(), {}, [this, signals](bool, bool) {
      while (const auto signal = signals->take()) {
        farewell_reason_ = std::string("the broker was told to stop by ") +
                           (*signal == SIGINT ? "SIGINT" : "SIGTERM");
        loop_.stop();
      }
    });
  }
  loop_.run([this] { return scheduler_.next_deadline(); }, [this] { turn(); });
  farewell();
  while (!scheduler_.left(protocol::now())) {
    loop_.run_once(scheduler_.next_deadline());
    turn();
  }
  log_({Note::Level::kInfo, "The end: " + farewell_reason_ + "."});
  if (signal_watch) loop_.unwatch(*signal_watch);
  loop_.unwatch(socket_watch);
}

void BrokerShell::receive() {
  std::vector<PeerId> heard;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    auto received = socket_.receive();
    if (!received) break;
    const PeerId peer{received->peer};
    hear(peer, received->frames);
    if (heard.empty() || heard.back() != peer) heard.push_back(peer);
  }
  for (const PeerId peer : heard) flush(peer);  // What it took makes room, what it sent is taken.
}

void BrokerShell::hear(PeerId peer, const protocol::Frames& frames) {
  auto received = hop_of(peer).receive(frames);
  if (auto* message = std::get_if<protocol::Message>(&received)) {
    step(MessageReceived{peer, std::move(*message)});
  } else if (auto* malformed = std::get_if<protocol::Malformed>(&received)) {
    step(MessageMalformed{peer, malformed->reason, std::move(malformed->detail)});
  } else {
    step(PeerHeard{peer});
  }
}

void BrokerShell::turn() {
  for (const auto peer : socket_.take_lost()) lost_.push_back({peer});
  report_lost();
  Commands commands;
  const auto now = protocol::now();
  if (const auto due = scheduler_.next_deadline(); due && *due <= now) {
    scheduler_.expire(now, commands);
  }
  scheduler_.settle(now, commands);
  execute(commands);
  // What was learnt while sending frees chunks that others may have at once.
  while (!lost_.empty()) {
    report_lost();
    Commands more;
    scheduler_.settle(protocol::now(), more);
    execute(more);
  }
}

void BrokerShell::step(Event event) {
  Commands commands;
  scheduler_.step(protocol::now(), std::move(event), commands);
  execute(commands);
}

void BrokerShell::report_lost() {
  while (!lost_.empty()) {
    for (const PeerId peer : std::exchange(lost_, {})) {
      hops_.erase(peer.value);
      step(PeerUnreachable{peer});
    }
  }
}

void BrokerShell::execute(Commands& commands) {
  for (auto& command : commands) {
    if (const auto* message = std::get_if<SendMessage>(&command)) {
      hop_of(message->peer).send(message->message);
      flush(message->peer);
    } else if (const auto* forget = std::get_if<ForgetPeer>(&command)) {
      socket_.forget(forget->peer.value);
      hops_.erase(forget->peer.value);
    } else {
      log_(std::get<Note>(command));
    }
  }
}

protocol::Hop& BrokerShell::hop_of(PeerId peer) {
  return hops_.try_emplace(peer.value, protocol::Hop::End::kBroker).first->second;
}

void BrokerShell::flush(PeerId peer) {
  const auto hop = hops_.find(peer.value);
  if (hop == hops_.end()) return;  // Forgotten meanwhile.
  while (auto frames = hop->second.next()) {
    if (!send(peer, std::move(*frames))) return;
  }
}

bool BrokerShell::send(PeerId peer, protocol::Frames frames) {
  const auto result = socket_.send(peer.value, std::move(frames));
  const bool unread = result == protocol::SendResult::kQueued &&
                      socket_.unsent_bytes(peer.value) > options_.unsent_bytes_max;
  if (!unread) return result != protocol::SendResult::kUnreachable;  // The socket will tell it.
  log_({Note::Level::kWarning, "Peer " + std::to_string(peer.value) +
                                   " does not read what is sent to it (" +
                                   std::to_string(options_.unsent_bytes_max >> 20) +
                                   " MiB wait for it): its connection is given up."});
  socket_.forget(peer.value);
  lost_.push_back(peer);
  return false;
}

void BrokerShell::farewell() {
  Commands commands;
  scheduler_.farewell(protocol::now(), farewell_reason_, commands);
  execute(commands);
  socket_.set_linger(kFarewellLinger);
}

}  // namespace achilles::broker
