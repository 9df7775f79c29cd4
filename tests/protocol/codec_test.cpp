// Messages to frames and back: every type, every border, and whatever bytes a peer may send.
#include "protocol/codec.hpp"

#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "protocol/limits.hpp"
#include "protocol/version.hpp"
#include "protocol/wire.hpp"
#include "tests/protocol/samples.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::protocol;

namespace {

Bytes bytes_of(std::vector<unsigned> values) {
  std::vector<std::byte> bytes;
  for (const auto value : values) bytes.push_back(static_cast<std::byte>(value));
  return Bytes::own(std::move(bytes));
}

/// A frame 0 of this type with these fields' bytes, or whatever else they are.
Bytes header_of(MessageType type, std::vector<unsigned> fields) {
  std::vector<unsigned> all = {'A', 'C', 'H', 'L', kProtocolVersion, static_cast<unsigned>(type)};
  all.insert(all.end(), fields.begin(), fields.end());
  return bytes_of(std::move(all));
}

Malformed refusal_of(const Frames& frames) {
  auto decoded = decode(frames);
  REQUIRE(std::holds_alternative<Malformed>(decoded));
  return std::get<Malformed>(decoded);
}

Malformed refusal_of(MessageType type, std::vector<unsigned> fields) {
  return refusal_of({header_of(type, std::move(fields))});
}

Message message_of(const Frames& frames) {
  auto decoded = decode(frames);
  if (const auto* bad = std::get_if<Malformed>(&decoded)) FAIL(bad->detail);
  return std::get<Message>(std::move(decoded));
}

/// Whatever the bytes are: a reason in words, or a message that encodes to the same bytes again.
void check_total(const Frames& frames) {
  const auto decoded = decode(frames);
  if (const auto* bad = std::get_if<Malformed>(&decoded)) {
    if (bad->detail.empty()) FAIL("a refusal without words");
  } else if (encode(std::get<Message>(decoded)) != frames) {
    FAIL("two encodings of one message");
  }
}

std::vector<std::byte> copy_of(const Bytes& bytes) {
  return {bytes.span().begin(), bytes.span().end()};
}

}  // namespace

TEST_CASE("every message type survives the round trip, whatever its contents") {
  const unsigned seed = 20'240'607;
  std::mt19937_64 random(seed);
  for (std::size_t type = 0; type < std::variant_size_v<Message>; ++type) {
    for (int round = 0; round < 60; ++round) {
      const std::size_t size = round < 20 ? 3 : round < 50 ? 12 : 60;
      const Message message = samples::random_message(random, type, size);
      const Frames frames = encode(message);
      INFO("seed " << seed << ", " << name_of(type_of(message)) << ", round " << round);
      CHECK(message_of(frames) == message);
      REQUIRE(frames[0].text().substr(0, 4) == "ACHL");
    }
  }
}

TEST_CASE("the samples cover every message type and every type has a name of its own") {
  std::set<MessageType> types;
  for (const auto& sample : samples::golden()) types.insert(type_of(sample.message));
  CHECK(types.size() == std::variant_size_v<Message>);
  std::set<std::string_view> names;
  for (const auto type : types) names.insert(name_of(type));
  CHECK(names.size() == types.size());
  CHECK(names.count("UNKNOWN") == 0);
}

TEST_CASE("every truncation of a sample is refused") {
  for (const auto& sample : samples::golden()) {
    const Frames frames = encode(sample.message);
    INFO(sample.name);
    for (std::size_t size = 0; size < frames[0].size(); ++size) {
      Frames cut = frames;
      cut[0] = frames[0].slice(0, size);
      if (!std::holds_alternative<Malformed>(decode(cut))) FAIL("accepted at " << size << " bytes");
    }
    for (std::size_t count = 0; count < frames.size(); ++count) {
      CHECK(std::holds_alternative<Malformed>(decode(std::span(frames).first(count))));
    }
  }
}

TEST_CASE("every single-byte change of a sample is refused or means another message") {
  for (const auto& sample : samples::golden()) {
    INFO(sample.name);
    const Frames frames = encode(sample.message);
    // Past some hundred bytes it is payload only.
    const std::size_t end = std::min<std::size_t>(frames[0].size(), 600);
    for (std::size_t at = 0; at < end; ++at) {
      for (unsigned value = 0; value < 256; ++value) {
        auto bytes = copy_of(frames[0]);
        if (bytes[at] == static_cast<std::byte>(value)) continue;
        bytes[at] = static_cast<std::byte>(value);
        Frames changed = frames;
        changed[0] = Bytes::own(std::move(bytes));
        const auto decoded = decode(changed);
        if (const auto* message = std::get_if<Message>(&decoded)) {
          if (*message == sample.message) FAIL("byte " << at << " means nothing");
        }
        check_total(changed);
      }
    }
  }
}

TEST_CASE("random bytes after a valid start do no harm") {
  std::mt19937_64 random(7);
  const auto all = samples::golden();
  for (int round = 0; round < 30'000; ++round) {
    const MessageType type = type_of(all[random() % all.size()].message);
    std::vector<unsigned> fields(random() % 60);
    // Small numbers get further than large ones.
    for (auto& byte : fields) byte = random() % 4 == 0 ? random() % 256 : random() % 8;
    check_total({header_of(type, std::move(fields))});
  }
}

TEST_CASE("trailing bytes and surplus frames are refused") {
  for (const auto& sample : samples::golden()) {
    Frames frames = encode(sample.message);
    frames.push_back(Bytes{});
    CHECK(refusal_of(frames).detail.ends_with("1 frame too many"));
    frames.pop_back();
    auto bytes = copy_of(frames[0]);
    bytes.push_back(std::byte{0});
    frames[0] = Bytes::own(std::move(bytes));
    CHECK(refusal_of(frames).detail.ends_with("1 byte too many"));
  }
}

TEST_CASE("what is no message is told from a message of another version") {
  CHECK(refusal_of(Frames{}).reason == RejectReason::kMalformed);
  CHECK(refusal_of({Bytes::copy("")}).reason == RejectReason::kMalformed);
  CHECK(refusal_of({Bytes::copy("GET / HTTP/1.1")}).detail ==
        "These bytes are no message of achilles.");
  CHECK(refusal_of({header_of(static_cast<MessageType>(200), {})}).detail ==
        "There is no message of type 200.");

  auto bytes = copy_of(encode(StatusRequest{})[0]);
  bytes[4] = static_cast<std::byte>(kProtocolVersion + 1);
  bytes[5] = std::byte{250};  // Whatever the other version means by it.
  const Malformed other = refusal_of({Bytes::own(std::move(bytes))});
  CHECK(other.reason == RejectReason::kWrongVersion);
  CHECK(other.detail.find("version 2") != std::string::npos);
  CHECK(other.detail.find("version 1") != std::string::npos);
}

TEST_CASE("a refusal names the message, the field and what is wrong") {
  Submit submit;
  submit.job = {{1}, 2};
  for (unsigned i = 0; i < 5; ++i)
    submit.chunks.push_back({i, {{2, 20, {}}, Bytes::copy(std::string(40, 'x'))}});
  const Frames frames = encode(submit);
  const Bytes cut = frames[0].slice(0, frames[0].size() - 56);
  CHECK(refusal_of({cut}).detail == "SUBMIT: chunks[3].items: 12 bytes missing");
}

TEST_CASE("numbers: one encoding each, in range") {
  // JOB_WINDOW's slots is of 32 bits.
  const std::vector<unsigned> job(9, 1);
  const auto window_with = [&](std::vector<unsigned> tail) {
    std::vector<unsigned> fields = job;
    fields.insert(fields.end(), tail.begin(), tail.end());
    return refusal_of(MessageType::kJobWindow, fields).detail;
  };
  CHECK(window_with({0, 0, 0x80, 0x80, 0x80, 0x80, 0x10}) ==
        "JOB_WINDOW: slots: 4294967296 does not fit 32 bits");
  CHECK(window_with({0x80, 0x00, 0, 0}) ==
        "JOB_WINDOW: chunks: a number that is longer than it need be");
  CHECK(window_with({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0}) ==
        "JOB_WINDOW: chunks: a number of more than 64 bits");
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, std::uint64_t{1} << 63,
        std::numeric_limits<std::uint64_t>::max()}) {
    const Message message = JobWindow{{{value}, value}, value, value, 0};
    CHECK(message_of(encode(message)) == message);
  }
}

TEST_CASE("truth values and enumerations outside their range are refused") {
  CHECK(refusal_of(MessageType::kWorkerState, {1, 1, 1, 2}).detail ==
        "WORKER_STATE: draining: the value 2, above the last known one, 1");
  CHECK(refusal_of(MessageType::kRejected, {6, 0}).detail ==
        "REJECTED: reason: the value 6, above the last known one, 5");
  CHECK(refusal_of(MessageType::kHello, {3}).detail ==
        "HELLO: role: the value 3, above the last known one, 2");
}

TEST_CASE("a count beyond the bytes at hand is refused before anything is allocated") {
  // 2^56 chunks, sizes of 2^22 items, a text: all announced in a few bytes.
  const std::vector<unsigned> huge = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
  CHECK(refusal_of(MessageType::kResults, huge).detail ==
        "RESULTS: chunks: 72057594037927936 entries announced, where 0 bytes are left");
  std::vector<unsigned> submit(9, 1);
  submit.insert(submit.end(), {1, 0, 0x80, 0x80, 0x80, 0x04});
  CHECK(refusal_of(MessageType::kSubmit, submit).detail ==
        "SUBMIT: chunks[0].items: 4194304 bytes missing");
  CHECK(refusal_of(MessageType::kBye, {0x80, 0x80, 0x04}).detail ==
        "BYE: reason: 65536 bytes missing");
}

TEST_CASE("limits hold at the border and are refused beyond it") {
  const std::string text(kMaxTextBytes, 'x');
  const Message bye = Bye{text};
  CHECK(message_of(encode(bye)) == bye);
  CHECK(refusal_of(MessageType::kBye, {0x81, 0x80, 0x04}).reason == RejectReason::kOverLimit);

  Submit submit{{{1}, 1}, {{0, {{kMaxItemsPerChunk, 0, {}}, {}}}}};
  CHECK(message_of(encode(submit)) == Message(submit));
  std::vector<unsigned> more(9, 1);
  more.insert(more.end(), {1, 0, 0x83, 0x80, 0x80, 0x04, 0, 0});
  CHECK(refusal_of(MessageType::kSubmit, more).reason == RejectReason::kOverLimit);

  // A payload of kMaxPayloadBytes + 1, announced only.
  std::vector<unsigned> large(9, 1);
  large.insert(large.end(), {1, 0, 3, 0, 0x83, 0x80, 0x80, 0x80, 0x08});
  const Malformed refusal = refusal_of(MessageType::kSubmit, large);
  CHECK(refusal.reason == RejectReason::kOverLimit);
  CHECK(refusal.detail ==
        "SUBMIT: chunks[0].items: 1073741825 bytes, above the limit of 1073741824");

  Frames frames = encode(StatusRequest{});
  frames.resize(kMaxFrames + 1);
  CHECK(refusal_of(frames).reason == RejectReason::kOverLimit);
  const Bytes huge = Bytes::own(std::vector<std::byte>(kMaxHeaderBytes + 1));
  CHECK(refusal_of({huge}).reason == RejectReason::kOverLimit);
}

TEST_CASE("layouts whose sum is not the payload's size are refused, overflow or not") {
  const std::vector<unsigned> job(9, 1);
  const auto submit_with = [&](std::vector<unsigned> items) {
    std::vector<unsigned> fields = job;
    fields.insert(fields.end(), {1, 0});
    fields.insert(fields.end(), items.begin(), items.end());
    return refusal_of(MessageType::kSubmit, fields).detail;
  };
  // 2^22 items of 2^32-1 bytes each and nothing.
  CHECK(submit_with({0x81, 0x80, 0x80, 0x04, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}) ==
        "SUBMIT: chunks[0].items: a payload of 0 bytes, where the layout says 18014398505287680");
  CHECK(submit_with({2 << 1, 1, 1, 3 << 1, 1, 2, 3}) ==
        "SUBMIT: chunks[0].items: a payload of 3 bytes, where the layout says 2");
  CHECK(submit_with({0, 0, 0, 0, 0, 0}) ==
        "SUBMIT: chunks[0].items: no items, yet a list of sizes");
}

TEST_CASE("small bytes lie inside frame 0, larger ones are frames of their own, none is copied") {
  for (const std::size_t size : {Bytes::kInsideMax + 1, std::size_t{kInlineBytes},
                                 std::size_t{kInlineBytes + 1}, std::size_t{100'000}}) {
    const Bytes context = Bytes::copy(std::string(size, 'c'));
    const Frames frames = encode(OpenJob{{}, {}, {}, context, "", 0});
    REQUIRE(frames.size() == (size > kInlineBytes ? 2 : 1));
    if (size > kInlineBytes) CHECK(frames[1].data() == context.data());

    const Message decoded = message_of(frames);
    const Bytes& received = std::get<OpenJob>(decoded).context;
    CHECK(received == context);
    const Bytes& holder = size > kInlineBytes ? frames[1] : frames[0];
    CHECK(received.data() >= holder.data());
    CHECK(received.data() + size <= holder.data() + holder.size());
  }
}

TEST_CASE("decoded bytes outlive their frame: a few are copied, others keep its memory") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, Bytes::kInsideMax,
                                 Bytes::kInsideMax + 1, std::size_t{100'000}}) {
    const std::string text(size, 'x');
    Message message;
    {
      const Frames frames = encode(ProgramPart{{}, 1'000'000, 0, Bytes::copy(text)});
      message = message_of(frames);
    }
    CHECK(std::get<ProgramPart>(message).bytes.text() == text);
  }
}

TEST_CASE("Bytes of all sizes may be copied, moved and cut") {
  const auto alive = std::make_shared<std::string>(100, 'a');
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, Bytes::kInsideMax,
                                 Bytes::kInsideMax + 1, std::size_t{100}}) {
    const bool inside = size <= Bytes::kInsideMax;
    const std::string text(size, 'a');
    Bytes bytes(std::as_bytes(std::span(alive->data(), size)), alive);
    CHECK(alive.use_count() == (inside ? 1 : 2));
    Bytes copy = bytes;
    Bytes moved = std::move(bytes);
    CHECK(copy.text() == text);
    CHECK(moved.text() == text);
    CHECK(alive.use_count() == (inside ? 1 : 3));
    copy = Bytes::copy("other bytes, of which there are more than fit inside");
    CHECK(alive.use_count() == (inside ? 1 : 2));
    copy = moved;
    CHECK(copy == moved);
    moved = Bytes();
    CHECK(moved.empty());
    CHECK(copy.slice(size / 3, size / 2).text() == text.substr(size / 3, size / 2));
    moved = std::move(copy);
    moved = static_cast<const Bytes&>(moved);
    CHECK(moved.text() == text);
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("bytes in the wrong place or with another size than announced are refused") {
  Frames frames = encode(OpenJob{{}, {}, {}, Bytes::copy(std::string(5000, 'c')), "", 0});
  Frames shorter = frames;
  shorter[1] = frames[1].slice(0, 4999);
  CHECK(refusal_of(shorter).detail ==
        "OPEN_JOB: context: its frame has 4999 bytes, not the announced 5000");
  frames.pop_back();
  CHECK(refusal_of(frames).detail == "OPEN_JOB: context: its frame is missing");
  std::vector<unsigned> external_small(9 + 32 + 2, 0);
  external_small.insert(external_small.end(), {3, 0, 0});
  CHECK(refusal_of({header_of(MessageType::kOpenJob, external_small), Bytes::copy("x")}).detail ==
        "OPEN_JOB: context: 1 byte in a frame of its own, where the limit of frame 0 is 4096");
}

TEST_CASE("errors of a chunk's items must be its own, in order, and without a value") {
  const auto result_with = [](std::vector<ItemIndex> indices, Items items) {
    // Encoded by hand: our own encoder refuses to.
    Writer out;
    out.raw(kMagic);
    out.u8(kProtocolVersion);
    out.u8(static_cast<std::uint8_t>(MessageType::kResults));
    out.varint(1);
    for (int i = 0; i < 9; ++i) out.u8(1);
    out.varint(5);    // attempt
    out.varint(100);  // first
    out.varint(0);    // busy_ns
    if (items.layout.uniform()) {
      out.varint(items.count() << 1 | 1);
      out.varint(items.layout.stride);
    } else {
      out.varint(items.count() << 1);
      for (const auto size : items.layout.sizes) out.varint(size);
    }
    out.varint(items.payload.size() << 1);
    out.raw(items.payload.span());
    out.varint(indices.size());
    for (const auto index : indices) {
      out.varint(index);
      for (int i = 0; i < 9; ++i) out.u8(0);  // An empty ErrorRecord.
    }
    return decode(Frames{std::move(out).take()});
  };
  const auto refused = [&](std::vector<ItemIndex> indices, Items items) {
    return std::get<Malformed>(result_with(std::move(indices), std::move(items))).detail;
  };
  const Items three{{3, 1, {}}, Bytes::copy("abc")};
  CHECK(std::holds_alternative<Message>(result_with({100, 102}, three)));
  CHECK(refused({99}, three) == "RESULTS: chunks[0]: an error of an item outside");
  CHECK(refused({103}, three) == "RESULTS: chunks[0]: an error of an item outside");
  CHECK(refused({101, 101}, three) == "RESULTS: chunks[0]: errors that are not in order of index");
  const Items ragged{{2, 0, {0, 1}}, Bytes::copy("a")};
  CHECK(std::holds_alternative<Message>(result_with({100}, ragged)));
  CHECK(refused({101}, ragged) == "RESULTS: chunks[0]: an item with an error and a value");
}

TEST_CASE("item indices and program parts beyond their bounds are refused") {
  std::vector<unsigned> fields(9, 1);
  fields.insert(fields.end(),
                {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 3, 0, 0});
  CHECK(refusal_of(MessageType::kSubmit, fields).detail ==
        "SUBMIT: chunks[0]: item indices beyond 64 bits");
  std::vector<unsigned> part(32, 0);
  part.insert(part.end(), {3, 2, 2 << 1, 'a', 'b'});
  CHECK(refusal_of(MessageType::kProgramPart, part).detail ==
        "PROGRAM_PART: a part that is outside the program or too large");
}

TEST_CASE("texts of errors that are too long are cut between characters, and once only") {
  std::string what;
  while (what.size() < 2 * kMaxTextBytes) what += "größer ";
  const Message crashed =
      Crashed{{1}, 2, {ErrorKind::kUserException, {{"T", what}}, "", "", 0, 0, what, "", {}}};
  const Message once = message_of(encode(crashed));
  const std::string& cut = std::get<Crashed>(once).error.causes[0].what;
  CHECK(cut.size() <= kMaxTextBytes);
  CHECK(cut.size() > kMaxTextBytes - 100);
  CHECK(cut.ends_with("… [cut here: " + std::to_string(what.size()) + " bytes in all]"));
  const auto kept = cut.substr(0, cut.find("…"));
  CHECK(what.starts_with(kept));
  CHECK((static_cast<unsigned char>(what[kept.size()]) & 0xC0) != 0x80);
  CHECK(message_of(encode(once)) == once);
}

TEST_CASE("hundreds of small chunks travel in one frame") {
  Assign assign;
  for (unsigned i = 0; i < 500; ++i) {
    assign.chunks.push_back({{{7}, 1}, {i}, 1000, {i, {{1, 8, {}}, Bytes::copy("12345678")}}});
  }
  const Frames frames = encode(assign);
  CHECK(frames.size() == 1);
  CHECK(frames[0].size() < 500 * 32);
  CHECK(message_of(frames) == Message(assign));
}
