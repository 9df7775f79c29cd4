// What can go wrong in a simulated world, and how often each of it does.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace achilles::sim {

enum class FaultKind : std::uint8_t {
  // The network. What is cut stays so until a new connection is made; what is held arrives later.
  kCut,
  kCutToBroker,
  kCutToPeer,
  kHold,
  kHoldToBroker,
  kHoldToPeer,
  kReconnect,  ///< Beneath: neither core is told. What was under way is lost, or comes late.
  // A process is stopped, or its machine sleeps.
  kStallBroker,
  kStallWorker,
  kStallClient,
  // Ends, by kill -9 or on purpose. Another one comes after a while.
  kRestartBroker,
  kStopBroker,
  kCrashWorker,
  kCrashClient,
  kDrainWorker,
  kStopWorker,
  // Task processes.
  kKillTask,
  kEndIdleTask,
  // For a while, on one worker: everything is slow; task processes die before they are ready; they
  // die at whatever they run.
  kSlowWorker,
  kBrokenWorker,
  kDeadlyWorker,
  // A party and a broker cannot reach each other, whatever connections are made.
  kPart,
};
inline constexpr std::size_t kFaultKinds = 22;

/// In the order of the kinds.
using FaultWeights = std::array<unsigned, kFaultKinds>;
using FaultCounts = std::array<std::uint64_t, kFaultKinds>;

/// "cut-to-broker".
std::string_view name_of(FaultKind kind);

/// "all", "none", or "cut=3,stall-broker" (1 where no weight is said), after "all," to change some
/// of the usual weights. Nothing when it is none of these: `problem` says why.
std::optional<FaultWeights> weights_from(std::string_view text, std::string& problem);
/// The inverse, as short as it goes.
std::string to_text(const FaultWeights& weights);

FaultWeights usual_weights();

}  // namespace achilles::sim
