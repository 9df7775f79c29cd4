// Programs that cannot be sent, or cannot run where they were sent.
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

Process start(const char* program, const std::string& broker,
              std::vector<std::string> arguments = {}) {
  ProcessOptions options;
  options.arguments = std::move(arguments);
  if (!broker.empty()) options.environment = {{"ACHILLES_BROKER", broker}};
  options.environment.emplace("XDG_CONFIG_HOME", "/nonexistent");
  // The program and its library both contain achilles: to a sanitizer that is a fault of its own.
  options.environment.emplace("ASAN_OPTIONS", "detect_odr_violation=0");
  return Process(program, std::move(options));
}

}  // namespace

TEST_CASE("a program with a shared library of its own runs embedded, and is refused on a cluster") {
  Process embedded = start(LIBRARY_CLIENT_PROGRAM, "");
  CHECK(embedded.wait() == kSucceeded);
  CHECK(embedded.out() == "18\n");
  CHECK(embedded.err().empty());

  Cluster cluster({.workers = 1});
  Process remote = start(LIBRARY_CLIENT_PROGRAM, cluster.endpoint());
  CHECK(remote.wait() == Ending{3, 0});
  CHECK_THAT(remote.err(), Catch::Matchers::StartsWith("NotShippable: "));
  CHECK_THAT(remote.err(), Catch::Matchers::Contains("libcluster_foreign.so"));
}

TEST_CASE("a Pool call inside a shared library is refused, embedded and on a cluster") {
  Process embedded = start(LIBRARY_CLIENT_PROGRAM, "", {"inside"});
  CHECK(embedded.wait() == Ending{3, 0});
  CHECK_THAT(embedded.err(), Catch::Matchers::StartsWith("NotShippable: "));
  CHECK_THAT(embedded.err(), Catch::Matchers::Contains("shared library"));

  Cluster cluster({.workers = 1});
  Process remote = start(LIBRARY_CLIENT_PROGRAM, cluster.endpoint(), {"inside"});
  CHECK(remote.wait() == Ending{3, 0});
  CHECK_THAT(remote.err(), Catch::Matchers::StartsWith("NotShippable: "));
}

TEST_CASE("a program that needs newer libraries than all workers have fails with what is missing") {
  Cluster cluster({.worker_environment = {{"LD_LIBRARY_PATH", OLD_LIBRARIES_FOLDER}}});
  cluster.wait_for_workers(2);
  Process client = start(OPENMP_CLIENT_PROGRAM, cluster.endpoint());
  CHECK(client.wait() == Ending{3, 0});
  CHECK_THAT(client.err(), Catch::Matchers::StartsWith("JobFailed: "));
  CHECK_THAT(client.err(), Catch::Matchers::Contains("libgomp.so.1"));
  CHECK_THAT(client.err(), Catch::Matchers::Contains("OMP_1.0"));
  CHECK(cluster.tasks().empty());  // Nothing was tried.
}

TEST_CASE("a program that one worker refuses runs on the others") {
  Cluster cluster(
      {.workers = 1, .worker_environment = {{"LD_LIBRARY_PATH", OLD_LIBRARIES_FOLDER}}});
  cluster.wait_for_workers(1);
  Worker able(cluster.endpoint(), "able", 1, {});
  cluster.wait_for_workers(2);
  Process client = start(OPENMP_CLIENT_PROGRAM, cluster.endpoint());
  CHECK(client.wait() == kSucceeded);
  CHECK(client.out() == "1\n2\n3\n");
}
