// AscendingMap against std::map, over drawn sequences of what may be done to both.
#include "protocol/ascending_map.hpp"

#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "protocol/ids.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::protocol;

namespace {

using Model = std::map<std::uint64_t, std::string>;
using Map = AscendingMap<std::uint64_t, std::string>;

bool same(const Map& map, const Model& model) {
  if (map.size() != model.size() || map.empty() != model.empty()) return false;
  auto at = map.begin();
  for (const auto& [key, value] : model) {
    if (at == map.end() || at->first != key || at->second != value) return false;
    ++at;
  }
  if (at != map.end()) return false;
  auto back = map.rbegin();
  for (auto other = model.rbegin(); other != model.rend(); ++other, ++back) {
    if (back->first != other->first) return false;
  }
  return back == map.rend();
}

std::uint64_t key_at(const Map& map, Map::const_iterator at) {
  return at == map.end() ? UINT64_MAX : at->first;
}
std::uint64_t key_at(const Model& model, Model::const_iterator at) {
  return at == model.end() ? UINT64_MAX : at->first;
}

void check_lookups(const Map& map, const Model& model, std::uint64_t key) {
  REQUIRE(map.contains(key) == model.contains(key));
  REQUIRE(key_at(map, map.find(key)) == key_at(model, model.find(key)));
  REQUIRE(key_at(map, map.lower_bound(key)) == key_at(model, model.lower_bound(key)));
  REQUIRE(key_at(map, map.upper_bound(key)) == key_at(model, model.upper_bound(key)));
  if (map.lower_bound(key) != map.begin()) {
    REQUIRE(std::prev(map.lower_bound(key))->first == std::prev(model.lower_bound(key))->first);
  }
}

struct Habits {
  std::uint64_t step;    ///< Between keys that are added at the end.
  int add_at_end = 50;   ///< In a hundred;
  int add_anywhere = 5;  ///< what is left of the hundred is erased, mostly near the front.
};

void live(std::uint64_t seed, const Habits& habits) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint64_t end) { return random() % end; };
  Map map;
  Model model;
  std::uint64_t next = 1'000;
  for (int round = 0; round < 3'000; ++round) {
    const auto what = static_cast<int>(below(100));
    if (what < habits.add_at_end) {
      next += habits.step == 0 ? 1 + below(1'000) : habits.step;
      const bool is_new = model.emplace(next, "end").second;
      REQUIRE(map.emplace(next, "end").second == is_new);
    } else if (what < habits.add_at_end + habits.add_anywhere) {
      const std::uint64_t key = below(next + 100);
      const auto [at, is_new] = map.emplace(key, "any");
      REQUIRE(model.emplace(key, "any").second == is_new);
      REQUIRE(at->first == key);
      REQUIRE(at->second == model.at(key));
    } else if (!model.empty()) {
      auto victim = model.begin();
      std::advance(victim,
                   below(std::min<std::uint64_t>(model.size(), below(20) == 0 ? 1'000 : 9)));
      const std::uint64_t key = victim->first;
      if (below(2) == 0) {
        REQUIRE(map.take(key) == victim->second);
      } else {
        REQUIRE(map.erase(key) == 1);
      }
      model.erase(victim);
      REQUIRE(map.erase(key) == 0);
    }
    check_lookups(map, model, below(next + 2'000));
    if (!model.empty()) check_lookups(map, model, model.begin()->first);
    if (round % 50 == 0) REQUIRE(same(map, model));
  }
  REQUIRE(same(map, model));
}

}  // namespace

TEST_CASE("an AscendingMap is what a std::map would be") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    live(seed, {.step = 1});
    live(seed, {.step = 64});
    live(seed, {.step = 0});
    live(seed, {.step = 1, .add_at_end = 35, .add_anywhere = 20});
    live(seed, {.step = 3, .add_at_end = 90, .add_anywhere = 2});
  }
}

TEST_CASE("an AscendingMap does not grow while one entry at its front stays") {
  AscendingMap<std::uint64_t, std::shared_ptr<int>> map;
  const auto value = std::make_shared<int>(1);
  map.emplace(0, value);
  for (std::uint64_t key = 1; key < 100'000; ++key) {
    map.emplace(key, value);
    if (key > 4) map.erase(key - 4);
  }
  CHECK(map.size() == 5);
  CHECK(map.begin()->first == 0);
  // What is erased is let go at once: this one and those in the map are all that is left.
  CHECK(value.use_count() == 6);
  const auto copy = map;
  map.clear();
  CHECK(map.empty());
  CHECK(map.begin() == map.end());
  CHECK(copy.size() == 5);
  CHECK(copy.at(0) == value);
  CHECK_THROWS_AS(map.at(0), std::out_of_range);
}

TEST_CASE("an AscendingSet of ids, forwards and backwards") {
  AscendingSet<AttemptId> set;
  CHECK(set.insert({7}));
  CHECK(set.insert({3}));
  CHECK_FALSE(set.insert({7}));
  CHECK(set.insert({UINT64_MAX}));
  CHECK(set.contains({3}));
  CHECK(std::vector<AttemptId>(set.begin(), set.end()) ==
        std::vector<AttemptId>{{3}, {7}, {UINT64_MAX}});
  CHECK(set.erase({7}) == 1);
  CHECK(set.erase({7}) == 0);
  CHECK(std::vector<AttemptId>(set.rbegin(), set.rend()) ==
        std::vector<AttemptId>{{UINT64_MAX}, {3}});
  set.clear();
  CHECK(set.empty());
}
