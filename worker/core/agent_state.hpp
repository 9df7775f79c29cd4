// What the Agent is made of. Private to worker/core: control flow is in agent.cpp (the broker's
// side), sessions.cpp (what goes on across sessions), agent_tasks.cpp (programs and task processes)
// and dispatch.cpp (what runs where).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/broker_choice.hpp"
#include "protocol/story.hpp"
#include "worker/core/agent.hpp"
#include "worker/core/attempt_table.hpp"
#include "worker/core/broker_link.hpp"
#include "worker/core/job_table.hpp"
#include "worker/core/program_table.hpp"
#include "worker/core/task_table.hpp"

namespace achilles::worker {

/// A task process must have said TaskReady by then.
inline constexpr protocol::Duration kReadyWithin = std::chrono::seconds(10);
/// A task process that is still busy with a closed job after so long is asked to end.
/// A task process that has several chunks, together of some milliseconds, and answers none for so
/// long gets those back that it has not begun: others may have a slot for them.
inline constexpr protocol::Duration kStuckAfter = std::chrono::milliseconds(10);
inline constexpr protocol::Duration kSkipWithin = std::chrono::milliseconds(100);
/// After so long a task process that was asked to end over a closed job is killed.
inline constexpr protocol::Duration kTerminateWithin = std::chrono::seconds(1);
/// A task process that was told to end by itself is killed after so long.
inline constexpr protocol::Duration kHangUpWithin = std::chrono::seconds(5);
/// Work that a task process may hold: enough to keep it busy while the next comes, too little to
/// regret when another slot becomes free.
inline constexpr std::int64_t kAheadNs = 2'000'000;
inline constexpr std::size_t kAheadChunks = 1024;
inline constexpr std::uint64_t kAheadBytes = 1ULL << 20;
/// Early deaths in a row after which a program is refused.
inline constexpr std::uint32_t kEarlyDeathsMax = 3;
/// How often a program is fetched anew when it is gone again from the cache.
inline constexpr std::uint32_t kFetchesMax = 3;
/// How long a drained worker, on which nothing runs any more, waits for its results to be asked for
/// and accepted before it leaves anyway.
inline constexpr protocol::Duration kAcceptedWithin = std::chrono::seconds(5);
/// Attempts in one HOLDING.
inline constexpr std::size_t kHoldingMax = 8192;

/// One call of an entrance: when, and where its commands go.
struct Turn {
  protocol::TimePoint now;
  Commands& out;
};

struct Agent::State {
  State(AgentOptions given, protocol::TimePoint now);

  AgentOptions options;
  protocol::Story story;
  protocol::BrokerChoice choice;
  BrokerLink link;
  ProgramTable programs;
  JobTable jobs;
  AttemptTable attempts;
  KeptResults held{Attempt::Place::kHeld};  ///< Wait for a GRANT.
  KeptResults sent{Attempt::Place::kSent};  ///< Wait to be accepted.
  TaskTable tasks;
  std::vector<protocol::ChunkResult> outgoing;  ///< Leave together at settle.
  bool draining = false;
  /// A drained worker waits so long for its last results to be asked for and accepted.
  std::optional<protocol::TimePoint> leave_by;
  bool left = false;  ///< After Leave: nothing more is done.
  protocol::TimePoint last_called;
  std::string last_warning;     ///< About the broker: the same one is not noted again and again.
  std::vector<Task*> lanes;     ///< Scratch of dispatch.
  std::vector<Task*> given_to;  ///< Scratch of dispatch.

  // agent.cpp: the broker's side.
  void begin(protocol::TimePoint now);
  /// Whatever is said in a session. Nothing outside of one: the next one begins with HOLDING.
  void send(Turn& turn, protocol::Message message);
  /// For the log, and for the story.
  void note(Turn& turn, Note::Level level, std::string text);
  /// Of what should not happen: with what came before.
  void note_odd(Turn& turn, const std::string& text);
  void tell(const Turn& turn, std::string what) { story.tell(turn.now, std::move(what)); }
  void tell(const Turn& turn, protocol::JobId job, std::string what) {
    story.tell(turn.now, job, std::move(what));
  }
  void on_broker(Turn& turn, protocol::Message& message);
  void on_heard(Turn& turn);
  void on_welcome(Turn& turn, const protocol::Welcome& welcome);
  void on_rejected(Turn& turn, const protocol::Rejected& rejected);
  void on_bye(Turn& turn, const protocol::Bye& bye);
  void on_open_job(Turn& turn, protocol::OpenJob& open);
  void on_close_job(Turn& turn, protocol::JobId id);
  void on_assign(Turn& turn, protocol::Assign& assign);
  void on_grant(protocol::AttemptId id);
  void on_accepted(const protocol::Accepted& accepted);
  void on_revoke(Turn& turn, const protocol::Revoke& revoke);
  void on_recall(Turn& turn, const protocol::Recall& recall);
  void on_drain(Turn& turn);
  void send_results(Turn& turn);
  void leave_if_finished(Turn& turn);
  /// Its last results have been waited for long enough.
  void leave_unfinished(Turn& turn);
  void leave(Turn& turn, const std::string& reason);

  // sessions.cpp: what goes on across sessions.
  /// The session is over, and with it all grants and allowances. What is here stays and goes on:
  /// the next session begins with a list of it.
  void end_session(Turn& turn);
  void send_holding(Turn& turn);
  /// Between sessions: should the next one want them, it opens them again.
  void close_empty_jobs(Turn& turn);
  void lose_session(Turn& turn);
  enum class Then : std::uint8_t { kStay, kElsewhere };
  void lose_connection(Turn& turn, const std::string& reason, Then then = Then::kElsewhere);
  /// A broker that is named earlier than the present one answered.
  void on_broker_there(Turn& turn, std::size_t broker);
  void expire(Turn& turn);

  // agent_tasks.cpp: programs and task processes.
  void need_program(Turn& turn, Program& program);
  void on_program_loaded(Turn& turn, protocol::ProgramId id);
  void on_program_absent(Turn& turn, protocol::ProgramId id);
  void on_program_unusable(Turn& turn, protocol::ProgramId id, const std::string& reason);
  void on_program_part(Turn& turn, protocol::ProgramPart& part);
  void refuse(Turn& turn, Program& program, std::string reason);
  void on_task_message(Turn& turn, TaskId id, protocol::Message& message);
  void on_task_ready(Turn& turn, Task& task, const protocol::TaskReady& ready);
  void on_results(Turn& turn, Task& task, protocol::Results& results);
  /// REQUIRES: the attempt is nowhere, and finished. It is sent at settle, and kept until accepted.
  void deliver(Attempt& attempt);
  /// Nothing when it is not there, or not any more.
  Attempt* find_given(const Task& task, std::optional<protocol::AttemptId> id);
  /// The attempt that a dead task process died of, if that is known.
  Attempt* find_guilty(Turn& turn, Task& task, const TaskExited& exited);
  void on_task_exited(Turn& turn, const TaskExited& exited);
  void on_task_failed_to_start(Turn& turn, const TaskFailedToStart& failed);
  void on_task_due(Turn& turn, Task& task);
  /// Of what it has, it should be done with something soon.
  void watch_for_stuck(Turn& turn, Task& task);
  void on_taken_back(Turn& turn, const TakenBackFromTask& taken);
  void end_task(Turn& turn, Task& task, bool kill);
  /// The task process does not keep to the protocol: nothing it says can be trusted.
  void confused(Turn& turn, Task& task, const std::string& what);
  void early_death(Turn& turn, Program& program, const std::string& what,
                   const std::string& advice);
  std::string likely_causes() const;
  /// What the task still holds goes back to the front of its program's queue.
  void requeue_given(Turn& turn, Task& task, std::uint64_t but_the_first = 0);
  /// Kill in time if what it works on is of a closed job.
  void watch_front(Turn& turn, Task& task);
  /// From wherever it is, to nowhere and out of the table.
  void drop(Attempt& attempt);
  std::string program_name(const Program& program) const;
  /// "task process 3", as the story calls it.
  static std::string task_name(const Task& task);

  // dispatch.cpp: what runs where.
  void settle(Turn& turn);
  bool only_granted() const { return held.bytes() > options.held_result_bytes_max; }
  std::uint32_t free_slots() const;
  /// False: the program waits for a slot, and younger work must not go before it.
  bool fill(Turn& turn, Program& program);
  void give_to_lanes(Turn& turn, Program& program);
  void start_tasks(Turn& turn, Program& program);
  void evict_idle(Turn& turn, const Program& needed);
  void give(Turn& turn, Task& task, Attempt& attempt);

  void check_invariants() const;
};

}  // namespace achilles::worker
