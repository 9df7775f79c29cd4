// achilles-chaos: rounds of attacks on real processes, for as long as is wanted.
#include <algorithm>
#include <exception>
#include <iostream>

#include "tests/chaos/mixed.hpp"
#include "tests/chaos/options.hpp"
#include "tests/chaos/report.hpp"
#include "tests/chaos/watch.hpp"

using namespace achilles::tests;

namespace {

using std::chrono::milliseconds;

constexpr int kExitFailed = 1;
constexpr int kExitInterrupted = 130;
/// A round longer than this tells no more, and its files grow.
constexpr milliseconds kRoundMax{90'000};

/// What the rounds take in turn.
std::vector<Mode> modes_of(const ChaosOptions& options, const Network::Means& means) {
  if (options.mode) return {*options.mode};
  if (!means.namespaces) return {Mode::kProxy, Mode::kProxy, Mode::kLoopback};
  return {Mode::kNamespaces, Mode::kProxy, Mode::kNamespaces, Mode::kLoopback};
}

void tell_means(const ChaosOptions& options, const Network::Means& means) {
  std::cout << "chaos: network namespaces " << (means.namespaces ? "work" : "do not work here")
            << (means.namespaces && means.drop ? ", iptables works" : "")
            << (means.namespaces && means.slow ? ", tc tbf works" : "") << "\n";
  if (!means.missing.empty()) std::cout << "chaos: missing: " << means.missing << "\n";
  if (!means.namespaces && !options.mode) {
    std::cout << "chaos: falling back to loopback, with and without proxies\n";
  }
}

/// The command that repeats a round.
std::string again(const RoundOptions& round) {
  const auto world = draw_world(round);
  std::string faults;
  for (const auto kind : round.only)
    faults += (faults.empty() ? " --faults " : ",") + std::string(name_of(kind));
  return "achilles-chaos --rounds 1 --seed " + std::to_string(round.seed) + " --mode " +
         std::string(kModeNames[static_cast<std::size_t>(round.mode)]) + " --seconds " +
         std::to_string(round.duration.count() / 1000.0) + " --brokers " +
         std::to_string(world.brokers) + " --workers " + std::to_string(world.workers) +
         " --slots " + std::to_string(world.slots) + " --clients " + std::to_string(world.clients) +
         " --heartbeat-ms " + std::to_string(world.heartbeat.count()) +
         (world.endless_jobs ? " --endless" : "") + faults;
}

int run(const ChaosOptions& options) {
  std::cout << "chaos: seed " << options.seed << std::endl;
  const auto means = Network::probe();
  tell_means(options, means);
  if (options.mode == Mode::kNamespaces && !means.namespaces) return kExitFailed;
  const auto modes = modes_of(options, means);
  const auto rounds =
      options.rounds > 0
          ? options.rounds
          : static_cast<int>((options.duration + kRoundMax - milliseconds(1)) / kRoundMax);
  RoundReport sum;
  int failed = 0;
  for (int number = 0; number < rounds; ++number) {
    RoundOptions round = options.round;
    round.seed = number == 0
                     ? options.seed
                     : mixed(options.seed, static_cast<std::uint64_t>(number), 0) % 1'000'000'000;
    round.mode = modes[static_cast<std::size_t>(number) % modes.size()];
    round.duration = options.duration / rounds;
    if (options.verbose)
      round.tell = [](const std::string& line) { std::cout << line << std::endl; };
    std::cout << "round " << number + 1 << " of " << rounds << ": " << title_of(draw_world(round))
              << ", " << round.duration.count() / 1000.0 << " s" << std::endl;
    const auto report = run_round(round, means);
    add(sum, report);
    std::cout << to_string(report);
    if (!report.failure) {
      std::cout << "  leaked: no process, no descriptor, no file" << std::endl;
      continue;
    }
    ++failed;
    std::cout << "  FAILED: " << *report.failure << "\n  again: " << again(round) << std::endl;
    if (!options.keep_going) break;
  }
  std::cout << "chaos: seed " << options.seed << ", all rounds\n" << to_string(sum);
  std::cout << (failed == 0 ? "chaos: passed" : "chaos: FAILED") << std::endl;
  return failed == 0 ? 0 : kExitFailed;
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_options(argc, argv);
  if (parsed.exit_code) return *parsed.exit_code;
  watch_interrupts();
  try {
    return run(parsed.options);
  } catch (const Interrupted& interrupted) {
    std::cerr << "achilles-chaos: " << interrupted.what() << "; nothing is left behind\n";
    return kExitInterrupted;
  } catch (const std::exception& error) {
    std::cerr << "achilles-chaos: " << error.what() << "\n";
    return kExitFailed;
  }
}
