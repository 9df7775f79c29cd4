// Several jobs at once: of one client, and of several.
#include <array>
#include <atomic>
#include <thread>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

int slow_square(int x) {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return x * x;
}

}  // namespace

TEST_CASE("two clients at once both finish") {
  Cluster cluster;
  Process other(CLUSTER_CLIENT_PROGRAM, {.arguments = {"squares", "1000"},
                                         .environment = {{"ACHILLES_BROKER", cluster.endpoint()}}});
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  CHECK(pool.map([](int x) { return x * x; }, std::views::iota(0, 1000)) == serial_squares(1000));
  CHECK(other.wait() == kSucceeded);
  CHECK(other.out() == "332833500\n");
}

TEST_CASE("two imaps of one client are read in turn, and none holds the other up") {
  Cluster cluster;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  auto squares = pool.imap([](int x) { return x * x; }, std::views::iota(0, 3000));
  auto triples = pool.imap([](int x) { return 3 * x; }, std::views::iota(0, 3000));
  auto triple = triples.begin();
  int x = 0;
  for (const int square : squares) {
    REQUIRE(square == x * x);
    REQUIRE(*triple == 3 * x);
    ++triple;
    ++x;
  }
  CHECK(x == 3000);
  CHECK((triple == triples.end()));
}

TEST_CASE("one Pool serves several threads") {
  Cluster cluster;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  std::array<std::vector<int>, 4> results;
  std::vector<std::thread> threads;
  for (auto& mine : results) {
    threads.emplace_back(
        [&] { mine = pool.map([](int x) { return x * x; }, std::views::iota(0, 1000)); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& mine : results) CHECK(mine == serial_squares(1000));
}

TEST_CASE("a short job finishes long before the long one that runs already") {
  Cluster cluster;
  constexpr int kLong = 600;
  std::atomic<int> long_done = 0;
  std::thread long_job([&] {
    const auto pool = achilles::Pool::connect(cluster.endpoint());
    for (const int y : pool.imap(slow_square, std::views::iota(0, kLong))) {
      (void)y;
      ++long_done;
    }
  });
  CHECK(eventually([&] { return long_done > 10; }));
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  CHECK(pool.map(slow_square, std::views::iota(0, 8), {.chunksize = 1}) == serial_squares(8));
  CHECK(long_done < kLong / 2);
  long_job.join();
  CHECK(long_done == kLong);
}
