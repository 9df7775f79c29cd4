// Mutants: deliberate faults in the cores, to see that the simulator would catch them.
//
// In everything that is built but the cores of one test, mutant() is constantly false and leaves no
// trace. There the test switches one of them on at a time (tests/sim/mutants_test.cpp).
#pragma once

#include <cstdint>

namespace achilles::protocol {

enum class Mutant : std::uint8_t {
  kNone,
  // The broker's core.
  kLostWorkersChunksForgotten,  ///< A lost worker's attempts are not queued again.
  kReturnedChunksForgotten,     ///< Returned attempts are not queued again.
  kQueueFromWrongEnd,           ///< The chunk with the highest index goes first.
  kAllowanceNotReleased,        ///< A finished attempt's allowance stays reserved.
  kCreditIgnored,               ///< Chunks are begun whatever the client's credit.
  kWantedNotGranted,            ///< The chunk that the user waits for is not granted.
  kGrantNotSent,                ///< A grant is noted but not sent.
  kWorkerWindowIgnored,         ///< Chunks are sent to a worker beyond its window.
  kCrashCountsAgainstFirst,     ///< Not against the item that was worked on.
  kRestOfCrashedForgotten,      ///< The items behind a guilty one are not queued again.
  kClosedJobNotTold,            ///< Workers do not hear that a job is over.
  kPartNotAskedAgain,           ///< A program's part that a lost client was asked for.
  kBrokerJudgesAfterItsNap,     ///< Leases are not extended by the broker's own stall.
  kUnwantedClaimsKept,          ///< What a worker holds in vain is not revoked.
  kMissingNotQueuedAgain,       ///< Attempts that HOLDING does not name are forgotten.
  kUnsubmittedKept,             ///< What a client did not submit again is not revoked.
  kKeepJobsIgnored,             ///< Jobs that a client does not keep stay.
  kAcceptedNotPassedOn,         ///< Workers do not hear which results were accepted.
  kSecondForgotten,             ///< It does not take the place of a first attempt that is lost.
  kChunksNotWithheld,           ///< After its start, what comes again is run at once.
  // The worker's core.
  kReturnedNotTold,        ///< A worker that drains says nothing of what it has not begun.
  kDrainWaitsForGrants,    ///< However long nobody asks for the results of a drained worker.
  kDeadTasksChunksLost,    ///< What a dead task process had not begun is dropped.
  kFirstItemIsGuilty,      ///< A crash names the chunk's first item.
  kGrantsOutliveSession,   ///< As if allowances and grants of a lost session still counted.
  kHoldingNotTold,         ///< A worker says that it holds nothing.
  kResultsFreedWhenSent,   ///< Not kept until they are accepted.
  kSkippedTasksLive,       ///< Task processes at work for a closed job are not killed.
  kHeartbeatsForgotten,    ///< A worker that has nothing to say says nothing.
  kBrokersSilenceIgnored,  ///< A worker waits for a lost broker for ever.
  kWorkerJudgesAfterItsNap,
  kAskedBackGetMore,  ///< A task process gets chunks before it is known what came back.
  // The client's core.
  kItemsAcceptedTwice,   ///< Results of items that were accepted before are taken as new.
  kResultsOutOfOrder,    ///< The reorder buffer hands out what it has.
  kClientWindowIgnored,  ///< Chunks are sent whatever the window.
  kUnfinishedForgotten,  ///< In a new session, what the former one had is not submitted again.
  kUnreadNotCounted,     ///< Credit is told as if all results had been read.
  kWantedNotTold,        ///< The broker does not learn which item is waited for.
  kClientJudgesAfterItsNap,
  kAcceptedNotSent,  ///< Results are not acknowledged.
  kEnd,              ///< Not one of them.
};

#ifdef ACHILLES_MUTANTS
/// The one that is switched on.
inline Mutant active_mutant = Mutant::kNone;
inline bool mutant(Mutant which) {
  return which == active_mutant;
}
#else
constexpr bool mutant(Mutant) {
  return false;
}
#endif

}  // namespace achilles::protocol
