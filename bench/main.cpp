// achilles-bench: runs the workloads, in turns, and prints what they took.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>

#include "bench/options.hpp"
#include "bench/places.hpp"
#include "bench/report.hpp"
#include "bench/usage.hpp"

using namespace achilles::bench;

namespace {

std::vector<Row> rows_for(const Options& options) {
  std::vector<Row> rows;
  for (const Workload& workload : all_workloads()) {
    if (std::ranges::find(options.workloads, workload.name) == options.workloads.end()) continue;
    for (const auto& place : options.places) {
      rows.push_back({workload, workload.placed ? place : "-"});
      if (!workload.placed) break;
    }
  }
  return rows;
}

void run_round(Row& row, const Settings& settings) {
  const auto place = make_place(row.place, settings.slots);
  forget_peaks(::getpid());
  const double before = cpu_seconds(::getpid());
  Round round;
  round.sample = row.workload.run(*place, settings);
  round.cpu_seconds = cpu_seconds(::getpid()) - before;
  round.peak_bytes = peak_bytes(::getpid());
  row.rounds.push_back(std::move(round));
}

int run(const Options& options) {
  auto rows = rows_for(options);
  for (int round = 1; round <= options.rounds; ++round) {
    for (Row& row : rows) {
      std::fprintf(stderr, "round %d of %d: %s %s\n", round, options.rounds,
                   row.workload.name.c_str(), row.place.c_str());
      run_round(row, options.settings);
    }
  }
  const std::string json = json_of(rows, options.settings);
  if (options.json == "-") return std::fputs(json.c_str(), stdout) < 0 ? 1 : 0;
  std::fputs(table_of(rows).c_str(), stdout);
  if (options.json.empty()) return 0;
  std::ofstream file(options.json);
  file << json << std::flush;
  if (!file) {
    std::fprintf(stderr, "achilles-bench: cannot write %s\n", options.json.c_str());
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int exit_code = 0;
    const auto options = parse_options(argc, argv, exit_code);
    return options ? run(*options) : exit_code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "achilles-bench: %s\n", error.what());
    return 1;
  }
}
