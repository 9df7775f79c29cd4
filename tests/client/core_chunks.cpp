// How chunks are sized, which of their items are still missing, and the order of their results.
#include "client/core/chunk_sizer.hpp"
#include "client/core/outstanding_chunks.hpp"
#include "client/core/reorder_buffer.hpp"
#include "tests/client/core_harness.hpp"

using namespace achilles::client;
using namespace achilles::client::testing;

namespace {

/// First item and count of each piece.
using Runs = std::vector<std::pair<p::ItemIndex, std::uint64_t>>;

Runs runs_of(const std::vector<p::ChunkResult>& pieces) {
  Runs runs;
  for (const auto& piece : pieces) runs.emplace_back(piece.first, piece.items.count());
  return runs;
}

p::ChunkResult result(p::ItemIndex first, std::uint64_t count) {
  return result_of(job_id(1), first, count);
}

OutstandingChunks two_chunks() {
  OutstandingChunks chunks;
  chunks.add({0, items_of(10)});
  chunks.add({10, items_of(10)});
  return chunks;
}

}  // namespace

TEST_CASE("a chosen chunksize is kept") {
  ChunkSizer sizer(7, 1000);
  CHECK(sizer.next_count(0, 4) == 7);
  sizer.note_result(1, 1s, 0);
  CHECK(sizer.next_count(0, 4) == 7);
  CHECK(ChunkSizer(UINT64_MAX, {}).next_count(0, 4) == ChunkSizer::kMaxChunkItems);
}

TEST_CASE("single items go out until the first times are known, and few of them") {
  const ChunkSizer sizer(0, {});
  CHECK(sizer.next_count(0, 4) == 1);
  CHECK(sizer.max_chunks_under_way(4) == 16);
  CHECK(sizer.max_chunks_under_way(0) == 4);
  CHECK(ChunkSizer(3, {}).max_chunks_under_way(4) == UINT64_MAX);
}

TEST_CASE("a chunk holds a few milliseconds of work, at least one item") {
  ChunkSizer sizer(0, {});
  sizer.note_result(1, 20us, 0);
  CHECK(sizer.next_count(0, 4) == 400);
  CHECK(sizer.max_chunks_under_way(4) == UINT64_MAX);
  ChunkSizer slow(0, {});
  slow.note_result(1, 10s, 0);
  CHECK(slow.next_count(0, 4) == 1);
  ChunkSizer instant(0, {});
  instant.note_result(1000, 0ns, 0);
  CHECK(instant.next_count(0, 4) <= ChunkSizer::kMaxChunkItems);
  instant.note_result(0, 1h, 0);  // Of a chunk without items nothing is learnt.
  CHECK(instant.next_count(0, 4) > 1000);
}

TEST_CASE("results that are large make chunks of few items, however short these are") {
  ChunkSizer sizer(0, std::nullopt);
  sizer.note_result(1, 1us, 100'000);
  CHECK(sizer.next_count(1, 2) == 2);
  sizer.note_result(2, 2us, 20'000'000);
  CHECK(sizer.next_count(3, 2) == 1);
  for (int i = 0; i < 40; ++i) sizer.note_result(1, 1us, 8);
  CHECK(sizer.next_count(43, 2) == 8000);
  // Whoever asks for a size gets it.
  ChunkSizer asked(64, std::nullopt);
  asked.note_result(64, 1us, 1 << 30);
  CHECK(asked.next_count(64, 2) == 64);
}

TEST_CASE("the last chunks of a known input are small") {
  ChunkSizer sizer(0, 1000);
  sizer.note_result(1, 1us, 0);
  CHECK(sizer.next_count(0, 4) == 1000 / 16 + 1);
  CHECK(sizer.next_count(990, 4) == 1);
  CHECK(sizer.next_count(1000, 4) == 1);
  CHECK(sizer.next_count(2000, 4) == 1);
}

TEST_CASE("the late success of a whole chunk meets successes of its parts") {
  auto chunks = two_chunks();
  CHECK(runs_of(chunks.accept(result(3, 2)).pieces) == Runs{{3, 2}});
  CHECK(runs_of(chunks.accept(result(7, 1)).pieces) == Runs{{7, 1}});
  const auto whole = chunks.accept(result(0, 10));
  CHECK(runs_of(whole.pieces) == Runs{{0, 3}, {5, 2}, {8, 2}});
  CHECK(whole.finished_chunks == 1);
  CHECK(whole.finished_bytes == 80);
  CHECK(chunks.count() == 1);
  CHECK(chunks.bytes() == 80);
}

TEST_CASE("late successes of parts meet the success of their whole chunk") {
  auto chunks = two_chunks();
  CHECK(runs_of(chunks.accept(result(0, 10)).pieces) == Runs{{0, 10}});
  CHECK(chunks.accept(result(3, 2)).pieces.empty());
  CHECK(chunks.accept(result(0, 10)).pieces.empty());
  CHECK(chunks.count() == 1);
}

TEST_CASE("a result that reaches over two chunks fills both") {
  auto chunks = two_chunks();
  const auto middle = chunks.accept(result(5, 10));
  CHECK(runs_of(middle.pieces) == Runs{{5, 5}, {10, 5}});
  CHECK(middle.finished_chunks == 0);
  const auto all = chunks.accept(result(0, 20));
  CHECK(runs_of(all.pieces) == Runs{{0, 5}, {15, 5}});
  CHECK(all.finished_chunks == 2);
  CHECK(chunks.empty());
  CHECK(chunks.bytes() == 0);
}

TEST_CASE("results of items that nobody is waiting for are dropped") {
  auto chunks = two_chunks();
  CHECK(chunks.accept(result(20, 5)).pieces.empty());
  CHECK(chunks.accept(result(5, 0)).pieces.empty());
  CHECK(chunks.accept(result(1000, 5)).pieces.empty());
  CHECK(chunks.count() == 2);
  OutstandingChunks nothing;
  CHECK(nothing.accept(result(0, 5)).pieces.empty());
}

TEST_CASE("what is missing is the inputs of exactly the items without a result") {
  OutstandingChunks chunks;
  p::ItemBuilder builder;
  for (const char* text : {"a", "bb", "ccc", "dddd"}) {
    builder.append(std::as_bytes(std::span(text, std::char_traits<char>::length(text))));
  }
  auto [layout, bytes] = builder.take();
  chunks.add({100, {layout, p::Bytes::own(std::move(bytes))}});
  chunks.accept(result(101, 1));
  const auto missing = chunks.missing();
  REQUIRE(missing.size() == 2);
  CHECK(missing[0].first == 100);
  CHECK(missing[0].items.payload.text() == "a");
  CHECK(missing[1].first == 102);
  CHECK(missing[1].items.payload.text() == "cccdddd");
}

TEST_CASE("what is taken from a builder are its whole items; the bytes of the next one stay") {
  p::ItemBuilder builder;
  builder.append(std::vector<std::byte>(3, std::byte{1}));
  builder.append(std::vector<std::byte>(2, std::byte{2}));
  builder.buffer().resize(builder.buffer().size() + 4, std::byte{3});
  CHECK(builder.open_bytes() == 4);
  const auto [layout, bytes] = builder.take();
  CHECK(layout.sizes == std::vector<std::uint32_t>{3, 2});
  CHECK(bytes.size() == 5);
  CHECK(builder.empty());
  CHECK(builder.open_bytes() == 4);
  builder.end_item();
  const auto [next_layout, next_bytes] = builder.take();
  CHECK(next_layout == p::ItemLayout{1, 4, {}});
  CHECK(next_bytes == std::vector<std::byte>(4, std::byte{3}));
  CHECK(builder.bytes() == 0);
}

TEST_CASE("errors go with the piece that holds their item") {
  auto chunks = two_chunks();
  chunks.accept(result(4, 2));
  auto late = result(0, 10);
  for (const p::ItemIndex index : {0, 3, 4, 5, 6, 9}) late.errors.push_back(error_at(index));
  const auto accepted = chunks.accept(late);
  REQUIRE(runs_of(accepted.pieces) == Runs{{0, 4}, {6, 4}});
  REQUIRE(accepted.pieces[0].errors.size() == 2);
  CHECK(accepted.pieces[0].errors[1].index == 3);
  REQUIRE(accepted.pieces[1].errors.size() == 2);
  CHECK(accepted.pieces[1].errors[0] == error_at(6));
  CHECK(accepted.pieces[1].errors[1].index == 9);
}

TEST_CASE("ordered results wait for the ones before them") {
  ReorderBuffer buffer(true);
  buffer.add(result(5, 2));
  buffer.add(result(2, 3));
  CHECK_FALSE(buffer.ready());
  CHECK(buffer.next_index() == 0);
  buffer.add(result(0, 2));
  CHECK(buffer.bytes() == 7 * 8 + 3 * p::kResultOverheadBytes);
  for (const p::ItemIndex first : {0, 2, 5}) {
    REQUIRE(buffer.ready());
    CHECK(buffer.take().first == first);
  }
  CHECK(buffer.next_index() == 7);
  CHECK(buffer.bytes() == 0);
  CHECK(buffer.empty());
}

TEST_CASE("unordered results are handed over as they come") {
  ReorderBuffer buffer(false);
  CHECK_FALSE(buffer.ready());
  buffer.add(result(5, 2));
  buffer.add(result(2, 3));
  CHECK(buffer.take().first == 5);
  CHECK(buffer.take().first == 2);
  CHECK_FALSE(buffer.ready());
  CHECK(buffer.bytes() == 0);
}
