// How programs come to the workers: once, by their hash, verified.
#include <sys/stat.h>

#include <fstream>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

namespace fs = std::filesystem;

Process squares(const Cluster& cluster, const fs::path& program = CLUSTER_CLIENT_PROGRAM) {
  return Process(program, {.arguments = {"squares", "1000"},
                           .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
}

void run_squares(const Cluster& cluster) {
  Process client = squares(cluster);
  CHECK(client.wait() == kSucceeded);
  CHECK(client.out() == "332833500\n");
}

/// Differs when the file was written anew.
ino_t file_number(const fs::path& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

bool same_bytes(const fs::path& one, const fs::path& other) {
  return read_file(one) == read_file(other);
}

/// Each worker's only program; waits until it is there: it is written beside the work.
fs::path only_program(const Worker& worker) {
  REQUIRE(eventually([&] { return worker.programs().size() == 1; }));
  return worker.programs()[0];
}

}  // namespace

TEST_CASE("a program is fetched once by each worker, and kept") {
  Cluster cluster({.workers = 2, .slots = 2});
  cluster.wait_for_workers(2);
  const TemporaryFolder folder;
  Process client(CLUSTER_CLIENT_PROGRAM,
                 {.arguments = {"hold", "4", folder.path()},
                  .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  REQUIRE(eventually([&] { return begun_in(folder) == 4; }));
  let_go(folder);
  CHECK(client.wait() == kSucceeded);

  std::vector<ino_t> before;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto program = only_program(cluster.worker(i));
    CHECK(same_bytes(program, CLUSTER_CLIENT_PROGRAM));
    before.push_back(file_number(program));
  }
  run_squares(cluster);
  for (std::size_t i = 0; i < 2; ++i) {  // Also after a new start.
    cluster.worker(i).process().kill();
    cluster.worker(i).restart();
  }
  run_squares(cluster);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(file_number(only_program(cluster.worker(i))) == before[i]);
  }
}

TEST_CASE("a file in the cache that was tampered with is not run, but fetched again") {
  Cluster cluster({.workers = 1});
  run_squares(cluster);
  auto& worker = cluster.worker(0);
  const auto program = only_program(worker);
  worker.process().kill();
  {
    std::fstream file(program, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(fs::file_size(program) / 2));
    file.write("tampered", 8);
  }
  CHECK_FALSE(same_bytes(program, CLUSTER_CLIENT_PROGRAM));
  worker.restart();
  run_squares(cluster);
  CHECK(eventually([&] {
    return worker.programs().size() == 1 && same_bytes(program, CLUSTER_CLIENT_PROGRAM);
  }));
}

TEST_CASE("the executable may be replaced or removed while the program runs") {
  Cluster cluster({.workers = 1});
  const TemporaryFolder folder;
  const auto program = folder / "program";
  fs::copy_file(CLUSTER_CLIENT_PROGRAM, program);
  Process client(program, {.arguments = {"squares-later", "1000", folder / "go"},
                           .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  fs::remove(program);
  std::ofstream(program) << "another build";
  let_go(folder);
  CHECK(client.wait() == kSucceeded);
  CHECK(client.out() == "332833500\n");
}

TEST_CASE("two programs at once keep to their own task processes") {
  Cluster cluster({.workers = 1, .slots = 1});
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  auto mine = pool.imap([](int x) { return x * x; }, std::views::iota(0, 500), {.chunksize = 1});
  Process other = squares(cluster);
  std::vector<int> results;
  for (const int y : mine) results.push_back(y);
  CHECK(results == serial_squares(500));
  CHECK(other.wait() == kSucceeded);
  CHECK(other.out() == "332833500\n");
  CHECK(eventually([&] { return cluster.worker(0).programs().size() == 2; }));
}
