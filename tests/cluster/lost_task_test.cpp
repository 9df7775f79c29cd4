// Task processes that are killed in the middle of a job.
#include <algorithm>
#include <csignal>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

TEST_CASE("kill -9 of task processes in the middle of a job: every result once, in order") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  HeldJob job(cluster.endpoint(), {.held_from = 50});
  REQUIRE(eventually([&] { return job.begun() == 4; }));
  const auto children = children_of(cluster.worker(0).pid());
  const auto tasks = cluster.worker(0).tasks();
  REQUIRE(children.size() == 2);
  CHECK(std::is_permutation(children.begin(), children.end(), tasks.begin(), tasks.end()));
  for (const pid_t pid : children) ::kill(pid, SIGKILL);
  // The worker starts others in their place.
  CHECK(eventually([&] {
    const auto now = children_of(cluster.worker(0).pid());
    return now.size() == 2 && now[0] != children[0] && now[1] != children[1];
  }));
  job.let_go();
  CHECK(are_squares(job.results(), 200));
  std::uint64_t crashes = 0;
  for (const auto& worker : cluster.status().workers) crashes += worker.crashes;
  CHECK(crashes == 2);
}

TEST_CASE("kill -9 of task processes among chunks of many items") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  constexpr int kCount = 30'000;
  std::vector<int> seen(kCount, 0);
  int count = 0;
  for (auto [index, y] : pool.imap_unordered([](int x) { return x + 1; },
                                             std::views::iota(0, kCount), {.chunksize = 20})
                             .indexed()) {
    if (y != static_cast<int>(index) + 1) FAIL("result " << index << " is another's");
    ++seen.at(index);
    if (++count % 10'000 != 1000) continue;
    for (const pid_t pid : cluster.tasks()) ::kill(pid, SIGKILL);
  }
  CHECK(seen == std::vector<int>(kCount, 1));
}
