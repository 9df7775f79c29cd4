// Values above the broker's limit are clear errors where they are made, and nothing else suffers.
#include "tests/cluster/held_work.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/cluster.hpp"

using namespace achilles::tests;
using Catch::Matchers::Contains;

namespace {

constexpr std::size_t kMiB = 1 << 20;

std::size_t size_of(const std::string& text) {
  return text.size();
}
std::string text_of(std::size_t size) {
  return std::string(size, 'x');
}

struct Limited {
  Cluster cluster{{.workers = 1, .broker_arguments = {"--max-payload-mib", "2"}}};
  achilles::Pool pool = achilles::Pool::connect(cluster.endpoint());
  ~Limited() { CHECK(cluster.status().rejected_messages == 0); }
};

}  // namespace

TEST_CASE("an item of exactly the limit passes, alone and behind others") {
  Limited limited;
  std::vector<std::string> inputs{text_of(1), text_of(2 * kMiB), text_of(200'000),
                                  text_of(7), text_of(2 * kMiB), text_of(2 * kMiB - 1),
                                  text_of(0)};
  std::vector<std::size_t> expected;
  for (const auto& text : inputs) expected.push_back(text.size());
  const auto chunksize = GENERATE(0, 1, 7);
  CHECK(limited.pool.map(achilles::fn<&size_of>, inputs,
                         {.chunksize = static_cast<std::uint64_t>(chunksize)}) == expected);
}

TEST_CASE("an item above the limit ends the input, after the results of those before it") {
  Limited limited;
  const std::vector<std::size_t> sizes{5, 2 * kMiB, 2 * kMiB + 1, 7};
  std::vector<std::size_t> seen;
  try {
    for (const auto size :
         limited.pool.imap(achilles::fn<&size_of>, sizes | std::views::transform(&text_of))) {
      seen.push_back(size);
    }
    FAIL("it passed");
  } catch (const achilles::ItemTooLarge& error) {
    CHECK(error.index() == 2);
    CHECK(error.bytes() == 2 * kMiB + 1);
    CHECK(error.bytes_max() == 2 * kMiB);
    CHECK_THAT(error.what(), Contains("item 2 takes 2097153 bytes, at most 2097152 can be sent"));
    CHECK_THAT(error.what(), Contains("--max-payload-mib"));
  }
  CHECK(seen == std::vector<std::size_t>{5, 2 * kMiB});
  CHECK_THROWS_AS(limited.pool.apply(achilles::fn<&size_of>, text_of(3 * kMiB)),
                  achilles::ItemTooLarge);
  CHECK(limited.pool.apply(achilles::fn<&size_of>, text_of(kMiB)) == kMiB);
}

TEST_CASE("a result above the limit is an error in its place") {
  Limited limited;
  const std::vector<std::size_t> sizes{5, 2 * kMiB, 2 * kMiB + 1, 7};
  std::vector<std::size_t> seen;
  auto results = limited.pool.imap(achilles::fn<&text_of>, sizes, {.chunksize = 1});
  for (auto at = results.begin(); at != results.end(); ++at) {
    if (at.index() != 2) {
      seen.push_back((*at).size());
      continue;
    }
    try {
      static_cast<void>(*at);
      FAIL("it passed");
    } catch (const achilles::RemoteError& error) {
      CHECK(error.kind() == achilles::RemoteError::Kind::kResultUnencodable);
      CHECK(error.index() == 2);
      CHECK_THAT(error.what(), Contains("it takes 2097153 bytes, at most 2097152 can be sent"));
      CHECK_THAT(error.what(), Contains("--max-payload-mib"));
    }
  }
  CHECK(seen == std::vector<std::size_t>{5, 2 * kMiB, 7});
}

TEST_CASE("results that are too large only together say so") {
  Limited limited;
  const std::vector<std::size_t> sizes{kMiB, kMiB, kMiB};
  auto results = limited.pool.imap(achilles::fn<&text_of>, sizes, {.chunksize = 3});
  auto at = results.begin();
  CHECK((*at).size() == kMiB);
  CHECK((*++at).size() == kMiB);
  ++at;
  CHECK_THROWS_WITH(*at, Contains("its chunk's results take 3145728 bytes together, at most "
                                  "2097152 can be sent; set a smaller chunksize"));
}
