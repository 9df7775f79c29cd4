// Both ends of a connection with the broker: sessions, endings, and any mixture of messages.
#include "protocol/hop.hpp"

#include <algorithm>
#include <deque>
#include <random>
#include <set>

#include "protocol/concerns.hpp"
#include "tests/protocol/parts_support.hpp"

using namespace achilles::protocol;
using namespace achilles::protocol::parts;

namespace {

Hello hello(std::uint64_t incarnation) {
  Hello made;
  made.incarnation = incarnation;
  return made;
}
Welcome welcome(std::uint64_t incarnation, std::uint64_t session = 1) {
  Welcome made;
  made.session = {session};
  made.incarnation = incarnation;
  made.max_payload_bytes = kMaxPayloadBytes;
  return made;
}

/// A broker and a peer, and the two directions of their connection.
struct Pair {
  Hop broker{Hop::End::kBroker};
  Hop peer{Hop::End::kPeer};
  std::deque<Frames> to_broker;
  std::deque<Frames> to_peer;
  std::vector<Message> at_broker;
  std::vector<Message> at_peer;
  std::vector<Malformed> malformed;
  int heard = 0;

  void flush() {
    while (auto frames = broker.next()) to_peer.push_back(std::move(*frames));
    while (auto frames = peer.next()) to_broker.push_back(std::move(*frames));
  }
  bool deliver(Hop& hop, std::deque<Frames>& frames, std::vector<Message>& messages) {
    if (frames.empty()) return false;
    auto received = hop.receive(frames.front());
    frames.pop_front();
    if (auto* message = std::get_if<Message>(&received)) {
      messages.push_back(std::move(*message));
    } else if (auto* bad = std::get_if<Malformed>(&received)) {
      malformed.push_back(std::move(*bad));
    } else {
      ++heard;
    }
    flush();
    return true;
  }
  bool deliver_to_broker() { return deliver(broker, to_broker, at_broker); }
  bool deliver_to_peer() { return deliver(peer, to_peer, at_peer); }
  void deliver_all() {
    flush();
    while (deliver_to_broker() || deliver_to_peer()) {
    }
  }
  void meet(std::uint64_t incarnation = 1) {
    peer.send(hello(incarnation));
    deliver_all();
    broker.send(welcome(incarnation, incarnation));
    deliver_all();
    at_broker.clear();
    at_peer.clear();
  }
};

std::vector<std::string> names_of(const std::deque<Frames>& all) {
  std::vector<Message> messages;
  for (const auto& frames : all) messages.push_back(decoded(frames));
  return names(messages);
}

}  // namespace

TEST_CASE("a large message arrives as it was sent, in both directions") {
  Pair pair;
  pair.meet();
  const Message up = submit(kJob, 20 * kMiB);
  const Message down = Results{{result(kJob, 1, 20 * kMiB)}};
  pair.peer.send(up);
  pair.broker.send(down);
  pair.deliver_all();
  REQUIRE(pair.at_broker.size() == 1);
  CHECK(pair.at_broker[0] == up);
  REQUIRE(pair.at_peer.size() == 1);
  CHECK(pair.at_peer[0] == down);
  CHECK(pair.malformed.empty());
  CHECK(pair.heard > 160);  // Each part, and what was said of them.
}

TEST_CASE("outside of a session everything travels whole") {
  Pair pair;
  StatusReply reply;
  reply.workers.resize(20'000);
  for (auto& worker : reply.workers) worker.host = std::string(100, 'x');
  pair.broker.send(reply);
  pair.flush();
  CHECK(names_of(pair.to_peer) == Names{"STATUS_REPLY"});
  pair.deliver_all();
  CHECK(pair.at_peer.size() == 1);
}

TEST_CASE("parts of a peer without a session are answered as such, and cost nothing") {
  Pair pair;
  pair.meet();
  pair.peer.send(submit(kJob, 3 * kMiB));
  pair.flush();
  Hop restarted(Hop::End::kBroker);  // The peer was connected again, and does not know.
  for (const auto& frames : pair.to_broker) {
    const auto received = restarted.receive(frames);
    REQUIRE(std::holds_alternative<Malformed>(received));
    CHECK(std::get<Malformed>(received).reason == RejectReason::kUnknownSession);
  }
  CHECK_FALSE(restarted.next().has_value());
}

TEST_CASE("a new session begins with nothing of the last one, on either side") {
  Pair pair;
  pair.meet();
  pair.peer.send(submit(kJob, 3 * kMiB));
  pair.peer.send(submit(kJob, 5, 1));  // Waits.
  pair.broker.send(Results{{result(kOther, 1, 3 * kMiB)}});
  pair.flush();
  for (int i = 0; i < 3; ++i) pair.deliver_to_broker();
  for (int i = 0; i < 3; ++i) pair.deliver_to_peer();
  // Parts and acknowledgements are under way in both directions when the peer says HELLO.
  pair.peer.send(hello(2));
  pair.deliver_all();
  pair.broker.send(welcome(2, 2));
  pair.deliver_all();
  CHECK(names(pair.at_broker) == Names{"HELLO"});
  CHECK(names(pair.at_peer) == Names{"WELCOME"});
  CHECK(pair.malformed.empty());

  pair.peer.send(submit(kJob, 4 * kMiB));
  pair.broker.send(Results{{result(kOther, 1, 4 * kMiB)}});
  pair.deliver_all();
  CHECK(names(pair.at_broker) == Names{"HELLO", "SUBMIT"});
  CHECK(names(pair.at_peer) == Names{"WELCOME", "RESULTS"});
  CHECK(pair.malformed.empty());
}

TEST_CASE("the answer to an older HELLO opens nothing") {
  Pair pair;
  pair.peer.send(hello(1));
  pair.peer.send(hello(2));
  pair.deliver_all();
  pair.broker.send(welcome(1, 1));
  pair.broker.send(open_job(kJob, 3 * kMiB));  // In a session that the peer has given up.
  pair.deliver_all();
  CHECK(names(pair.at_peer) == Names{"WELCOME"});
  pair.broker.send(welcome(2, 2));
  pair.broker.send(open_job(kOther, 3 * kMiB));
  pair.deliver_all();
  CHECK(names(pair.at_peer) == Names{"WELCOME", "WELCOME", "OPEN_JOB"});
  CHECK(std::get<OpenJob>(pair.at_peer.back()).job == kOther);
  CHECK(pair.malformed.empty());
}

TEST_CASE("the same WELCOME once more disturbs nothing") {
  Pair pair;
  pair.meet();
  pair.peer.send(submit(kJob, 5 * kMiB));
  pair.flush();
  pair.deliver_to_broker();
  pair.broker.send(welcome(1, 1));
  pair.deliver_all();
  CHECK(names(pair.at_broker) == Names{"SUBMIT"});
  CHECK(pair.malformed.empty());
}

TEST_CASE("a BYE does not wait, but a drained worker's comes when its results were taken") {
  Pair pair;
  pair.meet();
  SECTION("a client's") {
    pair.peer.send(submit(kJob, 30 * kMiB));
    pair.peer.send(CloseJob{kOther});
    pair.flush();
    pair.peer.send(Bye{"closed"});
    pair.deliver_all();
    CHECK(names(pair.at_broker) == Names{"CLOSE_JOB", "BYE"});
  }
  SECTION("the broker's, and the answer") {
    pair.broker.send(Results{{result(kJob, 1, 30 * kMiB)}});
    pair.peer.send(Results{{result(kJob, 1, 30 * kMiB)}});
    pair.flush();
    pair.broker.send(Bye{"stops"});
    pair.flush();
    while (pair.at_peer.empty()) REQUIRE(pair.deliver_to_peer());
    pair.peer.send(Bye{"the broker leaves"});
    CHECK_FALSE(pair.peer.holds_bye());
    pair.deliver_all();
    CHECK(names(pair.at_broker) == Names{"BYE"});
  }
  SECTION("a drained worker's") {
    pair.peer.send(Results{{result(kJob, 1, 30 * kMiB)}});
    pair.peer.send(Bye{"drained"});
    CHECK(pair.peer.holds_bye());
    pair.deliver_all();
    CHECK(names(pair.at_broker) == Names{"RESULTS", "BYE"});
    CHECK_FALSE(pair.peer.holds_bye());
  }
  SECTION("a worker's that was told to stop at once") {
    pair.peer.send(Results{{result(kJob, 1, 30 * kMiB)}});
    pair.flush();
    pair.peer.drop_unsent();
    pair.peer.send(Bye{"stopped"});
    pair.deliver_all();
    CHECK(names(pair.at_broker) == Names{"BYE"});
  }
}

TEST_CASE("a job that is over takes back what is on its way, in both directions") {
  Pair pair;
  pair.meet();
  pair.peer.send(submit(kJob, 30 * kMiB));
  pair.broker.send(Results{{result(kJob, 1, 30 * kMiB)}});
  pair.flush();
  pair.deliver_to_broker();
  pair.deliver_to_peer();
  SECTION("the client closes it") {
    pair.peer.send(CloseJob{kJob});
    pair.deliver_all();
    CHECK(names(pair.at_broker) == Names{"CLOSE_JOB"});
    CHECK(pair.at_peer.empty());
  }
  SECTION("the broker fails it") {
    pair.broker.send(JobFailed{kJob, {}});
    pair.deliver_all();
    CHECK(pair.at_broker.empty());
    CHECK(names(pair.at_peer) == Names{"JOB_FAILED"});
  }
  CHECK(pair.malformed.empty());
  CHECK(pair.heard < 60);  // Of 240 parts.
  CHECK(pair.peer.unsent_bytes() == 0);
  CHECK(pair.broker.unsent_bytes() == 0);
}

TEST_CASE("parts in parts, and parts that are no message, are refused") {
  Pair pair;
  pair.meet();
  const auto receive = [&](const Frames& frames) { return pair.broker.receive(frames); };
  const auto receive_part = [&](std::uint64_t stream, const Frames& frames) {
    return receive(encode(Part{stream, {frames[0].size()}, 0, frames[0]}));
  };
  const auto nested = receive_part(1, encode(PartsTaken{0}));
  CHECK_THAT(std::get<Malformed>(nested).detail, Catch::Matchers::Contains("parts within parts"));
  const auto nothing = receive_part(2, {Bytes::copy("no message")});
  CHECK(std::get<Malformed>(nothing).reason == RejectReason::kMalformed);
  CHECK(std::get<Message>(receive_part(3, encode(Heartbeat{{1}}))) == Message(Heartbeat{{1}}));
  CHECK(std::holds_alternative<Malformed>(receive(encode(PartsTaken{1}))));
  CHECK(std::holds_alternative<Malformed>(receive(encode(PartsDropped{9}))));
}

namespace {

/// Messages with a serial number that survives: attempts, credits.
struct Draw {
  std::mt19937_64 random;
  std::uint64_t below(std::uint64_t bound) { return random() % bound; }
  std::uint64_t size() { return below(3) == 0 ? kMiB + below(4 * kMiB) : below(5000); }
  JobId job() { return {{7}, 1 + below(4)}; }
};

}  // namespace

TEST_CASE("any mixture of messages arrives once, and in order where it matters") {
  const auto seed = GENERATE(range(1U, 21U));
  INFO("seed " << seed);
  Draw draw{std::mt19937_64(seed)};
  Pair pair;
  pair.meet();
  std::uint64_t attempt = 0;
  std::vector<Message> sent;
  std::uint64_t chunks = 0;
  for (int i = 0; i < 150; ++i) {
    Message message;
    switch (draw.below(4)) {
      case 0:
        message = Assign{{assignment(draw.job(), ++attempt, draw.size())}};
        ++chunks;
        break;
      case 1: {
        Assign batch;
        for (std::uint64_t n = draw.below(5) + 1; n > 0; --n) {
          batch.chunks.push_back(assignment(draw.job(), ++attempt, draw.below(100)));
        }
        chunks += batch.chunks.size();
        message = batch;
        break;
      }
      case 2:
        message = Grant{{1 + draw.below(attempt + 1)}};
        break;
      default:
        message = open_job(draw.job(), draw.size());
    }
    sent.push_back(message);
    pair.broker.send(message);
    pair.flush();
    for (std::uint64_t n = draw.below(20); n > 0; --n) {
      draw.below(2) == 0 ? pair.deliver_to_broker() : pair.deliver_to_peer();
    }
  }
  pair.deliver_all();
  REQUIRE(pair.malformed.empty());
  CHECK(pair.broker.unsent_bytes() == 0);

  /// Of each job and attempt, what came of it in which order; a batch counts chunk by chunk.
  const auto stories = [](const std::vector<Message>& messages) {
    std::map<Concern, std::vector<std::string>> all;
    for (const auto& message : messages) {
      if (const auto* assign = std::get_if<Assign>(&message)) {
        for (const auto& chunk : assign->chunks) {
          const std::string what = "attempt " + std::to_string(chunk.attempt.value);
          all[chunk.job].push_back(what);
          all[chunk.attempt].push_back(what);
        }
        continue;
      }
      for (const auto& concern : concerns_of(message)) all[concern].push_back(describe(message));
    }
    return all;
  };
  CHECK((stories(pair.at_peer) == stories(sent)));
}
