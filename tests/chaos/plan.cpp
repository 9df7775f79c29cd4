#include "tests/chaos/plan.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <stdexcept>

namespace achilles::tests {
namespace {

using std::chrono::milliseconds;

enum class Needs : std::uint8_t { kNothing, kProxy, kDrop, kSlow, kUnplug };

struct Kind {
  std::string_view name;
  Needs needs;
  std::uint32_t weight;
};

// In the order of FaultKind.
constexpr std::array<Kind, kFaultKinds> kKinds = {{
    {"kill_worker", Needs::kNothing, 8},
    {"kill_task", Needs::kNothing, 10},
    {"kill_broker", Needs::kNothing, 6},
    {"kill_client", Needs::kNothing, 2},
    {"stop_worker", Needs::kNothing, 5},
    {"stop_machine", Needs::kNothing, 5},
    {"stop_task", Needs::kNothing, 4},
    {"stop_broker", Needs::kNothing, 4},
    {"stop_client", Needs::kNothing, 4},
    {"drain_worker", Needs::kNothing, 4},
    {"drain_worker_twice", Needs::kNothing, 2},
    {"leave_broker", Needs::kNothing, 2},
    {"reset", Needs::kProxy, 6},
    {"reset_midway", Needs::kProxy, 6},
    {"refuse", Needs::kProxy, 3},
    {"hold_both", Needs::kProxy, 4},
    {"hold_requests", Needs::kProxy, 4},
    {"hold_answers", Needs::kProxy, 4},
    {"delay", Needs::kProxy, 3},
    {"throttle", Needs::kProxy, 3},
    {"drop_both", Needs::kDrop, 5},
    {"drop_incoming", Needs::kDrop, 5},
    {"drop_outgoing", Needs::kDrop, 5},
    {"slow_link", Needs::kSlow, 4},
    {"unplug", Needs::kUnplug, 4},
    {"drop_broker", Needs::kDrop, 2},
}};

const Kind& entry_of(FaultKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

bool possible(const Kind& kind, const Weapons& weapons) {
  switch (kind.needs) {
    case Needs::kNothing:
      return true;
    case Needs::kProxy:
      return weapons.proxies;
    case Needs::kDrop:
      return weapons.drop;
    case Needs::kSlow:
      return weapons.slow;
    case Needs::kUnplug:
      return weapons.unplug;
  }
  return false;
}

/// Half of the times within a lease, so that the peer is not given up; some far beyond.
milliseconds draw_length(std::mt19937_64& random, milliseconds heartbeat) {
  const auto lease = static_cast<std::uint64_t>(5 * heartbeat.count());
  const std::uint64_t kind = random() % 10;
  const std::uint64_t longest = kind < 5 ? lease : kind < 9 ? 2 * lease : 4 * lease;
  return milliseconds(random() % longest);
}

std::uint32_t draw_amount(std::mt19937_64& random, FaultKind kind) {
  const auto between = [&](std::uint32_t least, std::uint32_t most) {
    return least + static_cast<std::uint32_t>(random() % (most - least));
  };
  switch (kind) {
    case FaultKind::kKillWorker:
      return random() % 3 == 0 ? 1 : 0;  // Its programs are lost, too.
    case FaultKind::kResetMidway:
      return random() % 2 == 0 ? between(1, 5'000) : between(5'000, 3'000'000);
    case FaultKind::kDelay:
      return between(1, 400);  // milliseconds
    case FaultKind::kThrottle:
      return between(20'000, 2'000'000);  // bytes a second
    case FaultKind::kSlowLink:
      return between(500, 40'000);  // kilobits a second
    default:
      return 0;
  }
}

}  // namespace

std::string_view name_of(FaultKind kind) {
  return entry_of(kind).name;
}

FaultKind fault_named(std::string_view name) {
  const auto at = std::ranges::find(kKinds, name, &Kind::name);
  if (at == kKinds.end()) throw std::invalid_argument("no fault is called " + std::string(name));
  return static_cast<FaultKind>(at - kKinds.begin());
}

std::vector<Fault> draw_faults(const PlanOptions& options) {
  std::mt19937_64 random(options.seed);
  std::vector<FaultKind> deck;  // Each as often as it weighs.
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const auto kind = static_cast<FaultKind>(i);
    const bool wanted = options.only.empty() || std::ranges::count(options.only, kind) > 0;
    if (wanted && possible(kKinds[i], options.weapons)) {
      deck.insert(deck.end(), kKinds[i].weight, kind);
    }
  }
  std::vector<Fault> faults;
  if (deck.empty()) return faults;
  const auto pause_max = static_cast<std::uint64_t>(2 * options.heartbeat.count());
  milliseconds at{0};
  while (true) {
    at += milliseconds(50 + random() % pause_max);
    if (at >= options.duration) return faults;
    Fault fault{.kind = deck[random() % deck.size()], .at = at};
    fault.lasts = draw_length(random, options.heartbeat);
    fault.target = static_cast<std::uint32_t>(random());
    fault.amount = draw_amount(random, fault.kind);
    faults.push_back(fault);
  }
}

std::string to_string(const Fault& fault) {
  std::string text(name_of(fault.kind));
  if (fault.amount > 0) text += " " + std::to_string(fault.amount);
  return text + " for " + std::to_string(fault.lasts.count()) + " ms";
}

}  // namespace achilles::tests
