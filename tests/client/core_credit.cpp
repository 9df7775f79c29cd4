// What may be sent, and how many results may come: windows and credit.
#include "tests/client/core_harness.hpp"

using namespace achilles::client;
using namespace achilles::client::testing;

namespace {

/// What a result of one item costs.
constexpr std::uint64_t cost(std::uint64_t bytes) {
  return bytes + p::kResultOverheadBytes;
}

}  // namespace

TEST_CASE("nothing is submitted before the job has a window") {
  Harness client;
  client.in_session();
  client.open();
  CHECK_FALSE(client.session.wants_input(job_id(1)));
  client.chunk();
  client.none();
  client.window(2);
  CHECK(client.submitted() == Indices{0});
  client.woken();
}

TEST_CASE("a job begins within the first window that WELCOME told, and goes on within its own") {
  Harness client;
  client.connect();
  client.welcome(2);
  client.take<Connected>();
  client.open();
  CHECK(client.session.wants_input(job_id(1)));
  client.chunk();
  CHECK(client.submitted() == Indices{0});
  client.chunk();
  CHECK(client.submitted() == Indices{1});
  client.chunk();
  client.none();  // Two are under way.
  client.window(3);
  CHECK(client.submitted() == Indices{2});
  client.none();
}

TEST_CASE("the first window bounds bytes as well, and lets one large chunk go alone") {
  Harness client;
  client.connect();
  client.welcome(5);
  client.take<Connected>();
  client.open();
  client.chunk(1, 1, 80);  // The window has 50.
  CHECK(client.submitted() == Indices{0});
  client.chunk();
  client.none();
}

TEST_CASE("where no worker is known a job waits for its window: how to cut it is not known") {
  Harness client;
  client.slots = 0;
  client.connect();
  client.welcome(2);
  client.take<Connected>();
  client.open();
  client.chunk();
  client.none();
  client.window(1);  // From now on slots are known.
  CHECK(client.submitted() == Indices{0});
  client.open(2);
  client.chunk(1, 2);
  CHECK(client.submitted() == Indices{0});
}

TEST_CASE("the window bounds the chunks that are under way") {
  Harness client;
  client.in_session();
  client.open();
  client.window(2);
  client.woken();
  client.chunk();
  client.chunk_sent(0);
  client.chunk();
  client.chunk_sent(1);
  CHECK_FALSE(client.session.wants_input(job_id(1)));
  client.chunk();  // Input that is all there at the call waits here.
  client.chunk();
  client.none();
  client.results(1);
  CHECK(client.submitted() == Indices{2});
  client.none();
  client.results(0);
  CHECK(client.submitted() == Indices{3});
  client.woken();
}

TEST_CASE("chunks of a chosen size may come several in one piece, as many as the window takes") {
  Harness client;
  client.in_session();
  client.open(1, true, 3);
  client.window(4);
  client.woken();
  CHECK(client.session.chunks_wanted(job_id(1)) == 4);
  client.chunk(7);
  const auto submit = client.sent<p::Submit>();
  REQUIRE(submit.chunks.size() == 3);
  const auto input = items_of(7);
  const std::uint64_t counts[] = {3, 3, 1};
  for (std::uint64_t i = 0, first = 0; i < 3; first += counts[i++]) {
    CHECK(submit.chunks[i].first == first);
    CHECK(submit.chunks[i].items == p::slice(input, first, counts[i]));
  }
  CHECK(client.session.chunks_wanted(job_id(1)) == 1);
  client.chunk(1);
  client.chunk_sent(7);
}

TEST_CASE("chunks whose size follows what items take come one by one") {
  Harness client;
  client.in_session();
  client.open(1, true, 0);
  client.window(4);
  client.woken();
  CHECK(client.session.chunks_wanted(job_id(1)) == 1);
  client.chunk(7);
  const auto submit = client.sent<p::Submit>();
  REQUIRE(submit.chunks.size() == 1);
  CHECK(submit.chunks[0].items == items_of(7));
}

TEST_CASE("the window bounds the bytes under way, but never stops the job") {
  Harness client;
  client.in_session();
  client.open();
  client.window(100, 50);
  client.woken();
  client.chunk(1, 1, 80);  // Larger than the window: alone, it goes.
  client.chunk_sent(0);
  CHECK_FALSE(client.session.wants_input(job_id(1)));
  client.chunk(1, 1, 30);
  client.chunk(1, 1, 30);
  client.none();
  client.results(0);
  CHECK(client.submitted() == Indices{1});
  client.woken();
}

TEST_CASE("a window that shrinks below what is under way takes effect as results come") {
  Harness client;
  client.in_session();
  client.open();
  client.under_way(4);
  client.window(1);
  client.chunk();
  client.none();
  for (const p::ItemIndex item : {3, 2, 1}) client.results(item);
  client.none();
  client.results(0);
  CHECK(client.submitted() == Indices{4});
  client.woken();
}

TEST_CASE("many small chunks go in messages of bounded size") {
  Harness client;
  client.in_session();
  client.open();
  for (std::uint64_t i = 0; i < p::kBatchChunks + 5; ++i) client.chunk();
  client.window(1 << 16);
  CHECK(client.submitted().size() == p::kBatchChunks);
  CHECK(client.submitted().size() == 5);
  client.woken();
}

TEST_CASE("large chunks go in messages of bounded size") {
  Harness client;
  client.in_session();
  client.open();
  for (int i = 0; i < 5; ++i) client.chunk(1, 1, p::kBatchBytes / 2);
  client.chunk(1, 1, 3 * p::kBatchBytes);
  client.window(1 << 16, 1 << 30);
  CHECK(client.submitted() == Indices{0, 1});
  CHECK(client.submitted() == Indices{2, 3});
  CHECK(client.submitted() == Indices{4});
  CHECK(client.submitted() == Indices{5});
  client.woken();
}

TEST_CASE("a job's opening tells all of its credit and the item that comes first") {
  Harness client(1000);
  client.in_session();
  JobOpened opened;
  opened.spec.job = job_id(1);
  client.feed(opened);
  client.sent<p::OpenJob>();
  const auto credit = client.sent<p::ResultCredit>();
  CHECK(credit.total_bytes == 1000);
  CHECK(credit.wanted == 0U);
}

TEST_CASE("credit is told when a quarter of it is new, not for each result") {
  Harness client(10 * cost(8));
  client.in_session();
  client.open();
  client.under_way(6);
  for (p::ItemIndex item = 0; item < 6; ++item) {
    client.results(item);
    client.drop<p::Heartbeat>();
    if (!client.commands.empty()) client.woken();
  }
  CHECK(client.taken() == 0);
  CHECK(client.taken() == 1);
  client.none();
  CHECK(client.taken() == 2);
  const auto credit = client.sent<p::ResultCredit>();
  CHECK(credit.total_bytes == 13 * cost(8));
  CHECK(credit.wanted == 3U);
}

TEST_CASE("results that nobody takes bring no credit") {
  Harness client(10 * cost(8));
  client.in_session();
  client.open();
  client.under_way(20);
  for (p::ItemIndex item = 19; item > 0; --item) client.results(item);
  client.none();
}

TEST_CASE("the item that is waited for is told after 5 ms") {
  Harness client;
  client.in_session();
  client.open();
  client.under_way(3);
  client.results(0);
  client.woken();
  CHECK(client.taken() == 0);
  client.waits();
  client.pass(4ms);
  client.waits();  // Once more: it has been waiting since.
  client.none();
  client.pass(1ms);
  CHECK(client.sent<p::ResultCredit>().wanted == 1U);
  client.pass(500ms);
  client.none();  // It was told; it is not told again.
}

TEST_CASE("a wait that ends within 5 ms costs no message") {
  Harness client;
  client.in_session();
  client.open();
  client.under_way(3);
  client.results(0);
  client.woken();
  CHECK(client.taken() == 0);
  client.waits();
  client.pass(4ms);
  client.results(1);
  client.woken();
  CHECK(client.taken() == 1);
  client.pass(100ms);
  client.none();
}

TEST_CASE("when no credit is left the item that is waited for is told at once") {
  Harness client(10 * cost(8));
  client.in_session();
  client.open();
  client.under_way(20);
  client.results(0);
  client.woken();
  for (p::ItemIndex item = 3; item < 12; ++item) client.results(item);  // 1 and 2 are slow.
  CHECK(client.taken() == 0);
  client.none();
  client.waits();
  const auto credit = client.sent<p::ResultCredit>();
  CHECK(credit.wanted == 1U);
  CHECK(credit.total_bytes == 11 * cost(8));
}

TEST_CASE("where order does not matter no item is wanted") {
  Harness client;
  client.in_session();
  client.open(1, false);
  client.under_way(3);
  client.waits();
  client.pass(100ms);
  client.none();
  client.results(2);
  client.woken();
  CHECK(client.taken() == 2);
}

TEST_CASE("one job's unread results do not stop another") {
  Harness client(4 * cost(8));
  client.in_session();
  client.open(1);
  client.open(2);
  client.under_way(8, 1);
  client.under_way(8, 2);
  for (p::ItemIndex item = 0; item < 4; ++item) {
    client.results(item, 1, 8, 1);
    if (item == 0) client.woken(1);
  }
  client.none();  // The first job's credit is used up.
  for (p::ItemIndex item = 0; item < 8; ++item) {
    client.results(item, 1, 8, 2);
    client.woken(2);
    CHECK(client.taken(2) == item);
    const auto credit = client.sent<p::ResultCredit>();
    CHECK(credit.job == job_id(2));
    CHECK(credit.total_bytes == (item + 5) * cost(8));
  }
  CHECK(client.session.has_result(job_id(1)));
}
