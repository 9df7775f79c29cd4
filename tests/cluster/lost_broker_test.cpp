// A broker that is killed in the middle of a job and started again: it held soft state only.
#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

TEST_CASE("kill -9 of the broker and a new one on the same port: every result once, in order") {
  Cluster cluster;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  std::vector<int> results;
  for (const int y :
       pool.imap([](int x) { return x * x; }, std::views::iota(0, 20'000), {.chunksize = 5})) {
    results.push_back(y);
    if (results.size() == 1000) cluster.restart_broker();
  }
  CHECK(results == serial_squares(20'000));
}

TEST_CASE("kill -9 of the broker while all slots are busy: what was begun is not lost or doubled") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  constexpr auto kOrder = HeldJob::Order::kAsTheyCome;
  HeldJob job(cluster.endpoint(), {.held_from = 50, .order = kOrder});
  REQUIRE(eventually([&] { return job.begun() == 4; }));
  cluster.restart_broker();
  cluster.wait_for_workers(2);
  job.let_go();
  CHECK(are_squares(job.results(), 200, kOrder));
}

TEST_CASE("a new job finds its way after the broker was away between two jobs") {
  Cluster cluster;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  CHECK(pool.map([](int x) { return x * x; }, std::views::iota(0, 10)) == serial_squares(10));
  cluster.restart_broker();
  CHECK(pool.map([](int x) { return x * x; }, std::views::iota(0, 10)) == serial_squares(10));
}
