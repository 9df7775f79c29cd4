// Workers that are asked to stop.
#include <csignal>
#include <thread>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

TEST_CASE("SIGTERM of a worker under load: it finishes, leaves with 0, and no crash is counted") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  // A single crash would make an item fail.
  const auto pool = achilles::Pool::connect(cluster.endpoint()).with({.crash_limit = 1});
  std::vector<int> results;
  for (const int y : pool.imap(
           [](int x) {
             std::this_thread::sleep_for(std::chrono::microseconds(300));
             return x * x;
           },
           std::views::iota(0, 5000))) {
    results.push_back(y);
    if (results.size() == 500) cluster.worker(0).process().signal(SIGTERM);
  }
  CHECK(results == serial_squares(5000));
  CHECK(cluster.worker(0).process().wait() == kSucceeded);
  const auto news = cluster.status();
  REQUIRE(news.workers.size() == 1);
  CHECK(news.workers[0].name == "w1");
  CHECK(news.workers[0].crashes == 0);
}

TEST_CASE("a second SIGTERM stops a worker at once, and its chunks go on elsewhere") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  HeldJob job(cluster.endpoint(), {.held_from = 20, .crash_limit = 1});
  REQUIRE(eventually([&] { return job.begun() == 4; }));
  auto& leaving = cluster.worker(0);
  leaving.process().signal(SIGTERM);
  CHECK(eventually([&] {
    for (const auto& worker : cluster.status().workers) {
      if (worker.name == leaving.name()) return worker.state == "draining";
    }
    return false;
  }));
  CHECK(leaving.process().running());  // It finishes what it has begun.
  leaving.process().signal(SIGTERM);
  CHECK(leaving.process().wait() == Ending{1, 0});
  CHECK(leaving.tasks().empty());
  job.let_go();
  CHECK(are_squares(job.results(), 200));
}

TEST_CASE(
    "an idle worker leaves at the first SIGTERM, and leaves nothing behind but its programs") {
  Cluster cluster({.workers = 1});
  auto& worker = cluster.worker(0);
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  // A task works in a folder of its own, not in its worker's.
  pool.map([](int x) { touch(std::to_string(x)); }, std::views::iota(0, 10));
  CHECK(eventually([&] { return worker.programs().size() == 1; }));
  CHECK_FALSE(std::filesystem::is_empty(worker.folder() / "scratch"));
  worker.process().signal(SIGTERM);
  CHECK(worker.process().wait() == kSucceeded);
  CHECK(worker.tasks().empty());
  CHECK(std::filesystem::is_empty(worker.folder() / "scratch"));
  CHECK(worker.programs().size() == 1);
  CHECK(eventually([&] { return cluster.status().workers.empty(); }));
}
