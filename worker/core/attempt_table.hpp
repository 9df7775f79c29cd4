// The attempts this worker has been assigned and need not forget yet, and where each of them is.
//
// Invariants:
//  1. An attempt is in exactly one place: a program's queue, a task process, the shelf of results
//     that wait for a GRANT, or that of results that were sent and are not accepted yet.
//  2. An attempt whose job was closed, or that was revoked, is only ever in a task process (`job`
//  is
//     null there): it stays until the task process says that it is past it, or is gone.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <unordered_map>

#include "protocol/messages.hpp"
#include "worker/core/chain.hpp"

namespace achilles::worker {

struct Job;
struct Task;

struct Attempt {
  enum class Place : std::uint8_t { kNowhere, kQueued, kGiven, kHeld, kSent };

  protocol::Assignment assignment;
  Job* job = nullptr;    ///< Null once nobody wants the result.
  Task* task = nullptr;  ///< Where it was given to.
  Place place = Place::kNowhere;
  bool granted = false;
  /// A task process died that may have been ruined by it, or by others: it gets one for itself.
  bool alone = false;
  std::uint64_t turn = 0;   ///< Among all that its task process was ever given, from 1 on.
  std::uint64_t order = 0;  ///< Of arrival; what came first runs first, also across programs.
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  /// Expected time in the task process it was given to; nothing when the job's pace was not known.
  std::optional<std::int64_t> expected_ns;
  std::optional<protocol::ChunkResult> result;  ///< Once it is done.
  std::uint64_t result_cost = 0;

  Link<Attempt> place_link;
  Link<Attempt> job_link;

  protocol::AttemptId id() const { return assignment.attempt; }
  bool abandoned() const { return job == nullptr; }
  /// The result is here: the inputs are not needed again.
  void finish(protocol::ChunkResult done, std::uint64_t cost);
};

using PlaceChain = Chain<Attempt, &Attempt::place_link>;
using JobChain = Chain<Attempt, &Attempt::job_link>;

class AttemptTable {
 public:
  Attempt* find(protocol::AttemptId id);
  /// Nothing when the attempt is already here. It is in its job's chain, and nowhere yet.
  Attempt* add(protocol::Assignment assignment, Job& job);
  /// Nobody wants it any more, but it is in a task process that cannot give it back.
  void abandon(Attempt& attempt);
  /// REQUIRES: the attempt is nowhere.
  void erase(Attempt& attempt);
  std::size_t size() const { return attempts_.size(); }

 private:
  /// Entries come and go by the million: their memory is used again and again.
  std::pmr::unsynchronized_pool_resource memory_;
  std::pmr::unordered_map<protocol::AttemptId, Attempt> attempts_{
      &memory_};  ///< Looked up, never walked.
  std::uint64_t last_order_ = 0;
};

/// Attempts of one program that wait for a task process: the granted ones first, each in order.
class AttemptQueue {
 public:
  void push_back(Attempt& attempt);
  /// For an attempt that was here before: it goes ahead of all that came after it.
  void put_back(Attempt& attempt);
  void erase(Attempt& attempt);
  /// Moves a queued attempt behind the other granted ones.
  void grant(Attempt& attempt);
  /// Back among the others.
  void take_grant_back(Attempt& attempt);
  /// Who is next, when only granted ones may begin or when all may.
  Attempt* front(bool only_granted) const;
  std::size_t size(bool only_granted) const;
  const PlaceChain& granted() const { return granted_; }
  const PlaceChain& plain() const { return plain_; }

 private:
  PlaceChain& chain_of(const Attempt& attempt) { return attempt.granted ? granted_ : plain_; }
  PlaceChain granted_;
  PlaceChain plain_;
};

/// Results of finished attempts: those that wait for a GRANT, or those that wait to be accepted.
class KeptResults {
 public:
  explicit KeptResults(Attempt::Place place) : place_(place) {}
  /// REQUIRES: the attempt is nowhere, and finished.
  void put(Attempt& attempt);
  /// The attempt is nowhere afterwards.
  void take(Attempt& attempt);
  std::uint64_t bytes() const { return bytes_; }
  const PlaceChain& chain() const { return chain_; }

 private:
  Attempt::Place place_;
  PlaceChain chain_;
  std::uint64_t bytes_ = 0;
};

}  // namespace achilles::worker
