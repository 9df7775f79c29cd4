// The client of a chaos run: one job after another, from two threads, and a check of every result.
//
//   chaos_client BROKER SEED FOLDER TAG jobs|endless|calm
//
// It ends once FOLDER/stop is there, after the jobs at hand. `endless` runs one job until then,
// `calm` a short one. Its
// tasks note each execution in FOLDER/TAG.executions. What the driver wants to know goes to
// FOLDER/TAG.said: "progress N" as results come, "ended JOB ITEMS", "crashed JOB INDEX ATTEMPTS".
// A broken promise is "VIOLATION …" on stdout. Exit codes: 0, 3 after a violation, 4 after an
// error.
#include <achilles/pool.hpp>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/job_plan.hpp"
#include "tests/chaos/ledger.hpp"
#include "tests/chaos/workload.hpp"

using namespace achilles::tests;

namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr int kExitViolation = 3;
constexpr int kExitError = 4;
constexpr std::uint32_t kSecondOfTwo = 1U << 31;

/// Whether the run is over; the file is looked for now and then only.
class StopSign {
 public:
  explicit StopSign(fs::path file) : file_(std::move(file)) {}
  bool is_up() {
    constexpr auto kLookEvery = std::chrono::milliseconds(20);
    const auto now = Clock::now().time_since_epoch().count();
    auto next = next_look_.load();
    if (!up_ && now >= next &&
        next_look_.compare_exchange_strong(next, now + Clock::duration(kLookEvery).count())) {
      up_ = fs::exists(file_);
    }
    return up_;
  }

 private:
  fs::path file_;
  std::atomic<bool> up_ = false;
  std::atomic<Clock::rep> next_look_ = 0;
};

/// The file for the driver.
class Said {
 public:
  explicit Said(const fs::path& path) : file_(path, std::ios::app) {}
  void line(const std::string& text) {
    const std::lock_guard lock(mutex_);
    file_ << text << std::endl;
  }

 private:
  std::mutex mutex_;
  std::ofstream file_;
};

class Progress {
 public:
  explicit Progress(Said& said) : said_(said) {}
  void note_item() {
    ++items_;
    constexpr auto kSayEvery = std::chrono::milliseconds(100);
    const auto now = Clock::now().time_since_epoch().count();
    auto next = next_word_.load();
    if (now >= next &&
        next_word_.compare_exchange_strong(next, now + Clock::duration(kSayEvery).count())) {
      tell();
    }
  }
  void tell() const { said_.line("progress " + std::to_string(items_)); }

 private:
  Said& said_;
  std::atomic<std::uint64_t> items_ = 0;
  std::atomic<Clock::rep> next_word_ = 0;
};

class Client {
 public:
  Client(const std::string& broker, std::uint64_t seed, const fs::path& folder,
         const std::string& tag)
      : seed_(seed),
        pool_(achilles::PoolOptions{.broker = broker,
                                    .connect_timeout = std::chrono::milliseconds(0),
                                    .result_bytes_max = 1ULL << (18 + seed % 6)}),
        executions_(folder / (tag + ".executions")),
        stop_(folder / "stop"),
        said_(folder / (tag + ".said")),
        progress_(said_) {}

  void run_jobs(std::uint32_t first, std::uint32_t step) {
    for (std::uint32_t number = first; !stop_.is_up(); number += step) {
      run(draw_job(seed_, number));
    }
  }

  void run(const JobPlan& plan) {
    try {
      switch (plan.way) {
        case JobPlan::Way::kImap:
        case JobPlan::Way::kImapUnordered:
          return run_imap(plan);
        case JobPlan::Way::kTwoImaps:
          return run_two_imaps(plan);
        case JobPlan::Way::kMap:
          return run_map(plan);
      }
    } catch (const Violation& violation) {
      throw Violation(std::string(violation.what()) + " [" + to_string(plan) + "]");
    }
  }

 private:
  auto function() const { return achilles::bind(achilles::fn<&run_item>, executions_.string()); }

  static achilles::CallOptions options(const JobPlan& plan) {
    return {.chunksize = plan.chunksize, .crash_limit = plan.crash_limit};
  }

  /// Lazily drawn items, which end early when the run does; `drawn` counts them.
  auto items(const JobPlan& plan, std::uint32_t job, std::shared_ptr<std::uint64_t> drawn) {
    return achilles::generate([this, plan, job, drawn = std::move(drawn)]() -> std::optional<Item> {
      if (*drawn == plan.count || stop_.is_up()) return std::nullopt;
      return make_item(seed_, job, plan.mixture, (*drawn)++);
    });
  }

  template <class Iterator>
  void take(Ledger& ledger, Iterator& at) {
    const std::uint64_t index = at.index();
    try {
      ledger.note_value(index, *at);
    } catch (const achilles::RemoteError& error) {
      ledger.note_error(index, error);
    }
    progress_.note_item();
  }

  /// False when the reader leaves the loop.
  bool goes_on(const JobPlan& plan, std::uint64_t taken) {
    if (plan.leave_at_end && stop_.is_up()) return false;
    if (plan.leave_after && taken >= *plan.leave_after) return false;
    if (plan.rest_every > 0 && taken % plan.rest_every == 0) {
      std::this_thread::sleep_for(plan.rest);
    }
    return true;
  }

  void end(const JobPlan& plan, std::uint32_t job, const Ledger& ledger, std::uint64_t count) {
    const bool left =
        plan.leave_at_end || (plan.leave_after && ledger.items() >= *plan.leave_after);
    if (!left) ledger.finish(count);
    for (const auto& crash : ledger.crashes()) {
      if (crash.attempts != plan.crash_limit) {
        throw Violation("job " + std::to_string(job) + ", item " + std::to_string(crash.index) +
                        ": given up after " + std::to_string(crash.attempts) + " deaths, not " +
                        std::to_string(plan.crash_limit));
      }
      said_.line("crashed " + std::to_string(job) + " " + std::to_string(crash.index) + " " +
                 std::to_string(crash.attempts));
    }
    progress_.tell();
    said_.line("ended " + std::to_string(job) + " " + std::to_string(ledger.items()) + " (" +
               to_string(plan) + ", " + std::to_string(ledger.errors()) + " errors, checksum " +
               std::to_string(ledger.checksum()) + ")");
  }

  void run_imap(const JobPlan& plan) {
    const bool ordered = plan.way == JobPlan::Way::kImap;
    const auto drawn = std::make_shared<std::uint64_t>(0);
    Ledger ledger(seed_, plan.number, plan.mixture, ordered);
    auto inputs = items(plan, plan.number, drawn);
    auto results = ordered ? pool_.imap(function(), std::move(inputs), options(plan))
                           : pool_.imap_unordered(function(), std::move(inputs), options(plan));
    for (auto at = results.begin(); at != results.end(); ++at) {
      take(ledger, at);
      if (!goes_on(plan, ledger.items())) break;
    }
    end(plan, plan.number, ledger, *drawn);
  }

  /// Read in turn; when the first is left unread, the second goes on alone.
  void run_two_imaps(const JobPlan& plan) {
    JobPlan other = plan;
    other.number = plan.number | kSecondOfTwo;
    other.leave_after.reset();
    const auto drawn = std::make_shared<std::uint64_t>(0);
    const auto drawn_too = std::make_shared<std::uint64_t>(0);
    Ledger ledger(seed_, plan.number, plan.mixture, true);
    Ledger ledger_too(seed_, other.number, other.mixture, false);
    auto first = pool_.imap(function(), items(plan, plan.number, drawn), options(plan));
    auto second =
        pool_.imap_unordered(function(), items(other, other.number, drawn_too), options(other));
    auto at = first.begin();
    auto at_too = second.begin();
    bool reads_first = true;
    while ((reads_first && at != std::default_sentinel) || at_too != std::default_sentinel) {
      if (reads_first && at != std::default_sentinel) {
        take(ledger, at);
        reads_first = goes_on(plan, ledger.items());
        if (reads_first) ++at;
      }
      if (at_too != std::default_sentinel) {
        take(ledger_too, at_too);
        ++at_too;
      }
    }
    end(plan, plan.number, ledger, *drawn);
    end(other, other.number, ledger_too, *drawn_too);
  }

  /// All results, or the error of the lowest index.
  void run_map(const JobPlan& plan) {
    std::vector<Item> inputs;
    std::optional<std::uint64_t> failing;
    for (std::uint64_t index = 0; index < plan.count; ++index) {
      inputs.push_back(make_item(seed_, plan.number, plan.mixture, index));
      const Fate fate = nature_of(seed_, plan.number, plan.mixture, index).fate;
      if (fate != Fate::kValue && !failing) failing = index;
    }
    Ledger ledger(seed_, plan.number, plan.mixture, true);
    try {
      const auto outcomes = pool_.map(function(), inputs, options(plan));
      for (const auto& outcome : outcomes) {
        ledger.note_value(ledger.items(), outcome);
        progress_.note_item();
      }
    } catch (const achilles::RemoteError& error) {
      check_map_error(plan, error, failing);
      return;
    }
    end(plan, plan.number, ledger, plan.count);
  }

  void check_map_error(const JobPlan& plan, const achilles::RemoteError& error,
                       std::optional<std::uint64_t> failing) {
    const bool crashed = error.kind() == achilles::RemoteError::Kind::kTaskCrashed;
    // An item that is not meant to fail does so where task processes are killed, if so it may.
    const bool killed =
        crashed && error.index() < failing.value_or(plan.count) && plan.mixture == Mixture::kDeadly;
    if (failing != error.index() && !killed) {
      throw Violation("job " + std::to_string(plan.number) + ": map threw for item " +
                      std::to_string(error.index()) + ", expected " +
                      (failing ? std::to_string(*failing) : "nothing") + ": " + error.what());
    }
    progress_.note_item();
    progress_.tell();
  }

  std::uint64_t seed_;
  achilles::Pool pool_;
  fs::path executions_;
  StopSign stop_;
  Said said_;
  Progress progress_;
};

/// The driver kills what is left; destructors of what is in the middle of something have no part.
[[noreturn]] void end_badly(const std::string& line, int code) {
  std::cout << line << std::endl;
  std::_Exit(code);
}

template <class Function>
void watched(Function function) {
  try {
    function();
  } catch (const Violation& violation) {
    end_badly(std::string("VIOLATION ") + violation.what(), kExitViolation);
  } catch (const std::exception& error) {
    end_badly(std::string("ERROR ") + error.what(), kExitError);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const std::string what = argv[5];
  watched([&] {
    Client client(argv[1], std::stoull(argv[2]), argv[3], argv[4]);
    if (what == "calm") return client.run(calm_job(1));
    if (what == "endless") return client.run(endless_job(1));
    std::thread other([&] { watched([&] { client.run_jobs(2, 2); }); });
    watched([&] { client.run_jobs(1, 2); });
    other.join();
  });
}
