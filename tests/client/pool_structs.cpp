// The user's own types as items, bound values and results.
#include <achilles/pool.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

namespace pool_structs {

enum class Shape { kRound, kFlat };

struct Point {
  int x = 0;
  int y = 0;
  bool operator==(const Point&) const = default;
  MSGPACK_DEFINE(x, y)
};

struct Drawing {
  std::string title;
  Shape shape = Shape::kRound;
  std::vector<Point> points;
  std::map<std::string, std::optional<Point>> named;
  bool operator==(const Drawing&) const = default;
  MSGPACK_DEFINE_MAP(title, shape, points, named)
};

/// No default constructor: read by an adaptor of its own.
class Degrees {
 public:
  explicit Degrees(double value) : value_(value) {}
  double value() const { return value_; }
  bool operator==(const Degrees&) const = default;

 private:
  double value_;
};

}  // namespace pool_structs

namespace msgpack {
MSGPACK_API_VERSION_NAMESPACE(MSGPACK_DEFAULT_API_NS) {
  namespace adaptor {
  template <>
  struct pack<pool_structs::Degrees> {
    template <class Stream>
    packer<Stream>& operator()(packer<Stream>& out, const pool_structs::Degrees& degrees) const {
      return out.pack(degrees.value());
    }
  };
  template <>
  struct as<pool_structs::Degrees> {
    pool_structs::Degrees operator()(const msgpack::object& in) const {
      return pool_structs::Degrees(in.as<double>());
    }
  };
  }  // namespace adaptor
}
}  // namespace msgpack

template <>
inline constexpr bool achilles::has_msgpack_adaptor<pool_structs::Degrees> = true;

using namespace pool_structs;

namespace {

achilles::Pool& pool() {
  static achilles::Pool the_pool = achilles::Pool::local(2);
  return the_pool;
}
const Drawing kDrawing{
    "a title", Shape::kFlat, {{1, 2}, {-3, 4}}, {{"here", Point{5, 6}}, {"nowhere", {}}}};

}  // namespace

TEST_CASE("structs with MSGPACK_DEFINE are items and results") {
  const auto mirror = [](Point p) { return Point{p.y, p.x}; };
  CHECK(pool().map(mirror, std::vector<Point>{{1, 2}, {3, 4}}) ==
        std::vector<Point>{{2, 1}, {4, 3}});
  const auto same = [](const Drawing& drawing) { return drawing; };
  CHECK(pool().map(same, std::vector{kDrawing, Drawing{}}) == std::vector{kDrawing, Drawing{}});
}

TEST_CASE("structs stand inside containers and tuples") {
  const auto all = [](const std::vector<Drawing>& drawings) {
    return std::tuple(drawings, drawings.size());
  };
  const auto [drawings, count] = pool().apply(all, std::vector{kDrawing, kDrawing});
  CHECK(count == 2);
  CHECK(drawings == std::vector{kDrawing, kDrawing});
}

TEST_CASE("items and results need no default constructor") {
  const auto turn = [](const Degrees& d) { return Degrees(d.value() + 180); };
  const auto turned = pool().map(turn, std::vector{Degrees(1), Degrees(-0.5)});
  CHECK(turned == std::vector{Degrees(181), Degrees(179.5)});
  CHECK(pool().apply(turn, Degrees(0)) == Degrees(180));
  for (const auto& degrees : pool().imap(turn, std::vector{Degrees(3)}))
    CHECK(degrees == Degrees(183));
  const auto several = [](int n) {
    return std::vector<Degrees>(static_cast<std::size_t>(n), Degrees(2));
  };
  CHECK(pool().apply(several, 3) == std::vector<Degrees>(3, Degrees(2)));
}
