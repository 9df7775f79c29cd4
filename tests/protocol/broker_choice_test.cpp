// Of several brokers each peer takes the first that answers, and all come to the same one.
#include "protocol/broker_choice.hpp"

#include "tests/support/catch.hpp"

using achilles::protocol::BrokerChoice;
using achilles::protocol::Duration;
using achilles::protocol::TimePoint;
using namespace std::chrono_literals;

namespace {
constexpr TimePoint kNow{1000s};
}

TEST_CASE("the only broker is the choice whatever happens") {
  BrokerChoice choice(1);
  CHECK_FALSE(choice.several());
  choice.joined(kNow);
  CHECK_FALSE(choice.next_due().has_value());
  choice.lost();
  CHECK(choice.current() == 0);
  choice.unanswered();
  CHECK(choice.current() == 0);
}

TEST_CASE("brokers that do not answer are tried one after another, again and again") {
  BrokerChoice choice(3);
  for (const std::size_t next : {1, 2, 0, 1}) {
    choice.unanswered();
    CHECK(choice.current() == next);
  }
}

TEST_CASE("whoever loses its broker begins at the top, but for the one that it lost") {
  BrokerChoice choice(3);
  choice.joined(kNow);
  choice.lost();
  CHECK(choice.current() == 1);
  choice.unanswered();
  choice.joined(kNow);
  CHECK(choice.current() == 2);
  choice.lost();
  CHECK(choice.current() == 0);
}

TEST_CASE("with a later broker, the earlier ones are asked in turn, until one answers") {
  BrokerChoice choice(3);
  choice.unanswered();
  choice.unanswered();
  CHECK_FALSE(choice.next_due().has_value());
  choice.joined(kNow);
  REQUIRE(choice.next_due() == kNow + 2s);
  CHECK_FALSE(choice.take_due(kNow + 1s).has_value());
  CHECK(choice.take_due(kNow + 2s) == 0U);
  CHECK(choice.take_due(kNow + 4s) == 1U);
  CHECK(choice.take_due(kNow + 6s) == 0U);
  CHECK_FALSE(choice.answered(2));  // That is the present one.
  CHECK(choice.answered(1));
  CHECK(choice.current() == 1);
  CHECK_FALSE(choice.next_due().has_value());
  CHECK_FALSE(choice.answered(0));  // Too late: it is leaving already.
}

TEST_CASE("an earlier broker that answers and then is no good is asked less and less often") {
  BrokerChoice choice(2);
  choice.unanswered();
  for (const Duration every : {2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    choice.joined(kNow);
    REQUIRE(choice.next_due() == kNow + every);
    REQUIRE(choice.take_due(kNow + every) == 0U);
    REQUIRE(choice.answered(0));
    choice.unanswered();
    REQUIRE(choice.current() == 1);
  }
  choice.unanswered();
  choice.joined(kNow);  // It was good after all.
  choice.lost();
  choice.joined(kNow);
  CHECK(choice.next_due() == kNow + 2s);
}
