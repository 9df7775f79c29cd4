// The receiving side of a connection: what is put together, and what is refused.
#include "protocol/inbox.hpp"

#include "tests/protocol/parts_support.hpp"

using namespace achilles::protocol;
using namespace achilles::protocol::parts;

namespace {

struct Receiver {
  Inbox inbox;
  explicit Receiver(std::uint64_t message_bytes_max = 10 * kMiB) { inbox.begin(message_bytes_max); }

  /// It is taken, and the message is not whole yet.
  void takes(const Part& part) {
    const auto taken = inbox.take(part);
    if (const auto* malformed = std::get_if<Malformed>(&taken)) FAIL(malformed->detail);
    CHECK(std::holds_alternative<std::monostate>(taken));
  }
  Frames completes(const Part& part) {
    auto taken = inbox.take(part);
    if (const auto* malformed = std::get_if<Malformed>(&taken)) FAIL(malformed->detail);
    REQUIRE(std::holds_alternative<Frames>(taken));
    return std::get<Frames>(std::move(taken));
  }
  void refuses(const Part& part, RejectReason reason, const std::string& words) {
    const auto taken = inbox.take(part);
    REQUIRE(std::holds_alternative<Malformed>(taken));
    const auto& malformed = std::get<Malformed>(taken);
    CHECK(malformed.reason == reason);
    CHECK_THAT(malformed.detail, Catch::Matchers::Contains(words));
    CHECK_THAT(malformed.detail, Catch::Matchers::StartsWith("PART: stream "));
  }
};

Part first(std::uint64_t stream, std::vector<std::uint64_t> frame_sizes, std::uint64_t size) {
  return {stream, std::move(frame_sizes), 0, filled(size)};
}
Part next(std::uint64_t stream, std::uint64_t offset, std::uint64_t size) {
  return {stream, {}, offset, filled(size, 2)};
}

using enum RejectReason;

}  // namespace

TEST_CASE("parts become the frames they were made of, however they were cut") {
  Receiver receiver;
  receiver.takes(first(1, {3, 0, 7}, 2));
  receiver.takes(next(1, 2, 4));
  CHECK(receiver.inbox.held_bytes() == 6);
  const auto frames = receiver.completes(next(1, 6, 4));
  REQUIRE(frames.size() == 3);
  CHECK(frames[0] == Bytes::copy(std::string_view("\1\1\2")));
  CHECK(frames[1].empty());
  CHECK(frames[2] == filled(7, 2));
  CHECK(receiver.inbox.held_bytes() == 0);
  CHECK(receiver.inbox.stream_count() == 0);
  CHECK(receiver.inbox.total_bytes() == 10);
}

TEST_CASE("one part may be all of it, and streams may be mixed") {
  Receiver receiver;
  CHECK(receiver.completes(first(1, {5}, 5)) == Frames{filled(5)});
  receiver.takes(first(2, {10}, 5));
  receiver.takes(first(3, {6}, 5));
  CHECK(receiver.completes(next(3, 5, 1)).size() == 1);
  CHECK(receiver.completes(next(2, 5, 5)).size() == 1);
}

TEST_CASE("memory is taken for what has arrived, not for what was announced") {
  Receiver receiver(max_message_bytes(0));
  for (std::uint64_t stream = 1; stream <= 2; ++stream) {
    receiver.takes(first(stream, {1 << 30}, 10));
  }
  CHECK(receiver.inbox.held_bytes() == 20);
}

TEST_CASE("parts of no stream are refused") {
  Receiver receiver;
  receiver.refuses(next(1, 5, 5), kOutOfOrder, "not begun");
  receiver.refuses(first(0, {5}, 5), kOutOfOrder, "is over");
  receiver.refuses(first(2, {5}, 5), kOutOfOrder, "the next one to begin is 1");
  CHECK(receiver.completes(first(1, {5}, 5)).size() == 1);
  receiver.refuses(first(1, {5}, 5), kOutOfOrder, "is over");
  receiver.refuses(next(1, 5, 1), kOutOfOrder, "is over");
  CHECK(receiver.inbox.total_bytes() == 5 * 5 + 1);  // They were read, all the same.
  CHECK(receiver.inbox.stream_count() == 0);
}

TEST_CASE("a part that is not the next one of its stream is refused, and the stream with it") {
  Receiver receiver;
  receiver.takes(first(1, {20}, 5));
  SECTION("a gap") {
    receiver.refuses(next(1, 6, 5), kOutOfOrder, "a part at byte 6, where 5 is next");
  }
  SECTION("an overlap") {
    receiver.refuses(next(1, 4, 5), kOutOfOrder, "a part at byte 4, where 5 is next");
  }
  SECTION("a second beginning") {
    receiver.refuses(first(1, {20}, 5), kOutOfOrder, "begun before");
  }
  SECTION("no bytes") {
    receiver.refuses(next(1, 5, 0), kMalformed, "empty");
  }
  SECTION("beyond the end") {
    receiver.refuses(next(1, 5, 16), kMalformed, "1 byte beyond the end");
    CHECK(receiver.inbox.stream_count() == 0);
    return;
  }
  CHECK(receiver.inbox.held_bytes() == 0);
  receiver.takes(next(1, 10, 5));  // The rest comes, and goes.
  receiver.takes(next(1, 15, 15));
  CHECK(receiver.inbox.stream_count() == 0);
  CHECK(receiver.completes(first(2, {5}, 5)).size() == 1);
}

TEST_CASE("a stream of nothing, and a first part that begins later, are refused") {
  Receiver receiver;
  receiver.refuses(first(1, {0, 0}, 0), kMalformed, "empty");
  receiver.refuses(first(2, {0}, 1), kMalformed, "1 byte beyond the end");
  receiver.refuses({3, {10}, 5, filled(5)}, kOutOfOrder, "a part at byte 5, where 0 is next");
  CHECK(receiver.inbox.held_bytes() == 0);
}

TEST_CASE("a message above the limit is refused once, and its other parts take nothing") {
  Receiver receiver(100);
  const auto size = GENERATE(std::vector<std::uint64_t>{101}, std::vector<std::uint64_t>{60, 41},
                             std::vector<std::uint64_t>{UINT64_MAX, UINT64_MAX, 7});
  receiver.refuses(first(1, size, 50), kOverLimit, "at most 100 are allowed");
  receiver.takes(next(1, 50, 50));
  CHECK(receiver.inbox.held_bytes() == 0);
  CHECK(receiver.completes(first(2, {100}, 100)).size() == 1);
}

TEST_CASE("too many frames, streams or bytes are refused") {
  Receiver receiver(100);
  receiver.refuses(first(1, std::vector<std::uint64_t>(kMaxFrames + 1, 0), 1), kOverLimit,
                   "65537 frames");
  SECTION("bytes") {
    receiver.takes(first(2, {100}, 1));
    receiver.takes(first(3, {99}, 1));
    receiver.refuses(first(4, {2}, 1), kOverLimit, "half-received messages of 201 bytes");
    receiver.takes(next(4, 1, 1));
    CHECK(receiver.completes(next(2, 1, 99)).size() == 1);
    CHECK(receiver.completes(first(5, {100}, 100)).size() == 1);
  }
  SECTION("streams") {
    std::uint64_t stream = 2;
    for (; stream <= kMaxStreams + 1; ++stream) receiver.takes(first(stream, {2}, 1));
    receiver.refuses(first(stream, {2}, 1), kOverLimit, "8 messages are half received");
    CHECK(receiver.completes(next(2, 1, 1)).size() == 1);
    receiver.takes(first(stream, {2}, 1));
  }
}

TEST_CASE("a stream that will not come to its end is forgotten") {
  Receiver receiver;
  receiver.takes(first(1, {20}, 5));
  CHECK_FALSE(receiver.inbox.drop({1}).has_value());
  CHECK(receiver.inbox.held_bytes() == 0);
  receiver.refuses(next(1, 5, 5), kOutOfOrder, "is over");
  CHECK(receiver.inbox.drop({1}).value().reason == kOutOfOrder);
  CHECK(receiver.inbox.drop({2}).has_value());
}
