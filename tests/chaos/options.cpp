#include "tests/chaos/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <random>

namespace achilles::tests {

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  ChaosOptions& options = parsed.options;
  double minutes = 0;
  double seconds = 0;
  std::string mode = "auto";
  std::vector<std::string> faults;
  std::size_t brokers = 0;
  std::size_t workers = 0;
  std::uint32_t slots = 0;
  std::size_t clients = 0;
  int heartbeat_ms = 0;
  options.seed = std::random_device{}();

  CLI::App app(
      "Starts a broker, workers and clients, attacks them while jobs run, and checks every result.",
      "achilles-chaos");
  app.add_option("--minutes", minutes, "How long to attack, in all rounds together (1)");
  app.add_option("--seconds", seconds, "The same in seconds");
  app.add_option("--seed", options.seed, "Draws everything; else a random one, which is printed");
  app.add_option("--mode", mode,
                 "netns: everyone in a network namespace; proxy: on loopback, through proxies; "
                 "loopback: without; auto: in turn, what this machine can do")
      ->check(CLI::IsMember({"auto", "loopback", "proxy", "netns"}));
  app.add_option("--rounds", options.rounds, "Share the time between so many rounds");
  app.add_option("--faults", faults, "Only these kinds, separated by commas")->delimiter(',');
  app.add_option("--brokers", brokers, "Else drawn, like the next four");
  app.add_option("--workers", workers, "How many of them");
  app.add_option("--slots", slots, "Of each worker");
  app.add_option("--clients", clients, "How many at a time");
  app.add_option("--heartbeat-ms", heartbeat_ms, "A peer is given up for lost after five");
  app.add_flag("--endless", options.round.endless_jobs,
               "One job a client for the whole round, of items of 50 to 150 ms: shows what each "
               "fault costs in executions");
  app.add_option("--logs", options.round.logs, "Keep the logs of failed rounds in this folder");
  app.add_flag("--keep-going", options.keep_going, "Go on with further rounds after a failure");
  app.add_flag("--verbose", options.verbose, "Print each fault as it happens");
  try {
    app.parse(argc, argv);
    for (const auto& name : faults) options.round.only.push_back(fault_named(name));
  } catch (const CLI::ParseError& error) {
    parsed.exit_code = app.exit(error);
    return parsed;
  } catch (const std::invalid_argument& error) {
    std::cerr << "achilles-chaos: " << error.what() << "\n";
    parsed.exit_code = 2;
    return parsed;
  }
  if (minutes > 0 || seconds > 0) {
    options.duration = std::chrono::milliseconds(
        static_cast<std::int64_t>(std::max(minutes * 60'000, seconds * 1000)));
  }
  const auto known = std::ranges::find(kModeNames, mode);
  if (known != kModeNames.end()) options.mode = static_cast<Mode>(known - kModeNames.begin());
  if (brokers > 0) options.round.brokers = brokers;
  if (workers > 0) options.round.workers = workers;
  if (slots > 0) options.round.slots = slots;
  if (clients > 0) options.round.clients = clients;
  if (heartbeat_ms > 0) options.round.heartbeat = std::chrono::milliseconds(heartbeat_ms);
  return parsed;
}

}  // namespace achilles::tests
