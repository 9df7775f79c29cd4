// The sending side of a connection: what leaves when, and in which order.
#include "protocol/outbox.hpp"

#include <algorithm>

#include "tests/protocol/parts_support.hpp"

using namespace achilles::protocol;
using namespace achilles::protocol::parts;

namespace {

/// An outbox and a receiver that takes what it is given.
struct Sender {
  Outbox outbox;
  std::uint64_t arrived = 0;  ///< Bytes of parts.

  Sender() { outbox.begin(max_message_bytes(0)); }
  std::vector<Message> pull() {
    auto messages = drain(outbox);
    arrived += part_bytes(messages);
    return messages;
  }
  void take_all() { REQUIRE_FALSE(outbox.taken(arrived).has_value()); }
  /// Until nothing is left, taking everything.
  std::vector<Message> pull_all() {
    std::vector<Message> all;
    for (auto some = pull(); !some.empty(); some = pull()) {
      all.insert(all.end(), some.begin(), some.end());
      take_all();
    }
    return all;
  }
};

}  // namespace

TEST_CASE("a message up to the limit leaves whole and at once") {
  Sender sender;
  const Submit full{kJob, {chunk_of(kPartBytes)}};
  sender.outbox.add(full);
  sender.outbox.add(Heartbeat{{5}});
  const auto messages = sender.pull();
  REQUIRE(messages.size() == 2);
  CHECK(messages[0] == Message(full));
  CHECK(messages[1] == Message(Heartbeat{{5}}));
  CHECK(sender.outbox.waiting_bytes() == 0);
}

TEST_CASE("a full part of a program and a full batch are still whole") {
  Sender sender;
  sender.outbox.add(ProgramPart{{}, 5 * kMiB, kMiB, filled(kPartBytes)});
  Assign batch;
  for (std::uint64_t i = 0; i < kBatchChunks; ++i) {
    batch.chunks.push_back(assignment({{~0ULL}, ~0ULL}, ~0ULL - i, kBatchBytes / kBatchChunks));
  }
  sender.outbox.add(batch);
  CHECK(names(sender.pull()) == Names{"PROGRAM_PART", "ASSIGN"});
}

TEST_CASE("the parts of a large message are its frames, one after another") {
  Sender sender;
  const Submit large = submit(kJob, 5 * kMiB + 7);
  const Frames frames = encode(large);
  sender.outbox.add(large);
  const auto messages = sender.pull_all();
  std::vector<std::byte> whole;
  for (const auto& message : messages) {
    const auto& part = std::get<Part>(message);
    CHECK(part.stream == 1);
    CHECK(part.offset == whole.size());
    CHECK(part.bytes.size() <= kSentPartBytes);
    REQUIRE_FALSE(part.bytes.empty());
    if (part.offset == 0) {
      CHECK(part.frame_sizes == std::vector<std::uint64_t>{frames[0].size(), frames[1].size()});
    } else {
      CHECK(part.frame_sizes.empty());
    }
    whole.insert(whole.end(), part.bytes.data(), part.bytes.data() + part.bytes.size());
  }
  std::vector<std::byte> expected;
  for (const auto& frame : frames) {
    expected.insert(expected.end(), frame.data(), frame.data() + frame.size());
  }
  CHECK((whole == expected));
  CHECK(sender.outbox.waiting_bytes() == 0);
}

TEST_CASE("only so much is under way until it was taken") {
  Sender sender;
  sender.outbox.add(submit(kJob, 10 * kMiB));
  const auto first = sender.pull();
  CHECK(part_bytes(first) <= kPartsInFlightBytes);
  CHECK(part_bytes(first) > kPartsInFlightBytes - kSentPartBytes);
  CHECK(sender.pull().empty());
  CHECK(sender.outbox.waiting_bytes() > 10 * kMiB);

  const std::uint64_t some = 3 * kSentPartBytes;
  CHECK_FALSE(sender.outbox.taken(some).has_value());
  CHECK(part_bytes(sender.pull()) == some);
  CHECK(sender.pull().empty());
  sender.take_all();
  CHECK(part_bytes(sender.pull_all()) > 5 * kMiB);
}

TEST_CASE("what concerns no job, or another one, overtakes a large message") {
  Sender sender;
  sender.outbox.add(submit(kJob, 10 * kMiB));
  CHECK(names(sender.pull()) == Names{"PART 1"});
  sender.outbox.add(Heartbeat{{1}});
  sender.outbox.add(submit(kOther, 100));
  sender.outbox.add(NeedProgram{{}, 0});
  sender.outbox.add(ResultCredit{kOther, 5, {}});
  CHECK(names(sender.pull()) == Names{"HEARTBEAT", "SUBMIT", "NEED_PROGRAM", "RESULT_CREDIT"});
  sender.take_all();
  CHECK(names(sender.pull()) == Names{"PART 1"});
}

TEST_CASE("messages of one job keep their order behind a large one, whatever their size") {
  Sender sender;
  sender.outbox.add(open_job(kJob, 3 * kMiB));
  sender.outbox.add(submit(kJob, 100, 1));
  sender.outbox.add(submit(kJob, 3 * kMiB, 2));
  sender.outbox.add(ResultCredit{kJob, 5, {}});
  CHECK(names(sender.pull_all()) == Names{"PART 1", "SUBMIT", "PART 2", "RESULT_CREDIT"});
}

TEST_CASE("a grant follows its own attempt's assignment and no other") {
  Sender sender;
  sender.outbox.add(Assign{{assignment(kJob, 10, 3 * kMiB)}});
  sender.outbox.add(Grant{{10}});
  sender.outbox.add(Grant{{9}});
  sender.outbox.add(Assign{{assignment(kJob, 11, 50)}});  // Waits for its job,
  sender.outbox.add(Grant{{11}});                         // and this one for it.
  CHECK(names(sender.pull()) == Names{"GRANT", "PART 1"});
  sender.take_all();
  const auto rest = sender.pull_all();
  CHECK(names(rest) == Names{"PART 1", "GRANT", "ASSIGN", "GRANT"});
  CHECK(std::get<Grant>(rest[rest.size() - 3]).attempt == AttemptId{10});
  CHECK(std::get<Grant>(rest.back()).attempt == AttemptId{11});
}

TEST_CASE("one job's chunks do not wait for another's because they came in one message") {
  Sender sender;
  sender.outbox.add(open_job(kJob, 3 * kMiB));
  sender.pull();
  sender.outbox.add(Assign{{assignment(kJob, 1, 5), assignment(kOther, 2, 5),
                            assignment({{8}, 1}, 3, 5), assignment(kJob, 4, 5)}});
  const auto now = sender.pull();
  REQUIRE(names(now) == Names{"ASSIGN"});
  CHECK(std::get<Assign>(now[0]).chunks.size() == 2);
  sender.take_all();
  const auto later = sender.pull_all();
  REQUIRE(names(later) == Names{"PART 1", "ASSIGN"});
  const auto& held = std::get<Assign>(later.back()).chunks;
  REQUIRE(held.size() == 2);
  CHECK(held[0].attempt == AttemptId{1});
  CHECK(held[1].attempt == AttemptId{4});

  sender.outbox.add(Results{{result(kJob, 5, 3 * kMiB)}});
  sender.pull();
  sender.outbox.add(Results{{result(kOther, 6, 1), result(kJob, 7, 1)}});
  CHECK(names(sender.pull()) == Names{"RESULTS"});
}

TEST_CASE("large messages of several jobs take turns") {
  Sender sender;
  sender.outbox.add(submit(kJob, 100 * kMiB));
  sender.pull();
  sender.outbox.add(submit(kOther, 2 * kMiB));
  std::uint64_t before_the_end = 0;  // Of the first, once the second is there.
  for (bool over = false; !over;) {
    sender.take_all();
    for (const auto& message : sender.pull()) {
      const auto& part = std::get<Part>(message);
      if (part.stream == 1) before_the_end += part.bytes.size();
      over = over || (part.stream == 2 && part.offset + part.bytes.size() > 2 * kMiB);
    }
  }
  CHECK(before_the_end <= 2 * kMiB + kPartsInFlightBytes);
}

TEST_CASE("only so many messages, and so many bytes, are half sent at a time") {
  SECTION("messages") {
    Sender sender;
    for (std::uint64_t number = 1; number <= kMaxStreams + 2; ++number) {
      sender.outbox.add(submit({{7}, number}, 10 * kMiB));
    }
    std::uint64_t highest = 0;
    for (int turn = 0; turn < 5; ++turn) {
      for (const auto& message : sender.pull()) {
        highest = std::max(highest, std::get<Part>(message).stream);
      }
      sender.take_all();
    }
    CHECK(highest == kMaxStreams);
    std::uint64_t finished = 0;
    for (const auto& message : sender.pull_all()) {
      highest = std::max(highest, std::get<Part>(message).stream);
      ++finished;
    }
    CHECK(highest == kMaxStreams + 2);
    CHECK(finished > 0);
  }
  SECTION("bytes") {
    Sender sender;
    sender.outbox.begin(10 * kMiB);
    sender.outbox.add(submit({{7}, 1}, 9 * kMiB));
    sender.outbox.add(submit({{7}, 2}, 9 * kMiB));
    sender.outbox.add(submit({{7}, 3}, 9 * kMiB));
    std::uint64_t ended = 0;  // Parts of stream 3 come only when another stream is over.
    for (const auto& message : sender.pull_all()) {
      const auto& part = std::get<Part>(message);
      if (part.stream == 3) CHECK(ended > 0);
      if (part.offset + part.bytes.size() > 9 * kMiB) ++ended;
    }
    CHECK(ended == 3);
  }
}

TEST_CASE("a job that is over takes back what waits and what is half sent of it") {
  Sender sender;
  sender.outbox.add(open_job(kJob, 3 * kMiB));
  sender.pull();
  sender.outbox.add(submit(kJob, 100));
  sender.outbox.add(submit(kJob, 5 * kMiB));
  sender.outbox.add(submit(kOther, 5 * kMiB));
  sender.outbox.drop(kJob);
  sender.outbox.add(CloseJob{kJob});
  auto next = sender.pull();
  CHECK(names(next) == Names{"PARTS_DROPPED", "CLOSE_JOB", "PART 2"});
  CHECK(std::get<PartsDropped>(next[0]).stream == 1);
  sender.take_all();
  CHECK(names(sender.pull_all()) == Names{"PART 2"});
  CHECK(sender.outbox.waiting_bytes() == 0);
}

TEST_CASE("what is of two jobs outlives one of them") {
  Sender sender;
  sender.outbox.add(Assign{{assignment(kJob, 1, 2 * kMiB), assignment(kOther, 2, 2 * kMiB)}});
  sender.pull();
  sender.outbox.drop(kJob);
  sender.take_all();
  const auto rest = sender.pull_all();
  CHECK(names(rest) == Names{"PART 1"});
  CHECK(part_bytes(rest) > 2 * kMiB);
}

TEST_CASE("those that wait for a message that is taken back go on") {
  Sender sender;
  sender.outbox.add(Assign{{assignment(kJob, 1, 3 * kMiB)}});
  sender.pull();
  sender.outbox.add(Grant{{1}});
  sender.outbox.add(Returned{{{1}, {2}}});
  sender.outbox.add(Grant{{2}});
  CHECK(sender.pull().empty());
  sender.outbox.drop(kJob);
  CHECK(names(sender.pull()) == Names{"PARTS_DROPPED", "GRANT", "RETURNED", "GRANT"});
}

TEST_CASE("an acknowledgement of what was not sent, or less than before, is a fault") {
  Sender sender;
  CHECK(sender.outbox.taken(1).has_value());
  sender.outbox.add(submit(kJob, 3 * kMiB));
  sender.pull();
  CHECK(sender.outbox.taken(sender.arrived + 1).has_value());
  CHECK_FALSE(sender.outbox.taken(sender.arrived).has_value());
  CHECK(sender.outbox.taken(sender.arrived - 1).has_value());
  CHECK_FALSE(sender.outbox.taken(sender.arrived).has_value());
  CHECK(part_bytes(sender.pull()) > 0);
}

TEST_CASE("last words come when all before them were taken") {
  Sender sender;
  sender.outbox.add(Results{{result(kJob, 1, 3 * kMiB)}});
  CHECK(sender.outbox.holds_results());
  sender.outbox.add_last(Bye{"drained"});
  CHECK(names(sender.pull()) == Names{"PART 1"});
  sender.take_all();
  CHECK(names(sender.pull()) == Names{"PART 1"});
  CHECK(sender.pull().empty());
  CHECK(sender.outbox.holds_results());  // Not taken yet.
  CHECK(sender.outbox.holds_last());
  sender.take_all();
  CHECK(names(sender.pull()) == Names{"BYE"});
  CHECK_FALSE(sender.outbox.holds_last());
  CHECK_FALSE(sender.outbox.holds_results());
}
