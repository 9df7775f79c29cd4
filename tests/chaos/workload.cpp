#include "tests/chaos/workload.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "tests/chaos/mixed.hpp"

namespace achilles::tests {
namespace {

using std::chrono::milliseconds;

/// A round of the work that each item is.
constexpr int kRounds = 500;
/// Loads carry a mark so often that a lost, doubled or moved piece is seen.
constexpr std::size_t kMarkEvery = 1024;

constexpr std::uint32_t kLargeBytesMin = 20'000;
constexpr std::uint32_t kLargeBytesMax = 2'000'000;

std::string load_of(std::uint64_t mark, std::uint32_t bytes) {
  std::string load(bytes, static_cast<char>('a' + mark % 26));
  for (std::size_t at = 0; at + sizeof mark <= load.size(); at += kMarkEvery) {
    const std::uint64_t here = mark + at;
    std::memcpy(load.data() + at, &here, sizeof here);
  }
  return load;
}

/// The load's size is in it, so loads of the two ways differ.
std::uint64_t mark_of(const Item& item, std::uint32_t bytes) {
  return mixed(item.seed ^ bytes, item.job, item.index);
}

std::uint32_t large(std::uint64_t random) {
  // Half of them moderate.
  const std::uint64_t most = random % 2 == 0 ? kLargeBytesMax / 10 : kLargeBytesMax;
  return kLargeBytesMin + static_cast<std::uint32_t>((random >> 8) % most);
}

[[noreturn]] void die(std::uint64_t index) {
  switch (index % 3) {
    case 0:
      ::_exit(41);
    case 1:
      ::kill(::getpid(), SIGKILL);
      break;
    default:
      std::signal(SIGSEGV, SIG_DFL);
      ::kill(::getpid(), SIGSEGV);
      break;
  }
  for (;;) ::pause();
}

void note_execution(const std::string& file, const Item& item) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error("the chaos test cannot open " + file);
  const Execution record{item.job, ~item.job, item.index};
  const bool noted = ::write(fd, &record, sizeof record) == sizeof record;
  ::close(fd);
  if (!noted) throw std::runtime_error("the chaos test cannot write to " + file);
}

}  // namespace

Nature nature_of(std::uint64_t seed, std::uint32_t job, Mixture mixture, std::uint64_t index) {
  Nature nature;
  if (mixture == Mixture::kQuick) return nature;
  const std::uint64_t kind = mixed(seed, job, index) % 2000;
  const std::uint64_t random = mixed(seed + 1, job, index);
  if (mixture == Mixture::kSteady) {
    nature.takes = milliseconds(50 + random % 100);
  } else if (kind < 10) {
    nature.takes = milliseconds(20 + random % 300);
  } else if (kind < 11) {
    nature.takes = milliseconds(1000 + random % 3000);  // Longer than some leases.
  } else if (kind < 20) {
    nature.input_bytes = large(random);
  } else if (kind < 30) {
    nature.result_bytes = large(random);
  } else if (kind < 80 && mixture == Mixture::kFailing) {
    nature.fate = Fate::kThrows;
  } else if (kind < 40 && mixture == Mixture::kDeadly) {
    nature.fate = Fate::kDies;
  }
  return nature;
}

Item make_item(std::uint64_t seed, std::uint32_t job, Mixture mixture, std::uint64_t index) {
  Item item{seed, job, static_cast<std::uint8_t>(mixture), index, {}};
  const std::uint32_t bytes = nature_of(seed, job, mixture, index).input_bytes;
  if (bytes > 0) item.load = load_of(mark_of(item, bytes), bytes);
  return item;
}

std::uint64_t value_of(std::uint64_t seed, std::uint32_t job, std::uint64_t index) {
  std::uint64_t value = index;
  for (int i = 0; i < kRounds; ++i) value = mixed(value, seed, job);
  return value;
}

std::optional<std::string> flaw_in(const Outcome& outcome, const Item& item) {
  if (outcome.index != item.index) {
    return "is that of item " + std::to_string(outcome.index);
  }
  if (outcome.value != value_of(item.seed, item.job, item.index)) return "has a wrong value";
  const auto mixture = static_cast<Mixture>(item.mixture);
  const std::uint32_t bytes = nature_of(item.seed, item.job, mixture, item.index).result_bytes;
  if (outcome.load.size() != bytes) {
    return "carries " + std::to_string(outcome.load.size()) + " bytes, not " +
           std::to_string(bytes);
  }
  if (bytes > 0 && outcome.load != load_of(mark_of(item, bytes), bytes)) {
    return "carries other bytes";
  }
  return std::nullopt;
}

std::string complaint_of(std::uint64_t index) {
  return "item " + std::to_string(index) + " is meant to fail";
}

Outcome run_item(const std::string& executions_file, const Item& item) {
  note_execution(executions_file, item);
  const auto nature =
      nature_of(item.seed, item.job, static_cast<Mixture>(item.mixture), item.index);
  if (nature.takes.count() > 0) std::this_thread::sleep_for(nature.takes);
  if (item.load.size() != nature.input_bytes ||
      (nature.input_bytes > 0 &&
       item.load != load_of(mark_of(item, nature.input_bytes), nature.input_bytes))) {
    throw std::logic_error("the input of item " + std::to_string(item.index) + " is damaged");
  }
  if (nature.fate == Fate::kDies) die(item.index);
  if (nature.fate == Fate::kThrows) throw std::domain_error(complaint_of(item.index));
  Outcome outcome{item.index, value_of(item.seed, item.job, item.index), {}};
  if (nature.result_bytes > 0) {
    outcome.load = load_of(mark_of(item, nature.result_bytes), nature.result_bytes);
  }
  return outcome;
}

}  // namespace achilles::tests
