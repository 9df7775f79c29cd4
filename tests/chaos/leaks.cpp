#include "tests/chaos/leaks.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>

#include "tests/chaos/watch.hpp"

namespace achilles::tests {
namespace {

namespace fs = std::filesystem;

/// Socket, pidfd, page and stderr of a task process; the page's descriptor is closed once mapped.
constexpr std::size_t kDescriptorsPerTask = 3;
/// Of the one program that is run, kept for further task processes.
constexpr std::size_t kDescriptorsPerProgram = 1;
/// Connections whose other end vanished without a word are reaped by the transport after a minute,
/// counted from its last sign of life.
constexpr std::chrono::seconds kReapPatience{240};

std::string entries_of(const fs::path& folder) {
  std::string text;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    text += "\n  " + entry.path().string();
  }
  return text;
}

void await_descriptors(Party& party, std::size_t count_max) {
  Descriptors now;
  try {
    await(
        "idle descriptors of " + party.name(),
        [&] {
          party.check_alive();
          now = descriptors_of(party.pid());
          return now.count <= count_max;
        },
        kReapPatience);
  } catch (const Failure& failure) {
    throw Failure(std::string(failure.what()) + ": it has " + std::to_string(now.count) +
                  ", expected at most " + std::to_string(count_max) + ": " + now.kinds);
  }
}

void leave(Party& party) {
  party.process().signal(SIGTERM);
  party.expect_end();
  std::optional<Ending> ending;
  await(party.name() + " to leave", [&] {
    ending = party.take_ending();
    return ending.has_value();
  });
  if (ending != kSucceeded) {
    throw Failure(party.name() + " did not leave with success:\n" + party.log_tail());
  }
}

/// Folders of workers that were killed are removed by the next worker, once they are old enough.
void check_scratch(World& world, WorkerParty& worker) {
  const fs::path scratch = worker.folder / "scratch";
  const auto count = [&] {
    return std::distance(fs::directory_iterator(scratch), fs::directory_iterator{});
  };
  if (count() > worker.kills) {
    throw Failure(worker.party.name() + " left scratch folders behind:" + entries_of(scratch));
  }
  if (count() == 0) return;
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::minutes(10);
  for (const auto& entry : fs::directory_iterator(scratch)) {
    fs::last_write_time(entry.path(), long_ago);
  }
  world.start_worker(worker);
  await("the abandoned scratch folders to be removed", [&] {
    worker.party.check_alive();
    const auto news = world.status();
    return news && news->workers.size() == 1 && count() == 1;  // Its own.
  });
  leave(worker.party);
  if (count() != 0) {
    throw Failure(worker.party.name() + " left its scratch folder behind:" + entries_of(scratch));
  }
}

}  // namespace

Leaks::Leaks(World& world) : worker_descriptors_(0) {
  for (const auto& broker : world.brokers()) {
    broker_descriptors_.push_back(descriptors_of(broker->party.pid()).count);
  }
  for (const auto& worker : world.workers()) {
    const auto count = descriptors_of(worker->party.pid()).count;
    worker_descriptors_ = std::max(worker_descriptors_, count);
  }
}

void Leaks::check_idle(World& world) const {
  for (auto& worker : world.workers()) {
    await("the task processes of " + worker->party.name() + " to be no more than its slots", [&] {
      worker->party.check_alive();
      return worker->tasks().size() <= world.options().slots;
    });
    await_descriptors(worker->party, worker_descriptors_ + kDescriptorsPerProgram +
                                         kDescriptorsPerTask * world.options().slots);
  }
  for (std::size_t i = 0; i < world.brokers().size(); ++i) {
    await_descriptors(world.brokers()[i]->party, broker_descriptors_[i]);
  }
}

void check_farewell(World& world, const RunFolder& folder) {
  for (auto& worker : world.workers()) {
    leave(worker->party);
    if (const auto left = worker->tasks(); !left.empty()) {
      throw Failure(worker->party.name() + " left a task process: " + describe_process(left[0]));
    }
  }
  for (auto& worker : world.workers()) check_scratch(world, *worker);
  for (auto& broker : world.brokers()) leave(broker->party);
  await("all processes of the run to have ended", [&] { return folder.processes().empty(); });
  if (!fs::is_empty(folder.temporary())) {
    throw Failure("files were left in $TMPDIR:" + entries_of(folder.temporary()));
  }
}

}  // namespace achilles::tests
