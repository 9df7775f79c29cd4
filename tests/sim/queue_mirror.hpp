// What the broker's queues must hold, worked out from what is said to it and by it alone: so that
// each time chunks are handed out, they are the right ones (PROTOCOL.md, section 8: within a job
// the chunk with the wanted item first, then by index; those of a lost worker are queued again).
// Where it depends on more (what workers told of former sessions, whether a session was replaced by
// another), chunks are left out.
//
// Whoever adds another way for a chunk into a queue, or out of one, tells it here. It may know of
// fewer queued chunks than there are, never of more.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/commands.hpp"
#include "broker/core/events.hpp"
#include "protocol/ascending_map.hpp"
#include "protocol/messages.hpp"

namespace achilles::sim {

class QueueMirror {
 public:
  void heard(const broker::Event& event);
  void told(const broker::Command& command);
  /// After settle: what is wrong, if anything is.
  std::optional<std::string> fault();
  bool in_session(broker::PeerId peer) const { return sessions_.contains(peer); }
  /// All that are queued or handed out.
  std::uint64_t chunks() const;

 private:
  struct Queue {
    broker::PeerId client;
    protocol::ProgramId program;
    protocol::AscendingSet<protocol::ItemIndex> chunks;  ///< By their first items.
    std::uint64_t resubmits_left = 0;
    std::optional<protocol::ItemIndex> wanted;
    std::optional<protocol::ItemIndex> highest;  ///< Handed out since the last look.
  };
  struct Attempt {
    protocol::JobId job;
    broker::PeerId worker;
    protocol::ItemIndex first = 0;
    std::uint64_t count = 0;
    std::optional<protocol::AttemptId> second;  ///< At the same chunk.
    bool is_second = false;
  };

  void heard_message(broker::PeerId peer, const protocol::Message& message);
  void told_message(broker::PeerId peer, const protocol::Message& message);
  void heard_crash(const protocol::Crashed& crashed, broker::PeerId peer);
  void assigned(broker::PeerId peer, const protocol::Assignment& assignment);
  void requeue(protocol::AttemptId id, broker::PeerId peer);
  void begin_second(const protocol::Assignment& assignment);
  void forget_job(protocol::JobId id);
  /// A worker's chunks are queued again, a client's jobs forgotten.
  void end_session(broker::PeerId peer);

  std::unordered_map<broker::PeerId, protocol::SessionId> sessions_;
  std::map<protocol::JobId, Queue> queues_;
  protocol::AscendingMap<protocol::AttemptId, Attempt> attempts_;
  std::vector<protocol::JobId> handed_out_;
  bool unsure_ = false;  ///< This turn, sessions or claims change: what comes back may stay away.
};

}  // namespace achilles::sim
