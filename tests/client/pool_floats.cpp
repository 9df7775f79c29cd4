// Floating-point values arrive bit for bit, wherever they stand.
#include <achilles/pool.hpp>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

/// Values that a careless encoding changes: zeros by sign, NaNs by payload, the smallest, whole
/// ones.
std::vector<double> delicate_doubles() {
  using Limits = std::numeric_limits<double>;
  return {0.0,
          -0.0,
          1.0,
          -3.0,
          0.1,
          Limits::denorm_min(),
          -Limits::denorm_min(),
          std::bit_cast<double>(0x000F'FFFF'FFFF'FFFFULL),
          Limits::max(),
          Limits::infinity(),
          -Limits::infinity(),
          std::bit_cast<double>(0x7FF8'0000'0000'0000ULL),
          std::bit_cast<double>(0xFFF8'DEAD'BEEF'0001ULL),
          std::bit_cast<double>(0x7FF0'0000'0000'0001ULL),  // Signalling.
          9007199254740993.0,
          18446744073709551616.0};
}
std::vector<float> delicate_floats() {
  using Limits = std::numeric_limits<float>;
  return {0.0F,
          -0.0F,
          7.0F,
          0.1F,
          Limits::denorm_min(),
          -Limits::max(),
          -Limits::infinity(),
          std::bit_cast<float>(0x7FC1'2345U),
          std::bit_cast<float>(0xFFC0'0001U),
          16777216.0F};
}

std::uint64_t bits(double value) {
  return std::bit_cast<std::uint64_t>(value);
}
std::uint64_t bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}
template <class T>
std::vector<std::uint64_t> bits(const std::vector<T>& values) {
  std::vector<std::uint64_t> all;
  for (const T& value : values) all.push_back(bits(value));
  return all;
}

struct Measurement {
  double value = 1;
  float error = 1;
  std::vector<double> samples;
  std::map<int, float> by_sensor;
  std::optional<double> maybe;
  MSGPACK_DEFINE(value, error, samples, by_sensor, maybe)
};

achilles::Pool& pool() {
  static achilles::Pool the_pool = achilles::Pool::local(2);
  return the_pool;
}
const auto same = [](const auto& value) { return value; };

}  // namespace

TEST_CASE("floating-point items and results keep every bit") {
  CHECK(bits(pool().map(same, delicate_doubles())) == bits(delicate_doubles()));
  CHECK(bits(pool().map(same, delicate_floats())) == bits(delicate_floats()));
  // The task process sees them so, too.
  const auto seen = [](double value) { return std::bit_cast<std::uint64_t>(value); };
  CHECK(pool().map(seen, delicate_doubles()) == bits(delicate_doubles()));
  // A signalling NaN of type float: at the top it stays one.
  const auto signalling = std::bit_cast<float>(0x7F80'0001U);
  CHECK(bits(pool().map(same, std::vector{signalling})) ==
        std::vector<std::uint64_t>{0x7F80'0001U});
}

TEST_CASE("floating-point values keep every bit in vectors and vectors of vectors") {
  CHECK(bits(pool().apply(same, delicate_doubles())) == bits(delicate_doubles()));
  CHECK(bits(pool().apply(same, delicate_floats())) == bits(delicate_floats()));
  const std::vector nested{delicate_doubles(), {}, {-0.0}};
  const auto back = pool().apply(same, nested);
  REQUIRE(back.size() == 3);
  CHECK(bits(back[0]) == bits(nested[0]));
  CHECK(bits(back[2]) == bits(nested[2]));
}

TEST_CASE("floating-point values keep every bit in tuples, pairs, optionals and maps") {
  for (const double d : delicate_doubles()) {
    for (const float f : {-0.0F, 3.0F, std::bit_cast<float>(0x7FC1'2345U)}) {
      using All = std::tuple<double, float, std::optional<double>, std::pair<float, double>>;
      const auto [a, b, c, e] = pool().apply(same, All{d, f, d, {f, d}});
      CHECK(bits(a) == bits(d));
      CHECK(bits(b) == bits(f));
      CHECK(bits(c.value()) == bits(d));
      CHECK(bits(e.first) == bits(f));
      CHECK(bits(e.second) == bits(d));
    }
  }
  const auto back = pool().apply(same, std::map<int, double>{{1, -0.0}, {2, 5.0}});
  CHECK(bits(back.at(1)) == bits(-0.0));
  CHECK(bits(back.at(2)) == bits(5.0));
}

TEST_CASE("floating-point values keep every bit in structs with MSGPACK_DEFINE") {
  Measurement sent;
  sent.value = -0.0;
  sent.error = std::bit_cast<float>(0xFFC0'0001U);
  sent.samples = delicate_doubles();
  sent.by_sensor = {{1, -0.0F}, {2, 1.0F}};
  sent.maybe = std::numeric_limits<double>::denorm_min();
  const auto results = pool().map(same, std::vector{sent, sent});
  REQUIRE(results.size() == 2);
  const auto& got = results[1];
  CHECK(bits(got.value) == bits(sent.value));
  CHECK(bits(got.error) == bits(sent.error));
  CHECK(bits(got.samples) == bits(sent.samples));
  CHECK(bits(got.by_sensor.at(1)) == bits(-0.0F));
  CHECK(bits(got.maybe.value()) == bits(*sent.maybe));
}
