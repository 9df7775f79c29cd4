// Microbenchmarks, with Google Benchmark: the codec, the broker's core, and what the client does
// with each result. Where bench/ times whole programs, this times what they are made of.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <variant>
#include <vector>

#include "bench/scheduler_load.hpp"
#include "client/core/outstanding_chunks.hpp"
#include "client/core/reorder_buffer.hpp"
#include "protocol/codec.hpp"
#include "protocol/messages.hpp"

namespace achilles::bench {
namespace {

namespace p = protocol;

/// `count` items of eight bytes.
p::Items items(std::uint64_t count) {
  p::Items items;
  items.layout.count = count;
  items.layout.stride = 8;
  items.payload = p::Bytes::own(std::vector<std::byte>(count * 8));
  return items;
}

p::Message assign(std::uint64_t chunks, std::uint64_t items_of_chunk) {
  p::Assign message;
  for (std::uint64_t i = 0; i < chunks; ++i) {
    p::Assignment assignment;
    assignment.job = {{0x1234'5678'9abc'def0}, 3};
    assignment.attempt = {1000 + i};
    assignment.chunk = {i * items_of_chunk, items(items_of_chunk)};
    assignment.result_allowance = 16'384;
    message.chunks.push_back(std::move(assignment));
  }
  return message;
}

p::ChunkResult result(std::uint64_t chunk, std::uint64_t items_of_chunk) {
  p::ChunkResult result;
  result.job = {{0x1234'5678'9abc'def0}, 3};
  result.attempt = {1000 + chunk};
  result.first = chunk * items_of_chunk;
  result.busy_ns = 900;
  result.items = items(items_of_chunk);
  return result;
}

p::Message results(std::uint64_t chunks, std::uint64_t items_of_chunk) {
  p::Results message;
  for (std::uint64_t i = 0; i < chunks; ++i) message.chunks.push_back(result(i, items_of_chunk));
  return message;
}

using Make = p::Message (*)(std::uint64_t chunks, std::uint64_t items_of_chunk);

void encode(benchmark::State& state, Make make) {
  const auto chunks = static_cast<std::uint64_t>(state.range(0));
  const auto message = make(chunks, static_cast<std::uint64_t>(state.range(1)));
  for (auto _ : state) benchmark::DoNotOptimize(p::encode(message));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void decode(benchmark::State& state, Make make) {
  const auto chunks = static_cast<std::uint64_t>(state.range(0));
  const auto frames = p::encode(make(chunks, static_cast<std::uint64_t>(state.range(1))));
  for (auto _ : state) {
    auto decoded = p::decode(frames);
    if (std::holds_alternative<p::Malformed>(decoded)) state.SkipWithError("malformed");
    benchmark::DoNotOptimize(decoded);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// A chunk through the broker's core; nanoseconds of the core alone, without the load's own.
void schedule(benchmark::State& state) {
  SchedulerLoad load({.workers = static_cast<std::uint64_t>(state.range(0)),
                      .queued_items = static_cast<std::uint64_t>(state.range(1))});
  constexpr std::uint64_t kChunks = 10'000;
  for (auto _ : state) state.SetIterationTime(load.run(kChunks) * kChunks / 1e9);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kChunks));
}

/// Results that come in no order among so many outstanding chunks, put in order again.
void put_in_order(benchmark::State& state) {
  const auto chunks = static_cast<std::uint64_t>(state.range(0));
  std::vector<std::uint64_t> order(chunks);
  for (std::uint64_t i = 0; i < chunks; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  for (auto _ : state) {
    client::OutstandingChunks outstanding;
    for (std::uint64_t i = 0; i < chunks; ++i) outstanding.add({i, items(1)});
    client::ReorderBuffer buffer(true);
    std::uint64_t taken = 0;
    for (const std::uint64_t chunk : order) {
      for (auto& piece : outstanding.accept(result(chunk, 1)).pieces) buffer.add(std::move(piece));
      for (; buffer.ready(); ++taken) benchmark::DoNotOptimize(buffer.take());
    }
    if (taken != chunks) state.SkipWithError("not all results came out");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// Arguments: chunks of a message, items of a chunk. Items a second are chunks a second.
BENCHMARK_CAPTURE(encode, ASSIGN, assign)->Args({1, 1})->Args({100, 1})->Args({1, 10'000});
BENCHMARK_CAPTURE(decode, ASSIGN, assign)->Args({1, 1})->Args({100, 1})->Args({1, 10'000});
BENCHMARK_CAPTURE(encode, RESULTS, results)->Args({1, 1})->Args({100, 1})->Args({1, 10'000});
BENCHMARK_CAPTURE(decode, RESULTS, results)->Args({1, 1})->Args({100, 1})->Args({1, 10'000});
BENCHMARK(schedule)
    ->ArgNames({"workers", "queued"})
    ->Args({10, 1'000})
    ->Args({1'000, 50'000})
    ->UseManualTime();
BENCHMARK(put_in_order)->Arg(10)->Arg(1'000)->Arg(100'000);

}  // namespace
}  // namespace achilles::bench

BENCHMARK_MAIN();
