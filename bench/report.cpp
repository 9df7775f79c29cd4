#include "bench/report.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "protocol/version.hpp"

namespace achilles::bench {
namespace {

struct Spread {
  double min = 0, median = 0, max = 0;
};

template <class Project>
Spread spread_of(const Row& row, Project project) {
  std::vector<double> values;
  for (const Round& round : row.rounds) values.push_back(project(round));
  std::ranges::sort(values);
  return {values.front(), values[values.size() / 2], values.back()};
}

Spread values_of(const Row& row) {
  return spread_of(row, [](const Round& round) { return round.sample.value; });
}

/// The median of one of the other things that were measured.
double other_of(const Row& row, const std::string& name) {
  return spread_of(row, [&](const Round& round) { return round.sample.more.at(name); }).median;
}

std::string printed(const char* format, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

/// Three digits that count.
std::string number(double value) {
  if (value >= 100) return printed("%.0f", value);
  if (value >= 10) return printed("%.1f", value);
  return printed(value >= 0.1 || value == 0 ? "%.2f" : "%.3f", value);
}

}  // namespace

std::string table_of(const std::vector<Row>& rows) {
  std::string text = printed("%-4s %-9s %9s %9s %9s  %-7s %7s %8s  %s\n", "", "where", "min",
                             "median", "max", "unit", "CPU s", "peak MiB", "what");
  for (const Row& row : rows) {
    const Spread value = values_of(row);
    const double cpu = spread_of(row, [](const Round& round) { return round.cpu_seconds; }).median;
    const double peak = spread_of(row, [](const Round& round) {
                          return static_cast<double>(round.peak_bytes);
                        }).max;
    text += printed("%-4s %-9s %9s %9s %9s  %-7s %7.2f %8.0f  ", row.workload.name.c_str(),
                    row.place.c_str(), number(value.min).c_str(), number(value.median).c_str(),
                    number(value.max).c_str(), row.workload.unit.c_str(), cpu, peak / (1 << 20));
    text += row.workload.title;
    for (const auto& [name, ignored] : row.rounds.front().sample.more) {
      text += "; " + name + " " + number(other_of(row, name));
    }
    text += '\n';
  }
  return text;
}

std::string json_of(const std::vector<Row>& rows, const Settings& settings) {
  using nlohmann::json;
  utsname system{};
  ::uname(&system);
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  json results = json::array();
  for (const Row& row : rows) {
    const Spread value = values_of(row);
    const Spread cpu = spread_of(row, [](const Round& round) { return round.cpu_seconds; });
    const Spread peak =
        spread_of(row, [](const Round& round) { return static_cast<double>(round.peak_bytes); });
    json more = json::object();
    for (const auto& [name, ignored] : row.rounds.front().sample.more) {
      more[name] = other_of(row, name);
    }
    results.push_back({{"workload", row.workload.name},
                       {"title", row.workload.title},
                       {"where", row.place},
                       {"unit", row.workload.unit},
                       {"higher_is_better", row.workload.higher_is_better},
                       {"min", value.min},
                       {"median", value.median},
                       {"max", value.max},
                       {"more", more},
                       {"cpu_seconds", cpu.median},
                       {"peak_rss_bytes", peak.max}});
  }
  const json all = {{"achilles", std::string(protocol::kLibraryVersion)},
                    {"date", date},
                    {"system", std::string(system.sysname) + " " + system.release},
                    {"cpus", std::thread::hardware_concurrency()},
                    {"slots", settings.slots},
                    {"quick", settings.quick},
                    {"rounds", rows.empty() ? 0 : rows.front().rounds.size()},
                    {"results", results}};
  return all.dump(2) + "\n";
}

}  // namespace achilles::bench
