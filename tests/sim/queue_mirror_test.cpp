// The mirror of the broker's queues sees what is handed out too early, whatever brought it back.
#include "tests/sim/queue_mirror.hpp"

#include "tests/support/catch.hpp"

using namespace achilles::sim;
using namespace achilles::broker;
namespace p = achilles::protocol;

namespace {

constexpr PeerId kClient{1};
constexpr PeerId kWorker{2};
constexpr PeerId kOther{3};
constexpr p::JobId kJob{{7}, 1};

p::Chunk chunk_at(p::ItemIndex first) {
  p::Chunk chunk;
  chunk.first = first;
  chunk.items.layout.count = 1;
  return chunk;
}

/// A job of two chunks, of which the worker has the first.
struct Begun {
  QueueMirror mirror;
  std::uint64_t sessions = 0;
  std::uint64_t attempts = 0;

  Begun() {
    for (const PeerId peer : {kClient, kWorker, kOther}) welcome(peer);
    CHECK_FALSE(mirror.fault().has_value());
    p::OpenJob open;
    open.job = kJob;
    says(kClient, open);
    says(kClient, p::Submit{kJob, {chunk_at(0), chunk_at(5)}});
    assign(kWorker, 0);
    REQUIRE_FALSE(mirror.fault().has_value());
  }
  void says(PeerId peer, p::Message message) {
    mirror.heard(MessageReceived{peer, std::move(message)});
  }
  void welcome(PeerId peer) {
    says(peer, p::Hello{});
    p::Welcome welcome;
    welcome.session = {++sessions};
    mirror.told(SendMessage{peer, welcome});
  }
  /// A second attempt has no allowance.
  void assign(PeerId worker, p::ItemIndex first, std::uint64_t allowance = 512) {
    mirror.told(SendMessage{worker, p::Assign{{{kJob, {++attempts}, allowance, chunk_at(first)}}}});
  }
};

}  // namespace

TEST_CASE("in order, nothing is wrong") {
  Begun begun;
  begun.assign(kOther, 5);
  CHECK_FALSE(begun.mirror.fault().has_value());
}

TEST_CASE("the chunk of a lost worker goes before later ones") {
  Begun begun;
  begun.mirror.told(ForgetPeer{kWorker});
  begun.assign(kOther, 5);
  CHECK(begun.mirror.fault().has_value());
}

TEST_CASE("the chunk that a worker returns goes before later ones") {
  Begun begun;
  begun.says(kWorker, p::Returned{{{1}}});
  begun.assign(kOther, 5);
  CHECK(begun.mirror.fault().has_value());
}

TEST_CASE("the chunk of a worker that comes back stays its own") {
  Begun begun;
  begun.welcome({4});
  begun.mirror.told(ForgetPeer{kWorker});
  begun.assign(kOther, 5);
  CHECK_FALSE(begun.mirror.fault().has_value());
}

TEST_CASE("the chunk of a lost worker that has a second attempt is not queued") {
  Begun begun;
  begun.assign(kOther, 0, 0);
  begun.mirror.told(ForgetPeer{kWorker});
  begun.assign(kOther, 5);
  CHECK_FALSE(begun.mirror.fault().has_value());
  begun.says(kOther, p::Returned{{{2}}});  // It was the first one by then.
  begun.assign(kOther, 6);
  CHECK(begun.mirror.fault().has_value());
}

TEST_CASE("a second attempt whose worker comes back may take a lost first one's place") {
  Begun begun;
  begun.assign(kOther, 0, 0);
  begun.welcome({4});
  begun.mirror.told(ForgetPeer{kOther});
  CHECK_FALSE(begun.mirror.fault().has_value());
  begun.mirror.told(ForgetPeer{kWorker});
  begun.assign({4}, 5);
  CHECK_FALSE(begun.mirror.fault().has_value());
}
