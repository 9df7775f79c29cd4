#include "bench/compare/peer.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>

#include "bench/skew.hpp"
#include "bench/stopwatch.hpp"

namespace achilles::bench {
namespace {

constexpr std::size_t kMiB = 1 << 20;
constexpr std::uint64_t kDistinctPayloads = 64;
constexpr std::uint64_t kTinyInFlight = 1024;

struct Length {
  double seconds = 0;
  std::uint64_t place = 0;
};

template <class T>
T read(Task bytes) {
  T value;
  expect(bytes.size() == sizeof value, "the size of a result");
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <class T>
Task bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

void run_tiny(Peer& peer, bool quick) {
  const std::uint64_t count = quick ? 2'000 : peer.tiny_tasks();
  std::uint64_t number = 0;
  std::uint64_t sum = 0;
  const Stopwatch watch;
  peer.run(
      count, kTinyInFlight,
      [&](std::uint64_t place) {
        number = place;
        return bytes_of(number);
      },
      [&](Task result) { sum += read<std::uint64_t>(result); });
  const double seconds = watch.seconds();
  std::uint64_t expected = 0;
  for (std::uint64_t x = 0; x < count; ++x) expected += x * x;
  expect(sum == expected, "the sum of squares");
  std::printf("{\"value\": %f}\n", static_cast<double>(count) / seconds / 1e3);
}

void run_calls(Peer& peer, bool quick) {
  const std::uint64_t count = quick ? 200 : 5'000;
  std::vector<double> micros;
  for (std::uint64_t x = 0; x < count; ++x) {
    const Stopwatch watch;
    std::uint64_t y = 0;
    peer.run(
        1, 1, [&](std::uint64_t) { return bytes_of(x); },
        [&](Task result) { y = read<std::uint64_t>(result); });
    micros.push_back(watch.seconds() * 1e6);
    expect(y == x * x, "a square");
  }
  std::ranges::sort(micros);
  std::printf("{\"value\": %f, \"more\": {\"p99\": %f}}\n", micros[count / 2],
              micros[count * 99 / 100]);
}

void run_payloads(Peer& peer, std::size_t slots, bool quick) {
  const std::uint64_t count = quick ? 30 : 1'500;
  std::vector<std::vector<std::byte>> inputs;
  for (std::uint64_t i = 0; i < kDistinctPayloads; ++i) {
    inputs.emplace_back(kMiB, static_cast<std::byte>(i));
  }
  std::uint64_t sum = 0;
  const Stopwatch watch;
  peer.run(
      count, 4 * slots, [&](std::uint64_t place) { return Task(inputs[place % inputs.size()]); },
      [&](Task result) {
        expect(result.size() == kMiB, "the size of a payload");
        sum += std::to_integer<std::uint64_t>(result.front());
      });
  const double seconds = watch.seconds();
  std::uint64_t expected = 0;
  for (std::uint64_t i = 0; i < count; ++i) expected += i % kDistinctPayloads + 1;
  expect(sum == expected, "the payloads' first bytes");
  std::printf("{\"value\": %f}\n", 2.0 * static_cast<double>(count * kMiB) / seconds / 1e9);
}

void run_skewed(Peer& peer, std::size_t slots, bool quick) {
  const auto lengths = skewed_lengths(quick ? 500 : 2'000);
  std::vector<bool> came(lengths.size());
  Length length;
  const Stopwatch watch;
  peer.run(
      lengths.size(), lengths.size(),
      [&](std::uint64_t place) {
        length = {lengths[place], place};
        return bytes_of(length);
      },
      [&](Task result) {
        const auto done = read<Length>(result);
        expect(done.seconds == lengths.at(done.place) && !came[done.place], "a task's length");
        came[done.place] = true;
      });
  const double makespan = watch.seconds();
  expect(std::ranges::count(came, true) == std::ssize(lengths), "how many tasks came back");
  const double sum = std::accumulate(lengths.begin(), lengths.end(), 0.0);
  std::printf("{\"value\": %f}\n", sum / (static_cast<double>(slots) * makespan));
}

}  // namespace

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "wrong result, or none: %s\n", what);
  std::exit(1);
}

void answer(Task task, std::byte* result) {
  if (task.size() == sizeof(std::uint64_t)) {
    const auto x = read<std::uint64_t>(task);
    const std::uint64_t y = x * x;
    std::memcpy(result, &y, sizeof y);
    return;
  }
  std::memcpy(result, task.data(), task.size());
  if (task.size() == sizeof(Length)) {
    burn(read<Length>(task).seconds);
  } else {
    *result = static_cast<std::byte>(std::to_integer<unsigned>(*result) + 1);
  }
}

void Children::start(const std::function<void()>& run) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  expect(pid >= 0, "a new process");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == parent) run();
    std::_Exit(0);
  }
  pids_.push_back(pid);
}

Children::~Children() {
  for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
  for (const pid_t pid : pids_) ::waitpid(pid, nullptr, 0);
}

}  // namespace achilles::bench

int main(int argc, char** argv) {
  using namespace achilles::bench;
  const std::string workload = argc > 1 ? argv[1] : "";
  std::size_t slots = 2;
  bool quick = false;
  bool understood = workload == "W1" || workload == "W3" || workload == "W4" || workload == "W5";
  for (int i = 2; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--quick") {
      quick = true;
    } else if (option == "--slots" && i + 1 < argc) {
      slots = std::strtoul(argv[++i], nullptr, 10);
    } else {
      understood = false;
    }
  }
  if (!understood || slots == 0) {
    std::fprintf(stderr, "usage: %s {W1,W3,W4,W5} [--slots N] [--quick]\n", argv[0]);
    return 2;
  }
  const auto peer = start_peer(slots);
  if (workload == "W1") run_tiny(*peer, quick);
  if (workload == "W3") run_calls(*peer, quick);
  if (workload == "W4") run_payloads(*peer, slots, quick);
  if (workload == "W5") run_skewed(*peer, slots, quick);
}
