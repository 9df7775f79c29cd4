// Programs on their way from a client to the workers.
#include "tests/broker/harness.hpp"

using namespace achilles::broker;
using namespace achilles::broker::test;

namespace {

p::ProgramId program(std::uint8_t n) {
  p::ProgramId id;
  id.hash[0] = n;
  return id;
}

p::ProgramPart part_of(p::ProgramId id, std::uint64_t total, std::uint64_t offset) {
  const std::uint64_t size = std::min(p::kPartBytes, total - offset);
  return {id, total, offset, p::Bytes::own(std::vector<std::byte>(size))};
}

constexpr std::uint64_t kTotal = p::kPartBytes + 10;

}  // namespace

TEST_CASE(
    "a part is asked of the client once and handed to all who wait, later ones from the table") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.worker(3);
  broker.open(1, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.send(3, p::NeedProgram{program(1), 0});
  CHECK(broker.expect<p::NeedProgram>(1).offset == 0);
  CHECK(broker.quiet());
  broker.send(1, part_of(program(1), kTotal, 0));
  CHECK(broker.expect<p::ProgramPart>(2).bytes.size() == p::kPartBytes);
  CHECK(broker.expect<p::ProgramPart>(3).total_bytes == kTotal);
  broker.worker(4);
  broker.discard(1);  // The window.
  broker.send(4, p::NeedProgram{program(1), 0});
  CHECK(broker.expect<p::ProgramPart>(4).offset == 0);
  broker.send(4, p::NeedProgram{program(1), p::kPartBytes});
  CHECK(broker.expect<p::NeedProgram>(1).offset == p::kPartBytes);
  broker.send(1, part_of(program(1), kTotal, p::kPartBytes));
  CHECK(broker.expect<p::ProgramPart>(4).bytes.size() == 10);
  CHECK(broker.quiet());
}

TEST_CASE("parts that do not fit are rejected, and the right one is still waited for") {
  Broker broker;
  broker.client(1);
  broker.client(5);
  broker.worker(2);
  broker.discard_all();
  broker.open(1, 1, 1, program(1));
  broker.open(5, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.expect<p::NeedProgram>(1);
  auto part = part_of(program(1), kTotal, 0);
  SECTION("short") {
    part.bytes = part.bytes.slice(0, 5);
  }
  SECTION("empty program") {
    part.total_bytes = 0;
    part.bytes = {};
  }
  broker.send(1, part);
  broker.expect<p::Rejected>(1);
  broker.send(5, part_of(program(1), kTotal, 0));  // It was not asked.
  CHECK(broker.inbox(5).empty());
  CHECK(broker.inbox(2).empty());
  broker.send(1, part_of(program(1), kTotal, 0));
  broker.expect<p::ProgramPart>(2);
  broker.send(2, p::NeedProgram{program(1), p::kPartBytes});
  broker.expect<p::NeedProgram>(1);
  auto longer = part_of(program(1), kTotal + 1, p::kPartBytes);
  broker.send(1, longer);
  broker.expect<p::Rejected>(1);
}

TEST_CASE("a worker that asks for a part that cannot be is rejected") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.open(1, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 5});
  broker.expect<p::Rejected>(2);
  broker.send(2, p::NeedProgram{program(9), 0});
  CHECK(broker.quiet());
}

TEST_CASE("when the client that was asked leaves, another one is asked") {
  Broker broker;
  broker.client(1);
  broker.client(3);
  broker.worker(2);
  broker.open(1, 1, 1, program(1));
  broker.open(3, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.expect<p::NeedProgram>(1);
  broker.send(1, p::Bye{});
  broker.expect<p::NeedProgram>(3);
  SECTION("which answers") {
    broker.send(3, part_of(program(1), kTotal, 0));
    broker.expect<p::ProgramPart>(2);
  }
  SECTION("and leaves too: nobody waits any more") {
    broker.send(3, p::Bye{});
    broker.client(4);
    broker.open(4, 1, 1, program(1));
    broker.send(2, p::NeedProgram{program(1), 0});
    broker.expect<p::NeedProgram>(4);
  }
}

TEST_CASE("a job that is closed by the client that was asked leaves the request to other jobs") {
  Broker broker;
  broker.client(1);
  broker.client(3);
  broker.worker(2);
  broker.open(1, 1, 1, program(1));
  broker.open(3, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.expect<p::NeedProgram>(1);
  broker.send(1, p::CloseJob{{{1}, 1}});
  broker.send(1, part_of(program(1), kTotal, 0));  // It answers all the same.
  broker.expect<p::ProgramPart>(2);
}

TEST_CASE("a part from a client that closed its job before it knew that it was asked is no fault") {
  Broker broker;
  broker.client(1);
  broker.client(3);
  broker.worker(2);
  broker.open(1, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.expect<p::NeedProgram>(1);
  broker.send(1, p::CloseJob{{{1}, 1}});
  broker.open(3, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.expect<p::NeedProgram>(3);
  broker.send(1, part_of(program(1), kTotal, 0));
  CHECK(broker.quiet());
  broker.send(3, part_of(program(1), kTotal, 0));
  broker.expect<p::ProgramPart>(2);
}

TEST_CASE("a worker's wish that crosses with the end of the last job asks nobody") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.open(1, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.expect<p::NeedProgram>(1);
  broker.send(1, part_of(program(1), kTotal, 0));
  broker.expect<p::ProgramPart>(2);
  broker.send(1, p::CloseJob{{{1}, 1}});
  broker.send(2, p::NeedProgram{program(1), p::kPartBytes});
  CHECK(broker.quiet());
  broker.open(1, 2, 1, program(1));
  CHECK(broker.quiet());  // Should the worker need it again, it will say so.
}

TEST_CASE("a worker that left is not sent the part it asked for") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.open(1, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.expect<p::NeedProgram>(1);
  broker.event(PeerUnreachable{{2}});
  broker.send(1, part_of(program(1), kTotal, 0));
  broker.settle();
  broker.expect<p::JobWindow>(1);
  CHECK(broker.quiet());
}

TEST_CASE("programs without a job stay at hand, the least recently used are dropped") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  constexpr std::uint64_t kParts = 300;
  const auto fetch = [&](std::uint8_t n) {
    broker.open(1, n, 1, program(n));
    std::uint64_t asked = 0;
    for (std::uint64_t i = 0; i < kParts; ++i) {
      broker.send(2, p::NeedProgram{program(n), i * p::kPartBytes});
      if (!broker.inbox(1).empty()) {
        broker.expect<p::NeedProgram>(1);
        broker.send(1, part_of(program(n), kParts * p::kPartBytes, i * p::kPartBytes));
        ++asked;
      }
      broker.expect<p::ProgramPart>(2);
    }
    broker.send(1, p::CloseJob{{{1}, n}});
    return asked;
  };
  CHECK(fetch(1) == kParts);
  CHECK(fetch(1) == 0);
  CHECK(fetch(2) == kParts);  // 600 MiB: the first one goes.
  CHECK(fetch(2) == 0);
  CHECK(fetch(1) == kParts);
}

TEST_CASE("a part that is asked for when the last job has just been closed is not waited for") {
  Broker broker;
  broker.client(1);
  broker.worker(2);
  broker.open(1, 1, 1, program(1));
  broker.send(2, p::NeedProgram{program(1), 0});
  broker.expect<p::NeedProgram>(1);
  broker.send(1, part_of(program(1), kTotal, 0));
  broker.expect<p::ProgramPart>(2);
  broker.send(1, p::CloseJob{{{1}, 1}});
  broker.send(2, p::NeedProgram{program(1), p::kPartBytes});
  broker.send(2, p::NeedProgram{program(1), 0});
  CHECK(broker.expect<p::ProgramPart>(2).offset == 0);
  broker.open(1, 2, 1, program(1));
  CHECK(broker.quiet());
}
