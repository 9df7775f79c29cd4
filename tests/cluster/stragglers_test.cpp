// A chunk that hangs on one worker runs a second time on another, unless the user will not have it.
#include <unistd.h>

#include <filesystem>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

constexpr int kHeld = 5;

/// Item kHeld hangs until it is let go, but for its second run and those after it. The others take
/// some milliseconds, so that none is given to a task process beside one that hangs.
int hang_once(const std::string& folder, int x) {
  if (x != kHeld) {
    std::this_thread::sleep_for(std::chrono::milliseconds(6));
    return x * x;
  }
  const std::filesystem::path path(folder);
  touch(path / ("begun-" + std::to_string(::getpid())));
  if (std::filesystem::create_directory(path / "first")) wait_for_file(path / kGo);
  return x * x;
}

auto hang_once_in(const TemporaryFolder& folder) {
  return achilles::bind(achilles::fn<&hang_once>, folder.path().string());
}

}  // namespace

TEST_CASE("a chunk that hangs is run again at another worker, and its result counts once") {
  const TemporaryFolder folder;
  Cluster cluster({.slots = 1});
  cluster.wait_for_workers(2);
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  int index = 0;
  // Nobody lets the first run go: without a second one this would never end.
  for (const int y : pool.imap(hang_once_in(folder), std::views::iota(0, 20), {.chunksize = 1})) {
    CHECK(y == index * index);
    ++index;
  }
  CHECK(index == 20);
  CHECK(begun_in(folder) == 2);
  // Its slot is free again: the task process that hung was ended.
  CHECK(pool.map(hang_once_in(folder), std::views::iota(0, 6)).back() == kHeld * kHeld);
}

TEST_CASE("a job that will not have second attempts waits for its chunk that hangs") {
  const TemporaryFolder patient;
  const TemporaryFolder usual;
  Cluster cluster({.slots = 2});
  cluster.wait_for_workers(2);
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  auto results = pool.imap(hang_once_in(patient), std::views::iota(0, 20),
                           {.chunksize = 1, .second_attempts = false});
  auto at = results.begin();
  while (at.index() + 1 < kHeld) ++at;
  REQUIRE(eventually([&] { return begun_in(patient) == 1; }));
  // This one begins to hang later, and so would get its second attempt later.
  const auto others = pool.map(hang_once_in(usual), std::views::iota(0, 20), {.chunksize = 1});
  CHECK(others.at(kHeld) == kHeld * kHeld);
  CHECK(begun_in(usual) == 2);
  CHECK(begun_in(patient) == 1);
  let_go(patient);
  ++at;
  CHECK(*at == kHeld * kHeld);
}
