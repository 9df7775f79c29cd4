// Two brokers: when the first goes away, all meet at the second, and come back when it is there
// again.
#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

bool has_workers(const std::string& endpoint, std::size_t count) {
  const auto news = ask_cluster(endpoint);
  return news && news->workers.size() == count;
}

}  // namespace

TEST_CASE("the first broker is killed for good: jobs go on at the second") {
  Cluster cluster({.heartbeat = std::chrono::milliseconds(200), .second_broker = true});
  cluster.wait_for_workers(2);
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  std::vector<int> results;
  for (const int y :
       pool.imap([](int x) { return x * x; }, std::views::iota(0, 20'000), {.chunksize = 5})) {
    results.push_back(y);
    if (results.size() == 1000) cluster.kill_broker();
  }
  CHECK(results == serial_squares(20'000));
  CHECK(eventually([&] { return has_workers(cluster.second_endpoint(), 2); }));
  // A program that comes now finds its way too.
  const auto another = achilles::Pool::connect(cluster.endpoint());
  CHECK(another.map([](int x) { return x * x; }, std::views::iota(0, 10)) == serial_squares(10));
}

TEST_CASE("the first broker comes back in the middle of a job: all move there, nothing is lost") {
  Cluster cluster({.heartbeat = std::chrono::milliseconds(200), .second_broker = true});
  cluster.wait_for_workers(2);
  constexpr auto kOrder = HeldJob::Order::kAsTheyCome;
  HeldJob job(cluster.endpoint(), {.held_from = 50, .order = kOrder});
  REQUIRE(eventually([&] { return job.begun() == 4; }));
  cluster.kill_broker();
  REQUIRE(eventually([&] { return has_workers(cluster.second_endpoint(), 2); }));
  cluster.restart_broker();
  REQUIRE(eventually([&] { return cluster.status().workers.size() == 2; }));
  job.let_go();
  CHECK(are_squares(job.results(), 200, kOrder));
}
