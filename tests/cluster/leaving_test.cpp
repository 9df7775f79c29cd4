// Jobs that nobody waits for any more.
#include <csignal>
#include <thread>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

TEST_CASE("leaving an imap early ends its work everywhere") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  const TemporaryFolder folder;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  // Each of these takes a moment, and tells by a file that it was done.
  const auto function = achilles::bind(
      [](const std::string& where, int x) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        touch(where + "/begun-" + std::to_string(x));
        return x;
      },
      folder.path().string());
  constexpr int kCount = 10'000;
  for (const int y : pool.imap(function, std::views::iota(0, kCount), {.chunksize = 50})) {
    if (y == 3) break;
  }
  CHECK(eventually([&] { return cluster.status().jobs.empty(); }));
  // Another job gets the slots at once, not after the hundreds of items that were in them.
  CHECK(pool.map([](int x) { return x * x; }, std::views::iota(0, 100)) == serial_squares(100));
  CHECK(eventually([&] {
    const auto before = begun_in(folder);
    pool.map([](int) { std::this_thread::sleep_for(std::chrono::milliseconds(30)); },
             std::views::iota(0, 8), {.chunksize = 1});
    return begun_in(folder) == before;
  }));
  CHECK(begun_in(folder) < 1000);
}

TEST_CASE("the jobs of a client that is killed vanish, and those of others go on") {
  Cluster cluster({.heartbeat = std::chrono::milliseconds(100)});
  cluster.wait_for_workers(2);
  const TemporaryFolder folder;
  Process victim(CLUSTER_CLIENT_PROGRAM,
                 {.arguments = {"hold", "100", folder.path()},
                  .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  CHECK(eventually([&] { return begun_in(folder) == 4; }));
  const auto before = cluster.status();
  REQUIRE(before.jobs.size() == 1);
  CHECK_THAT(before.jobs[0].client, Catch::Matchers::StartsWith("cluster_client@"));
  victim.kill();
  CHECK(eventually([&] { return cluster.status().jobs.empty(); }));
  CHECK(cluster.status().clients == 0);
  // What ran for it is ended too: its items would wait for ever.
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  CHECK(pool.map([](int x) { return x * x; }, std::views::iota(0, 100)) == serial_squares(100));
  CHECK(begun_in(folder) < 100);
}

TEST_CASE("a client that was stopped for longer than its lease goes on where it was") {
  Cluster cluster({.heartbeat = std::chrono::milliseconds(50)});
  const TemporaryFolder folder;
  Process client(CLUSTER_CLIENT_PROGRAM,
                 {.arguments = {"hold", "20", folder.path()},
                  .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  CHECK(eventually([&] { return begun_in(folder) > 0; }));
  client.signal(SIGSTOP);
  CHECK(eventually([&] { return cluster.status().clients == 0; }));
  client.signal(SIGCONT);
  let_go(folder);
  CHECK(client.wait() == kSucceeded);
  std::string squares;
  for (const int y : serial_squares(20)) squares += std::to_string(y) + "\n";
  CHECK(client.out() == squares);
}
