// Started in any order, all find each other; and what a user hears while somebody is missing.
#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;
using namespace std::chrono_literals;

TEST_CASE("a client, then workers, then the broker: all find each other") {
  Cluster cluster({.workers = 0});
  cluster.kill_broker();
  Process client(
      CLUSTER_CLIENT_PROGRAM,
      {.arguments = {"squares", "1000"}, .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  cluster.add_worker();
  cluster.add_worker();
  // The client says what it waits for.
  CHECK(eventually([&] { return client.err().find(cluster.endpoint()) != std::string::npos; }));
  CHECK(client.running());
  CHECK(eventually([&] {
    return cluster.worker(0).process().err().find("no answer from the broker at " +
                                                  cluster.endpoint()) != std::string::npos;
  }));
  cluster.restart_broker();
  CHECK(client.wait() == kSucceeded);
  CHECK(client.out() == "332833500\n");
}

TEST_CASE("a job waits for the first worker") {
  Cluster cluster({.workers = 0});
  Process client(
      CLUSTER_CLIENT_PROGRAM,
      {.arguments = {"squares", "1000"}, .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  CHECK(eventually([&] {
    const auto news = cluster.status();
    return news.jobs.size() == 1 && news.jobs[0].queued_items > 0;
  }));
  cluster.add_worker();
  CHECK(client.wait() == kSucceeded);
  CHECK(client.out() == "332833500\n");
}

TEST_CASE("a broker that never answers is an error after connect_timeout, not a hang") {
  const std::string endpoint = unused_endpoint();
  const achilles::Pool pool({.broker = endpoint, .connect_timeout = 300ms, .progress = false});
  try {
    pool.map([](int x) { return x; }, std::views::iota(0, 10));
    FAIL("there is no broker");
  } catch (const achilles::BrokerUnreachable& error) {
    CHECK_THAT(error.what(), Catch::Matchers::Contains(endpoint));
    CHECK_THAT(error.what(), Catch::Matchers::Contains("achilles-broker"));
  }
}

TEST_CASE("a broker that goes away for good ends the job after connect_timeout") {
  Cluster cluster({.heartbeat = 50ms});
  const achilles::Pool pool(
      {.broker = cluster.endpoint(), .connect_timeout = 500ms, .progress = false});
  int count = 0;
  const auto go_through = [&] {
    for (const int y : pool.imap([](int x) { return x; }, std::views::iota(0), {.chunksize = 1})) {
      (void)y;
      if (++count == 10) cluster.kill_broker();
    }
  };
  CHECK_THROWS_AS(go_through(), achilles::BrokerUnreachable);
}
