// Errors of the user's code: how they come back.
#include <unistd.h>

#include <achilles/pool.hpp>
#include <algorithm>
#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

using achilles::RemoteError;

namespace pool_errors {

struct OutOfPaint : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Its encoding fails when it is negative, its decoding when it is above 100.
struct Fussy {
  int value = 0;
  template <class Packer>
  void msgpack_pack(Packer& packer) const {
    if (value < 0) throw std::domain_error("cannot pack " + std::to_string(value));
    packer.pack(value);
  }
  void msgpack_unpack(const msgpack::object& object) {
    value = object.as<int>();
    if (value > 100) throw std::range_error("cannot unpack " + std::to_string(value));
  }
};

}  // namespace pool_errors

using namespace pool_errors;

namespace {

achilles::Pool& pool() {
  static achilles::Pool the_pool = achilles::Pool::local(2);
  return the_pool;
}

template <class Call>
RemoteError error_of(Call call) {
  try {
    call();
  } catch (const RemoteError& error) {
    return error;
  }
  throw std::logic_error("the call did not fail");
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

TEST_CASE("an exception comes back with its type, its text and its place") {
  const auto fail = [](int x) {
    if (x == 7) throw OutOfPaint("no more red");
    return x;
  };
  const auto error = error_of([&] { pool().map(fail, std::views::iota(0, 20)); });
  CHECK(error.kind() == RemoteError::Kind::kException);
  CHECK(error.type_name() == "pool_errors::OutOfPaint");
  CHECK(error.message() == "no more red");
  CHECK(error.index() == 7);
  CHECK(has(error.job(), "/"));
  CHECK(error.worker() == "embedded");
  CHECK(error.host() == host_name());
  CHECK(std::ranges::count(pool().task_pids(), static_cast<int>(error.pid())) == 1);
  const std::string what = error.what();
  for (const std::string& part : {std::string("item 7"), error.job(), error.type_name(),
                                  error.message(), error.host(), std::to_string(error.pid())}) {
    CHECK(has(what, part));
  }
}

TEST_CASE("each job has a name of its own") {
  const auto fail = [](int) -> int { throw OutOfPaint("always"); };
  CHECK(error_of([&] { pool().apply(fail, 1); }).job() !=
        error_of([&] { pool().apply(fail, 1); }).job());
}

TEST_CASE("nested exceptions come back, outermost first") {
  const auto fail = [](int) {
    try {
      try {
        throw std::out_of_range("the cause");
      } catch (...) {
        std::throw_with_nested(OutOfPaint("in between"));
      }
    } catch (...) {
      std::throw_with_nested(std::runtime_error("on top"));
    }
  };
  const auto error = error_of([&] { pool().apply(fail, 1); });
  REQUIRE(error.causes().size() == 3);
  CHECK(error.causes()[0].what == "on top");
  CHECK(has(error.causes()[1].type, "OutOfPaint"));
  CHECK(error.causes()[1].what == "in between");
  CHECK(error.causes()[2].type == "std::out_of_range");
  CHECK(error.causes()[2].what == "the cause");
  CHECK(has(error.what(), "the cause"));
}

TEST_CASE("what is thrown need not be a std::exception") {
  CHECK(error_of([] { pool().apply([](int x) { throw x; }, 42); }).type_name() == "int");
  const auto text = error_of([] { pool().apply([] { throw std::string("a text"); }); });
  CHECK(text.message() == "a text");
  const auto literal = error_of([] { pool().apply([] { throw "a literal"; }); });
  CHECK(literal.message() == "a literal");
  struct Odd {};
  CHECK(has(error_of([] { pool().apply([] { throw Odd{}; }); }).type_name(), "Odd"));
}

TEST_CASE("an error can be copied and kept") {
  std::vector<RemoteError> kept;
  {
    const auto own = achilles::Pool::local(1);
    kept.push_back(error_of([&] { own.apply([](int) { throw OutOfPaint("kept"); }, 1); }));
  }
  CHECK(kept.front().message() == "kept");
}

TEST_CASE("a result that cannot be encoded is an error in its place") {
  const auto make = [](int x) { return Fussy{x == 5 ? -1 : x}; };
  int index = 0;
  auto results = pool().imap(make, std::views::iota(0, 10));
  for (auto at = results.begin(); at != results.end(); ++at, ++index) {
    if (index != 5) {
      CHECK((*at).value == index);
      continue;
    }
    const auto error = error_of([&] { static_cast<void>(*at); });
    CHECK(error.kind() == RemoteError::Kind::kResultUnencodable);
    CHECK(error.index() == 5);
    CHECK(error.type_name() == "std::domain_error");
    CHECK(error.message() == "cannot pack -1");
    CHECK(has(error.what(), "could not be encoded"));
  }
  CHECK(index == 10);
}

TEST_CASE("an input that cannot be decoded is an error in its place") {
  const auto value_of = [](const Fussy& fussy) { return fussy.value; };
  const std::vector<Fussy> inputs{{1}, {101}, {3}};
  auto results = pool().imap(value_of, inputs);
  auto at = results.begin();
  CHECK(*at == 1);
  ++at;
  const auto error = error_of([&] { static_cast<void>(*at); });
  CHECK(error.kind() == RemoteError::Kind::kInputUndecodable);
  CHECK(error.index() == 1);
  CHECK(error.message() == "cannot unpack 101");
  CHECK(has(error.what(), "could not be decoded"));
  ++at;
  CHECK(*at == 3);
}

TEST_CASE("an input that cannot be encoded ends the input with its own exception") {
  const auto value_of = [](const Fussy& fussy) { return fussy.value; };
  const std::vector<Fussy> inputs{{1}, {2}, {-3}, {4}};
  std::vector<int> seen;
  CHECK_THROWS_AS(
      [&] {
        for (const int value : pool().imap(value_of, inputs)) seen.push_back(value);
      }(),
      std::domain_error);
  CHECK(seen == std::vector{1, 2});
  CHECK_THROWS_AS(pool().apply(value_of, Fussy{-1}), std::domain_error);
}

TEST_CASE(
    "a bound value that cannot be decoded fails each item, one that cannot be encoded the call") {
  const auto add = [](const Fussy& fussy, int x) { return fussy.value + x; };
  const auto error =
      error_of([&] { pool().map(achilles::bind(add, Fussy{101}), std::vector{1, 2}); });
  CHECK(error.kind() == RemoteError::Kind::kInputUndecodable);
  CHECK(error.message() == "cannot unpack 101");
  CHECK_THROWS_AS(pool().map(achilles::bind(add, Fussy{-1}), std::vector{1}), std::domain_error);
}

TEST_CASE("a result that cannot be decoded here throws its own exception in its place") {
  const auto make = [](int x) { return Fussy{x}; };
  auto results = pool().imap(make, std::vector{100, 101, 99});
  auto at = results.begin();
  CHECK((*at).value == 100);
  ++at;
  CHECK_THROWS_AS(*at, std::range_error);
  ++at;
  CHECK((*at).value == 99);
}

TEST_CASE("a thousand errors are a thousand results") {
  const auto fail = [](int x) -> int { throw std::runtime_error(std::to_string(x)); };
  auto results = pool().imap(fail, std::views::iota(0, 1000));
  int index = 0;
  for (auto at = results.begin(); at != results.end(); ++at, ++index) {
    try {
      static_cast<void>(*at);
      FAIL("it did not fail");
    } catch (const RemoteError& error) {
      if (error.message() != std::to_string(index)) FAIL(error.message() << " came at " << index);
    }
  }
  CHECK(index == 1000);
}
