// W4: 1 MiB in, 1 MiB out, different bytes each time.
#include <cstdint>
#include <numeric>
#include <ranges>
#include <vector>

#include "bench/stopwatch.hpp"
#include "bench/workload.hpp"

namespace achilles::bench {
namespace {

constexpr std::size_t kWords = (1U << 20) / sizeof(std::uint64_t);
constexpr std::uint64_t kDistinct = 64;

/// Looks at every page of the payload, and at no more: what is measured is the way, not the work.
std::vector<std::uint64_t> touch(std::vector<std::uint64_t> words) {
  constexpr std::size_t kWordsOfPage = 4096 / sizeof(std::uint64_t);
  for (std::size_t i = 0; i < words.size(); i += kWordsOfPage) ++words[i];
  return words;
}

std::vector<std::vector<std::uint64_t>> make_inputs() {
  std::vector<std::vector<std::uint64_t>> inputs(kDistinct, std::vector<std::uint64_t>(kWords));
  for (std::uint64_t i = 0; i < kDistinct; ++i) {
    std::iota(inputs[i].begin(), inputs[i].end(), i << 32);
  }
  return inputs;
}

Sample run_payloads(const Place& place, const Settings& settings) {
  const std::uint64_t count = settings.size(1'500, 30);
  const auto inputs = make_inputs();
  const Pool pool = place.pool();
  // Refers to its payload, so that making the input costs nothing.
  const auto payload = [&](std::uint64_t i) -> const std::vector<std::uint64_t>& {
    return inputs[i % kDistinct];
  };
  const auto run = [&](std::uint64_t items) {
    std::uint64_t index = 0;
    const auto range = std::views::iota(std::uint64_t{0}, items) | std::views::transform(payload);
    for (const auto& words : pool.imap(fn<&touch>, range, {.chunksize = 1})) {
      const std::uint64_t first = (index % kDistinct) << 32;
      expect(words.size() == kWords && words.front() == first + 1 &&
                 words.back() == first + kWords - 1,
             "a payload of 1 MiB");
      ++index;
    }
    expect(index == items, "how many payloads came back");
  };
  run(16);
  const Stopwatch watch;
  run(count);
  const double bytes = 2.0 * static_cast<double>(count * kWords * sizeof(std::uint64_t));
  return {bytes / watch.seconds() / 1e9};
}

}  // namespace

Workload payloads() {
  return {.name = "W4", .title = "1 MiB in, 1 MiB out, imap", .unit = "GB/s", .run = run_payloads};
}

}  // namespace achilles::bench
