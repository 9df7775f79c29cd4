#include "tests/chaos/round.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

#include "tests/chaos/leaks.hpp"
#include "tests/chaos/mixed.hpp"
#include "tests/chaos/watch.hpp"

namespace achilles::tests {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{20};
constexpr milliseconds kSampleEvery{300};
/// After so much attack all is healed, and everyone must go on.
constexpr milliseconds kAttackAtOnce{20'000};

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

template <class Function>
void timed(double& seconds, Function function) {
  const auto since = Clock::now();
  function();
  seconds = seconds_since(since);
}

class Round {
 public:
  Round(const RoundOptions& options, const Network::Means& means, RoundReport& report)
      : options_(options), report_(report), world_(folder_, report.world), attack_(world_) {
    faults_ = draw_faults({.seed = options.seed,
                           .duration = options.duration,
                           .heartbeat = report.world.heartbeat,
                           .weapons = Attack::weapons(options.mode, means),
                           .only = options.only});
    if (options.tell) attack_.on_line(options.tell);
  }

  void run() {
    try {
      const Leaks leaks(world_);
      for (auto& client : world_.clients()) world_.start_client(*client);
      demand_progress();
      Phases& phases = report_.phases;
      timed(phases.attack_s, [&] { attack_for_a_while(); });
      timed(phases.last_jobs_s, [&] { end_clients(); });
      timed(phases.idle_s, [&] { look_over(leaks); });
      take_stock();
      timed(phases.farewell_s, [&] { check_farewell(world_, folder_); });
    } catch (const Failure& failure) {
      report_.failure = failure.what();
      *report_.failure += "\n---- the latest faults\n" + attack_.story() + world_.describe();
      take_stock();
      keep_logs();
    }
  }

 private:
  /// Reads what the clients have seen so far.
  std::uint64_t progress() const {
    std::uint64_t sum = 0;
    for (const auto& life : world_.client_lives()) {
      sum += progress_of(world_.work_folder(), life.tag);
    }
    return sum;
  }

  void attack_for_a_while() {
    milliseconds attacked{0};  // Of the plan's time, which stands still meanwhile.
    milliseconds healed_at{0};
    auto next = faults_.begin();
    auto last = Clock::now();
    while (attacked < options_.duration) {
      std::this_thread::sleep_for(kTick);
      const auto now = Clock::now();
      attacked += std::chrono::duration_cast<milliseconds>(now - last);
      last = now;
      for (; next != faults_.end() && next->at <= attacked; ++next) attack_.carry_out(*next);
      attack_.tick();
      sample();
      if (attacked - healed_at < kAttackAtOnce) continue;
      attack_.heal_all();
      demand_progress();
      healed_at = attacked;
      last = Clock::now();
    }
    attack_.heal_all();
    demand_progress();
  }

  /// Every client must see another result.
  void demand_progress() {
    const auto since = Clock::now();
    for (const auto& client : world_.clients()) {
      const auto before = progress_of(world_.work_folder(), client->life.tag);
      await("progress of " + client->party.name(), [&] {
        world_.check_alive();
        sample();
        return progress_of(world_.work_folder(), client->life.tag) > before;
      });
    }
    report_.after_healing.add(seconds_since(since));
  }

  void sample() {
    const auto now = Clock::now();
    if (now < next_sample_) return;
    next_sample_ = now + kSampleEvery;
    world_.sample();
    const auto start = world_.broker_started();
    const auto seen = progress();
    if (start != last_broker_start_) {
      last_broker_start_ = start;
      progress_at_start_ = seen;
    } else if (progress_at_start_ && seen > *progress_at_start_) {
      report_.after_broker_start.add(seconds_since(start));
      progress_at_start_.reset();
    }
  }

  void end_clients() {
    for (auto& client : world_.clients()) client->party.expect_end();
    touch(world_.work_folder() / "stop");
    for (auto& client : world_.clients()) {
      std::optional<Ending> ending;
      await(client->party.name() + " to finish its last jobs", [&] {
        world_.check_alive();
        sample();
        ending = client->party.take_ending();
        return ending.has_value();
      });
      if (ending != kSucceeded) {
        throw Failure(client->party.name() + " failed:\n" + client->party.log_tail());
      }
    }
  }

  void look_over(const Leaks& leaks) {
    report_.accounts = read_accounts(world_.work_folder(), world_.client_lives());
    if (report_.accounts.innocent > attack_.tasks_killed()) {
      throw Failure(std::to_string(report_.accounts.innocent) +
                    " items crashed that do not by themselves, but only " +
                    std::to_string(attack_.tasks_killed()) + " task processes were killed");
    }
    await("all workers to be ready, and nothing to run", [&] { return at_rest(); }, kGracePatience);
    world_.run_calm_client();
    leaks.check_idle(world_);
  }

  bool at_rest() {
    world_.check_alive();
    const auto news = world_.status();
    const bool all_there = news && news->workers.size() == world_.workers().size() &&
                           std::ranges::all_of(news->workers, [](const auto& worker) {
                             return worker.state == "ready";
                           });
    return all_there && std::ranges::all_of(world_.brokers(), [&](const auto& broker) {
             const auto said = world_.status(*broker);
             return said && std::ranges::all_of(
                                said->jobs, [](const auto& job) { return job.running_items == 0; });
           });
  }

  void take_stock() {
    world_.sample();
    report_.faults = attack_.counts();
    for (const auto& broker : world_.brokers()) {
      report_.rss.broker = std::max(report_.rss.broker, broker->party.rss_peak());
    }
    report_.rss.task = world_.tasks_rss_peak();
    for (const auto& worker : world_.workers()) {
      report_.rss.worker = std::max(report_.rss.worker, worker->party.rss_peak());
    }
    for (const auto& client : world_.clients()) {
      report_.rss.client = std::max(report_.rss.client, client->party.rss_peak());
    }
  }

  void keep_logs() {
    if (options_.logs.empty()) return;
    const auto to = fs::path(options_.logs) / ("seed-" + std::to_string(options_.seed));
    try {
      world_.save_logs(to);
      *report_.failure += "\n(the logs are in " + to.string() + ")";
    } catch (const fs::filesystem_error& error) {
      *report_.failure += std::string("\n(the logs could not be kept: ") + error.what() + ")";
    }
  }

  const RoundOptions& options_;
  RoundReport& report_;
  RunFolder folder_;
  World world_;
  Attack attack_;
  std::vector<Fault> faults_;
  Clock::time_point next_sample_;
  Clock::time_point last_broker_start_ = world_.broker_started();
  std::optional<std::uint64_t> progress_at_start_;
};

}  // namespace

void Waits::add(double seconds) {
  ++count;
  sum_s += seconds;
  max_s = std::max(max_s, seconds);
}

WorldOptions draw_world(const RoundOptions& options) {
  std::mt19937_64 random(mixed(options.seed, 0, 0x776f72));
  const std::size_t workers = 2 + random() % 3;
  const auto slots = static_cast<std::uint32_t>(1 + random() % 3);
  const std::size_t clients = 1 + random() % 2;
  constexpr std::array kHeartbeats = {milliseconds(250), milliseconds(500), milliseconds(1000)};
  const auto heartbeat = kHeartbeats[random() % kHeartbeats.size()];
  const std::size_t brokers = random() % 3 == 0 ? 2 : 1;
  return {.mode = options.mode,
          .seed = options.seed,
          .brokers = options.brokers.value_or(brokers),
          .workers = options.workers.value_or(workers),
          .slots = options.slots.value_or(slots),
          .clients = options.clients.value_or(clients),
          .heartbeat = options.heartbeat.value_or(heartbeat),
          .endless_jobs = options.endless_jobs};
}

RoundReport run_round(const RoundOptions& options, const Network::Means& means) {
  RoundReport report;
  report.world = draw_world(options);
  try {
    Round(options, means, report).run();
  } catch (const Failure& failure) {
    report.failure = std::string("the world did not come up: ") + failure.what();
  }
  return report;
}

}  // namespace achilles::tests
