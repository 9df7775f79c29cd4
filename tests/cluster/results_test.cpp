// What a Pool answers on a cluster: the same as the loop it stands for, and as the embedded Pool.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;

namespace {

struct Particle {
  int number = 0;
  double mass = 0;
  std::string name;
  std::vector<float> path;
  MSGPACK_DEFINE(number, mass, name, path)
  bool operator==(const Particle&) const = default;
};

Particle heavier(Particle particle) {
  particle.mass *= 2;
  particle.path.push_back(0.1F);
  return particle;
}

std::vector<Particle> some_particles() {
  std::vector<Particle> result;
  for (int i = 0; i < 50; ++i) result.push_back({i, 0.1 * i, "p" + std::to_string(i), {1.5F}});
  return result;
}

/// A little of everything that a Pool can do.
struct Answers {
  std::vector<int> mapped;
  std::vector<int> in_order;
  std::map<std::uint64_t, int> by_index;
  std::vector<Particle> structs;
  std::vector<double> bound;
  std::vector<std::string> words;
  std::string applied;
  std::string failure;
  bool operator==(const Answers&) const = default;
};

Answers ask(const achilles::Pool& pool) {
  Answers answers;
  const int offset = 7;
  const auto function = [offset](int x) { return x * x + offset; };
  answers.mapped = pool.map(function, std::views::iota(0, 2000));
  for (const int y : pool.imap(function, std::views::iota(0, 500), {.chunksize = 3})) {
    answers.in_order.push_back(y);
  }
  for (auto [index, y] : pool.imap_unordered(function, std::views::iota(0, 500)).indexed()) {
    answers.by_index.emplace(index, y);
  }
  answers.structs = pool.map(heavier, some_particles());
  answers.bound = pool.map(
      achilles::bind([](const std::vector<double>& table, std::size_t x) { return table[x % 3]; },
                     std::vector{0.1, -0.0, 1e300}),
      std::views::iota(std::size_t{0}, std::size_t{100}));
  answers.words = pool.map([](const std::string& word) { return word + word; },
                           std::vector<std::string>{"", "a", std::string(100'000, 'x')});
  answers.applied = pool.apply([](int x, std::string y) { return std::to_string(x) + y; }, 4, "2");
  try {
    pool.map([](int x) { return x < 20 ? x : throw std::out_of_range(std::to_string(x)); },
             std::views::iota(0, 200));
  } catch (const achilles::RemoteError& error) {
    answers.failure = std::to_string(error.index()) + error.type_name() + error.message();
  }
  return answers;
}

Answers expected() {
  Answers answers;
  for (int x = 0; x < 2000; ++x) answers.mapped.push_back(x * x + 7);
  answers.in_order.assign(answers.mapped.begin(), answers.mapped.begin() + 500);
  for (std::uint64_t x = 0; x < 500; ++x) answers.by_index.emplace(x, answers.mapped[x]);
  for (const auto& particle : some_particles()) answers.structs.push_back(heavier(particle));
  const std::array table{0.1, -0.0, 1e300};
  for (std::size_t x = 0; x < 100; ++x) answers.bound.push_back(table[x % 3]);
  answers.words = {"", "aa", std::string(200'000, 'x')};
  answers.applied = "42";
  answers.failure = "20std::out_of_range20";
  return answers;
}

std::string own_host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

TEST_CASE("the same program answers the same over TCP, embedded, and in a loop") {
  Cluster cluster;
  const Answers over_tcp = ask(achilles::Pool::connect(cluster.endpoint()));
  CHECK(over_tcp == expected());
  CHECK(ask(achilles::Pool::local(2)) == over_tcp);
}

TEST_CASE("both workers take part, each with its slots") {
  Cluster cluster;
  cluster.wait_for_workers(2);
  HeldJob job(cluster.endpoint(), {.count = 50});
  CHECK(eventually([&] { return job.begun() == 4; }));  // Four at a time, on two slots each.
  CHECK(cluster.worker(0).tasks().size() == 2);
  CHECK(cluster.worker(1).tasks().size() == 2);
  job.let_go();
  CHECK(are_squares(job.results(), 50));
}

TEST_CASE("an exception says on which worker, host and process it was thrown") {
  Cluster cluster({.workers = 1});
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  auto results = pool.imap(
      [](int x) {
        if (x % 2 == 1) throw std::invalid_argument("odd: " + std::to_string(x));
        return x;
      },
      std::views::iota(0, 10), {.chunksize = 4});
  int errors = 0;
  int sum = 0;
  for (auto at = results.begin(); at != results.end(); ++at) {
    try {
      sum += *at;
    } catch (const achilles::RemoteError& error) {
      ++errors;
      CHECK(error.index() % 2 == 1);
      CHECK(error.type_name() == "std::invalid_argument");
      CHECK(error.message() == "odd: " + std::to_string(error.index()));
      CHECK(error.worker() == "w0");
      CHECK(error.host() == own_host_name());
      CHECK(error.pid() != 0);
      CHECK(error.pid() != static_cast<std::uint32_t>(getpid()));
    }
  }
  CHECK(errors == 5);
  CHECK(sum == 20);
}

TEST_CASE("an item that kills its task process every time becomes TaskCrashed, and nothing else") {
  Cluster cluster;
  const auto pool = achilles::Pool::connect(cluster.endpoint()).with({.crash_limit = 2});
  auto results = pool.imap(
      [](int x) {
        if (x == 5) {
          std::fprintf(stderr, "the last words of item %d\n", x);
          std::fflush(stderr);
          std::_Exit(41);
        }
        return x;
      },
      std::views::iota(0, 20));
  int sum = 0;
  int crashes = 0;
  for (auto at = results.begin(); at != results.end(); ++at) {
    try {
      sum += *at;
    } catch (const achilles::TaskCrashed& error) {
      ++crashes;
      CHECK(error.index() == 5);
      CHECK(error.attempts() == 2);
      CHECK(error.worker().starts_with("w"));
      CHECK(error.host() == own_host_name());
      CHECK_THAT(error.ending(), Catch::Matchers::Contains("41"));
      CHECK_THAT(error.stderr_tail(), Catch::Matchers::Contains("the last words of item 5"));
      CHECK_THAT(error.what(), Catch::Matchers::Contains("the last words of item 5"));
    }
  }
  CHECK(crashes == 1);
  CHECK(sum == 190 - 5);
}

TEST_CASE("a large result and a large input travel in one piece") {
  Cluster cluster;
  const auto pool = achilles::Pool::connect(cluster.endpoint());
  const std::string large(20'000'000, 'a');
  const auto doubled = pool.apply([](const std::string& text) { return text + text; }, large);
  CHECK((doubled == large + large));
}
