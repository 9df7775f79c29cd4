// Memory is bounded on every hop, whether or not the consumer keeps up.
#include <sstream>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kMemoryIsMeasured = false;  // The sanitizer keeps what was freed.
constexpr std::uint64_t kCount = 400'000;
#else
constexpr bool kMemoryIsMeasured = true;
constexpr std::uint64_t kCount = 4'000'000;
#endif
constexpr std::uint64_t kAllowedGrowth = 48ULL << 20;

std::vector<std::uint64_t> numbers_in(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::uint64_t> result;
  for (std::uint64_t number = 0; in >> number;) result.push_back(number);
  return result;
}

/// Waits until the job has stood still for several looks.
void wait_until_still(const Cluster& cluster) {
  int still = 0;
  std::vector<JobNews> last;
  CHECK(eventually([&] {
    auto jobs = cluster.status().jobs;
    still = jobs == last && !jobs.empty() && jobs[0].running_items == 0 ? still + 1 : 0;
    last = std::move(jobs);
    return still == 5;
  }));
}

}  // namespace

TEST_CASE("millions of inputs and a consumer that stalls take no more memory than a few") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  const TemporaryFolder folder;
  Process client(CLUSTER_CLIENT_PROGRAM,
                 {.arguments = {"stream", std::to_string(kCount), folder.path()},
                  .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  REQUIRE(!client.first_line().empty());  // Warm: code, buffers and the program are in memory.
  const std::vector<pid_t> daemons{cluster.broker().pid(), cluster.worker(0).pid(),
                                   cluster.worker(1).pid()};
  std::vector<std::uint64_t> before;
  for (const pid_t pid : daemons) before.push_back(memory_of(pid, "VmHWM"));
  let_go(folder);
  REQUIRE(eventually([&] { return std::filesystem::exists(folder / "stalled"); }));
  wait_until_still(cluster);
  touch(folder / "resume");
  REQUIRE(client.wait() == kSucceeded);
  for (std::size_t i = 0; i < daemons.size(); ++i) {
    if (kMemoryIsMeasured) CHECK(memory_of(daemons[i], "VmHWM") < before[i] + kAllowedGrowth);
  }
  const auto said = numbers_in(client.out());  // Memory before and after, results, their sum.
  REQUIRE(said.size() == 4);
  if (kMemoryIsMeasured) CHECK(said[1] < said[0] + kAllowedGrowth);
  CHECK(said[2] == kCount);
  CHECK(said[3] == kCount * (kCount + 1) / 2);
}
