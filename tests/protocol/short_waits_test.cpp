// Who looks again and again instead of going to sleep.
#include "protocol/short_waits.hpp"

#include "tests/support/catch.hpp"

using achilles::protocol::ShortWaits;
using namespace std::chrono_literals;

TEST_CASE("a wait is thought to be short after some that were, and not at first") {
  ShortWaits waits;
  CHECK_FALSE(waits.likely());
  for (int i = 0; i < 12; ++i) waits.note(30us);
  CHECK(waits.likely());
}

TEST_CASE("a single long wait is forgotten after a few short ones") {
  ShortWaits waits;
  for (int i = 0; i < 20; ++i) waits.note(10us);
  waits.note(1h);
  CHECK_FALSE(waits.likely());
  for (int i = 0; i < 5; ++i) waits.note(10us);
  CHECK(waits.likely());
}

TEST_CASE("waits that are longer than it is worth to look are slept through") {
  ShortWaits waits;
  for (int i = 0; i < 20; ++i) waits.note(10us);
  for (int i = 0; i < 20; ++i) waits.note(ShortWaits::kSpinMax + 1us);
  CHECK_FALSE(waits.likely());
}
