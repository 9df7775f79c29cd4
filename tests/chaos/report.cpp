#include "tests/chaos/report.hpp"

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace achilles::tests {
namespace {

void add(Waits& sum, const Waits& more) {
  sum.count += more.count;
  sum.sum_s += more.sum_s;
  sum.max_s = std::max(sum.max_s, more.max_s);
}

std::string to_string(const Waits& waits) {
  if (waits.count == 0) return "none was measured";
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << "mean " << waits.sum_s / waits.count << " s, max "
       << waits.max_s << " s, of " << waits.count;
  return text.str();
}

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

}  // namespace

std::string title_of(const WorldOptions& world) {
  std::ostringstream text;
  text << "seed " << world.seed << ", " << kModeNames[static_cast<std::size_t>(world.mode)] << ", "
       << (world.brokers == 1 ? "" : std::to_string(world.brokers) + " brokers, ") << world.workers
       << " workers x " << world.slots << " slots, " << world.clients << " clients, heartbeat "
       << world.heartbeat.count() << " ms";
  return text.str();
}

void add(RoundReport& sum, const RoundReport& round) {
  sum.accounts.jobs += round.accounts.jobs;
  sum.accounts.delivered += round.accounts.delivered;
  sum.accounts.executed += round.accounts.executed;
  sum.accounts.executions += round.accounts.executions;
  sum.accounts.executions_max =
      std::max(sum.accounts.executions_max, round.accounts.executions_max);
  sum.accounts.crashed += round.accounts.crashed;
  sum.accounts.innocent += round.accounts.innocent;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    sum.faults[i].done += round.faults[i].done;
    sum.faults[i].skipped += round.faults[i].skipped;
  }
  sum.rss.broker = std::max(sum.rss.broker, round.rss.broker);
  sum.rss.worker = std::max(sum.rss.worker, round.rss.worker);
  sum.rss.task = std::max(sum.rss.task, round.rss.task);
  sum.rss.client = std::max(sum.rss.client, round.rss.client);
  sum.phases.attack_s += round.phases.attack_s;
  sum.phases.last_jobs_s += round.phases.last_jobs_s;
  sum.phases.idle_s += round.phases.idle_s;
  sum.phases.farewell_s += round.phases.farewell_s;
  add(sum.after_broker_start, round.after_broker_start);
  add(sum.after_healing, round.after_healing);
}

std::string to_string(const RoundReport& report) {
  std::ostringstream text;
  text << "  faults:";
  int total = 0;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    if (report.faults[i].done == 0) continue;
    text << " " << name_of(static_cast<FaultKind>(i)) << " " << report.faults[i].done << ",";
    total += report.faults[i].done;
  }
  const Accounts& accounts = report.accounts;
  text << " " << total << " in all\n"
       << "  jobs: " << accounts.jobs << " ended, " << accounts.delivered
       << " results, each exact; " << accounts.crashed << " crashed items, " << accounts.innocent
       << " of them killed from outside\n"
       << "  executions: " << accounts.executions << " of " << accounts.executed << " items, "
       << accounts.executions - accounts.executed << " again, mean " << std::fixed
       << std::setprecision(3) << accounts.executions_mean() << ", max " << accounts.executions_max
       << "\n"
       << "  first result after a broker's start: " << to_string(report.after_broker_start) << "\n"
       << "  result for every client after healing: " << to_string(report.after_healing) << "\n"
       << std::setprecision(1) << "  time: attack " << report.phases.attack_s << " s, last jobs "
       << report.phases.last_jobs_s << " s, until idle " << report.phases.idle_s << " s, farewell "
       << report.phases.farewell_s << " s\n"
       << "  largest memory: broker " << mebibytes(report.rss.broker) << ", worker "
       << mebibytes(report.rss.worker) << ", task process " << mebibytes(report.rss.task)
       << ", client " << mebibytes(report.rss.client) << "\n";
  return text.str();
}

}  // namespace achilles::tests
