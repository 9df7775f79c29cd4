#include "bench/options.hpp"

#include <CLI/CLI.hpp>

#include "bench/places.hpp"

namespace achilles::bench {

std::optional<Options> parse_options(int argc, char** argv, int& exit_code) {
  Options options;
  std::vector<std::string> names;
  for (const Workload& workload : all_workloads()) names.push_back(workload.name);

  CLI::App app{"Measures achilles: each workload in each place, in turns, every result checked"};
  app.add_option("--workloads", options.workloads, "Of W1 ... W10, separated by commas; else all")
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  app.add_option("--places", options.places, "embedded, tcp, or both, which is the default")
      ->delimiter(',')
      ->check(CLI::IsMember(place_names()));
  app.add_option("--rounds", options.rounds, "How often each is run")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--slots", options.settings.slots, "Task processes")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_flag("--quick", options.settings.quick, "Small sizes: shows that it works, not how fast");
  app.add_option("--json", options.json, "Write JSON to this file; - for stdout, and no table");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& end) {
    exit_code = app.exit(end);
    return std::nullopt;
  }
  if (options.workloads.empty()) options.workloads = names;
  if (options.places.empty()) options.places = place_names();
  return options;
}

}  // namespace achilles::bench
