// achilles status, as a user sees it while a job runs.
#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

TEST_CASE("achilles status shows the broker, its workers and what runs") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  const TemporaryFolder folder;
  Process client(CLUSTER_CLIENT_PROGRAM,
                 {.arguments = {"hold", "50", folder.path()},
                  .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  CHECK(eventually([&] { return begun_in(folder) == 4; }));

  CHECK(eventually([&] {  // The broker learns of the rest of the input in its own time.
    const auto news = cluster.status();
    return news.jobs.size() == 1 && news.jobs[0].running_items + news.jobs[0].queued_items >= 5;
  }));
  const auto news = cluster.status();
  CHECK(news.endpoint == cluster.endpoint());
  CHECK(news.pid == cluster.broker().pid());
  CHECK(news.clients == 1);
  REQUIRE(news.workers.size() == 2);
  for (const auto& worker : news.workers) {
    CHECK(worker.slots == 2);
    CHECK(worker.running_chunks >= 2);
    CHECK(worker.crashes == 0);
    CHECK((worker.pid == cluster.worker(0).pid() || worker.pid == cluster.worker(1).pid()));
  }
  REQUIRE(news.jobs.size() == 1);
  CHECK_THAT(news.jobs[0].client, Catch::Matchers::StartsWith("cluster_client@"));
  CHECK(news.jobs[0].done_items == 0);
  CHECK(news.jobs[0].running_items >= 4);

  Process command(ACHILLES_CLI_PROGRAM, {.arguments = {"status"},
                                         .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  CHECK(command.wait() == kSucceeded);
  const std::string table = command.out();
  for (const char* part :
       {"2 workers, 4 slots, 1 client, 1 job", "WORKER", "w0", "w1", "RUNNING", "cluster_client"}) {
    CHECK_THAT(table, Catch::Matchers::Contains(part));
  }

  const auto job_at = table.rfind('\n', table.find("cluster_client@")) + 1;
  const std::string job = table.substr(job_at, table.find(' ', job_at) - job_at);
  Process why(ACHILLES_CLI_PROGRAM, {.arguments = {"status", "--why", job},
                                     .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  CHECK(why.wait() == kSucceeded);
  for (const char* part :
       {"job ", " of it at worker w0@", " of it at worker w1@", "its client opened it"}) {
    CHECK_THAT(why.out(), Catch::Matchers::Contains(part));
  }

  let_go(folder);
  CHECK(client.wait() == kSucceeded);
  CHECK(eventually([&] { return cluster.status().jobs.empty(); }));
}

TEST_CASE("achilles status says when there is no such job, and fails") {
  Cluster cluster;
  Process command(ACHILLES_CLI_PROGRAM,
                  {.arguments = {"status", "--broker", cluster.endpoint(), "--why", "00000000/1"}});
  CHECK(command.wait() == Ending{1, 0});
  CHECK_THAT(command.err(), Catch::Matchers::Contains("has no open job 00000000/1"));
}

TEST_CASE("achilles status says when no broker answers, and fails") {
  const std::string endpoint = unused_endpoint();
  Process command(ACHILLES_CLI_PROGRAM,
                  {.arguments = {"status", "--broker", endpoint, "--timeout", "0.2"}});
  CHECK(command.wait() == Ending{1, 0});
  CHECK(command.out().empty());
  CHECK_THAT(command.err(), Catch::Matchers::Contains(endpoint));
}
