// The faults of a round, drawn from its seed before anything starts: what is planned does not
// depend on how the run goes, so the same seed plans the same attack.
//
// Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace achilles::tests {

enum class FaultKind : std::uint8_t {
  // Processes.
  kKillWorker,
  kKillTask,
  kKillBroker,
  kKillClient,
  kStopWorker,   ///< SIGSTOP of the daemon alone; its task processes go on.
  kStopMachine,  ///< Of a worker with all its task processes.
  kStopTask,
  kStopBroker,
  kStopClient,
  kDrainWorker,       ///< SIGTERM under load.
  kDrainWorkerTwice,  ///< And again: it stops at once.
  kLeaveBroker,       ///< SIGTERM: it says BYE.
  // Links through a proxy.
  kReset,
  kResetMidway,
  kRefuse,
  kHoldBoth,
  kHoldRequests,
  kHoldAnswers,
  kDelay,
  kThrottle,
  // Links between namespaces.
  kDropBoth,
  kDropIncoming,
  kDropOutgoing,
  kSlowLink,
  kUnplug,
  kDropBroker,  ///< Both ways, at the broker: for all at once.
};
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::kDropBroker) + 1;

std::string_view name_of(FaultKind kind);
/// Throws std::invalid_argument.
FaultKind fault_named(std::string_view name);

/// What can be done to the parties of a round.
struct Weapons {
  bool proxies = false;
  bool drop = false;
  bool slow = false;
  bool unplug = false;
};

struct Fault {
  FaultKind kind;
  std::chrono::milliseconds at{0};
  /// Until it is healed, or what was killed is started again.
  std::chrono::milliseconds lasts{0};
  /// Which of those that can be meant: modulo their number.
  std::uint32_t target = 0;
  /// Of bytes, kilobits or milliseconds, as the kind needs it; of a killed worker: 1 when its cache
  /// is gone with it.
  std::uint32_t amount = 0;
};

struct PlanOptions {
  std::uint64_t seed = 0;
  std::chrono::milliseconds duration{0};
  std::chrono::milliseconds heartbeat{1000};
  Weapons weapons = {};
  std::vector<FaultKind> only = {};  ///< Empty: all.
};

/// In order of time.
std::vector<Fault> draw_faults(const PlanOptions& options);

std::string to_string(const Fault& fault);

}  // namespace achilles::tests
