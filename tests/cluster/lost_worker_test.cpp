// Workers that are killed, and workers that join, in the middle of a job.
#include <unistd.h>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

std::uint64_t mixed(std::uint64_t x) {
  for (int i = 0; i < 2000; ++i) x = x * 6364136223846793005ULL + 1442695040888963407ULL;
  return x;
}

std::uint64_t serial_checksum(std::uint64_t count) {
  std::uint64_t sum = 0;
  for (std::uint64_t x = 0; x < count; ++x) sum += mixed(x);
  return sum;
}

}  // namespace

TEST_CASE("kill -9 of a worker in the middle of a job: every result once, in order") {
  Cluster cluster({.heartbeat = std::chrono::milliseconds(100)});
  cluster.wait_for_workers(2);
  constexpr std::uint64_t kCount = 20'000;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  std::uint64_t index = 0;
  std::uint64_t sum = 0;
  for (const auto y : pool.imap(mixed, std::views::iota(std::uint64_t{0}, kCount))) {
    if (y != mixed(index)) FAIL("result " << index << " is another's");
    if (++index == 500) cluster.worker(0).process().kill();
    sum += y;
  }
  CHECK(index == kCount);
  CHECK(sum == serial_checksum(kCount));
}

TEST_CASE("kill -9 of a worker that holds half of the chunks: each is delivered once") {
  Cluster cluster({.heartbeat = std::chrono::milliseconds(100)});
  cluster.wait_for_workers(2);
  constexpr auto kOrder = HeldJob::Order::kAsTheyCome;
  HeldJob job(cluster.endpoint(), {.held_from = 50, .order = kOrder});
  REQUIRE(eventually([&] { return job.begun() == 4; }));  // All slots are full.
  cluster.worker(0).process().kill();
  CHECK(eventually([&] { return cluster.worker(0).tasks().empty(); }));
  CHECK(eventually([&] { return cluster.status().workers.size() == 1; }));
  CHECK(cluster.status().jobs.at(0).requeued_chunks >= 2);
  job.let_go();
  CHECK(are_squares(job.results(), 200, kOrder));
}

TEST_CASE("all workers may be killed: the job waits, and goes on with the next that comes") {
  Cluster cluster({.workers = 1, .heartbeat = std::chrono::milliseconds(100)});
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  std::vector<int> results;
  for (const int y :
       pool.imap([](int x) { return x * x; }, std::views::iota(0, 5000), {.chunksize = 10})) {
    results.push_back(y);
    if (results.size() != 100) continue;
    cluster.worker(0).process().kill();
    cluster.add_worker();
  }
  CHECK(results == serial_squares(5000));
}

TEST_CASE("a worker that joins in the middle of a job takes part") {
  Cluster cluster({.workers = 1});
  HeldJob job(cluster.endpoint(), {.held_from = 50});
  REQUIRE(eventually([&] { return job.begun() == 2; }));
  const auto& newcomer = cluster.add_worker();
  CHECK(eventually([&] { return job.begun() == 4; }));
  CHECK(newcomer.tasks().size() == 2);
  job.let_go();
  CHECK(are_squares(job.results(), 200));
}

TEST_CASE("kill -9 of a worker ends its task processes, whatever they are doing") {
  Cluster cluster;
  const TemporaryFolder folder;
  Process client(CLUSTER_CLIENT_PROGRAM,
                 {.arguments = {"hold", "100", folder.path()},
                  .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  CHECK(eventually([&] { return cluster.tasks().size() == 4 && begun_in(folder) >= 4; }));
  cluster.worker(0).process().kill();
  cluster.worker(1).process().kill();
  CHECK(eventually([&] { return cluster.tasks().empty(); }));
}

TEST_CASE("kill -9 of a worker ends what its tasks have started, too") {
  Cluster cluster({.workers = 1, .slots = 1});
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  pool.apply([] {
    if (::fork() == 0) {
      for (;;) ::pause();
    }
  });
  CHECK(cluster.tasks().size() == 2);  // The warm task process, and its child.
  cluster.worker(0).process().kill();
  CHECK(eventually([&] { return cluster.tasks().empty(); }));
}
