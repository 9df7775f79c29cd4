// The ready queue: whose turn it is. In turn among clients, then among a client's jobs, one chunk
// a turn, so that neither a huge job nor a client with many jobs holds up anybody else.
//
// It knows only jobs' names. Invariants:
//  1. A job is in it at most once; a client is in it exactly while one of its jobs is.
#pragma once

#include <list>
#include <unordered_map>
#include <vector>

#include "protocol/ids.hpp"

namespace achilles::broker {

class ReadyQueue {
 public:
  bool empty() const { return turns_.empty(); }
  bool contains(protocol::JobId job) const { return jobs_.contains(job); }
  /// At the back; nothing when it is in already.
  void add(protocol::JobId job);
  void remove(protocol::JobId job);
  /// Whose turn it is. REQUIRES: !empty().
  protocol::JobId front() const { return turns_.front().jobs.front(); }
  /// The front has had its turn.
  void rotate();
  /// All jobs, in the order of turns.
  std::vector<protocol::JobId> jobs() const;

 private:
  struct Turn {
    protocol::ClientId client;
    std::list<protocol::JobId> jobs;
  };
  std::list<Turn> turns_;
  std::unordered_map<protocol::ClientId, std::list<Turn>::iterator> clients_;
  std::unordered_map<protocol::JobId, std::list<protocol::JobId>::iterator> jobs_;
};

}  // namespace achilles::broker
