// The scheduler's state, and its control flow as members of it. Internal to broker/core.
//
// Files: scheduler.cpp (entrances, sessions, liveness), on_client.cpp and on_worker.cpp (one
// handler a message), recovery.cpp (what goes on across sessions), placement.cpp (settle: who gets
// what), stragglers.cpp (what takes too long), status.cpp (what observers ask), invariants.cpp.
//
// Handlers change tables and `touch` what settle must look at again; they hand out no chunk.
// Whatever a peer sends, a handler answers with REJECTED at worst: nothing throws but a lost
// invariant.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/core/attempt_table.hpp"
#include "broker/core/client_table.hpp"
#include "broker/core/job_table.hpp"
#include "broker/core/liveness.hpp"
#include "broker/core/peer_table.hpp"
#include "broker/core/program_table.hpp"
#include "broker/core/ready_queue.hpp"
#include "broker/core/scheduler.hpp"
#include "broker/core/worker_table.hpp"
#include "protocol/story.hpp"

namespace achilles::broker {

struct Scheduler::State {
  State(SchedulerOptions o, protocol::TimePoint now)
      : options(std::move(o)),
        started(now),
        last_call(now),
        liveness(options.heartbeat_interval),
        attempts(options.boot) {}

  const SchedulerOptions options;
  const protocol::TimePoint started;
  protocol::TimePoint last_call;
  std::optional<protocol::TimePoint> leaving_until;  ///< After farewell.
  Commands* out = nullptr;                           ///< Of the entrance that is being carried out.

  protocol::Story story;
  PeerTable peers;
  Liveness liveness;
  ClientTable clients;
  WorkerTable workers;
  JobTable jobs;
  AttemptTable attempts;
  ReadyQueue ready;
  ProgramTable programs;

  /// Jobs whose chunks are withheld, by until when.
  std::set<std::pair<protocol::TimePoint, protocol::JobId>> withheld;

  std::vector<protocol::JobId> touched_jobs;
  std::vector<protocol::WorkerId> touched_workers;
  std::vector<protocol::ClientId> clients_with_results;
  bool slots_changed = false;
  std::uint32_t slots_told = 0;
  std::uint64_t rejected_messages = 0;
  std::uint64_t stale_messages = 0;
  /// When programs that every worker refuses are looked for again: a worker that could run them
  /// left, and may come back.
  std::optional<protocol::TimePoint> refusals_due;
  /// When to look for stragglers; nothing while there can be none.
  std::optional<protocol::TimePoint> look_due;
  std::uint64_t second_attempts = 0;  ///< So far.

  // ---- scheduler.cpp: entrances, sessions, liveness
  protocol::TimePoint enter(protocol::TimePoint now, Commands& commands);
  /// The peer gave a sign of life.
  Peer& hear(PeerId id);
  void handle(MessageReceived&& event);
  void handle(MessageMalformed&& event);
  void handle(PeerHeard&& event) { hear(event.peer); }
  void handle(PeerUnreachable&& event);
  /// While the broker leaves: only who else has left counts.
  void handle_last_words(const Event& event);
  void dispatch(Peer& peer, protocol::Message&& message);
  void on_hello(Peer& peer, const protocol::Hello& hello);
  void welcome(Peer& peer);
  /// How a session ends.
  enum class Ending : std::uint8_t {
    kReplaced,  ///< The same client or worker said HELLO anew.
    kSilent,    ///< Its lease has run out.
    kCut,       ///< Its connection is gone.
    kBye,       ///< It left on purpose.
  };
  /// Ends the peer's session and forgets the peer.
  void drop_peer(Peer& peer, Ending ending, const std::string& why);
  /// Ends the peer's session: what it held waits for it, goes on elsewhere, or ends.
  void end_session(Peer& peer, Ending ending);
  void look_after(Peer& peer);
  void send(PeerId peer, protocol::Message message);
  void reject(Peer& peer, protocol::RejectReason reason, std::string detail);
  void note(Note::Level level, std::string text);
  void touch(Job& job);
  void touch(Worker& worker);

  // ---- status.cpp: what observers ask
  void on_status_request(Peer& peer);
  void on_why_request(Peer& peer, const protocol::WhyRequest& request);
  /// What the job waits for, in sentences.
  void explain(const Job& job, std::vector<std::string>& reasons) const;
  void explain_workers(const Job& job, std::vector<std::string>& reasons) const;
  void explain_queue(const Job& job, std::vector<std::string>& reasons) const;

  // ---- on_client.cpp
  void on_open_job(Peer& peer, protocol::OpenJob&& open);
  void on_close_job(Peer& peer, const protocol::CloseJob& close);
  void on_submit(Peer& peer, protocol::Submit&& submit);
  void on_result_credit(Peer& peer, const protocol::ResultCredit& credit);
  void on_accepted(Peer& peer, const protocol::Accepted& accepted);
  void on_program_part(Peer& peer, protocol::ProgramPart&& part);
  /// The job if it is open and the peer's; otherwise rejects the message where that is due.
  Job* job_of(Peer& peer, protocol::JobId id, const char* message);
  bool overlaps_submitted(const Job& job, protocol::ItemIndex first, std::uint64_t count) const;
  /// What is wrong with a submitted chunk; nothing when it is in order.
  std::optional<protocol::Rejected> fault_of(const Job& job, const protocol::Chunk& chunk) const;
  /// Why one more job is too much, as a sentence; empty when it is not.
  std::string too_much(const Client& client) const;
  void send_window(Job& job);
  void close_job(Job& job);
  void fail_job(Job& job, protocol::ErrorKind kind, std::string detail);
  /// Asks a client that has a job of the program and is here for the part. When there is none, the
  /// next one that opens a job of it is asked.
  void ask_for_part(const protocol::ProgramId& id, Program& program, std::uint64_t offset);
  /// Parts that nobody here is asked for, or that the client was asked for, are asked for anew.
  void ask_again(const protocol::ProgramId& id, Program& program, protocol::ClientId gone);
  /// The client is gone for good: its jobs are closed.
  void end_client(protocol::ClientId id);

  // ---- recovery.cpp: what goes on across sessions
  void on_keep_jobs(Peer& peer, const protocol::KeepJobs& keep);
  void on_holding(Peer& peer, const protocol::Holding& holding);
  /// A worker says that it holds this attempt.
  void claim(Worker& worker, const protocol::HeldAttempt& held);
  /// The attempt was the worker's all along: only its grant and its allowance are over.
  void confirm(Worker& worker, protocol::AttemptId id, Attempt& attempt, std::uint64_t cost);
  /// Whether the job's client may still submit the items. False: they are queued, with another
  /// worker, or done.
  static bool may_come(const Job& job) { return !job.opened || job.resubmits_left > 0; }
  /// Makes room for a claim among the job's unsubmitted attempts. False: they are worth more.
  bool displace(Job& job, const protocol::HeldAttempt& held);
  void add_claim(Worker& worker, Job& job, const protocol::HeldAttempt& held, protocol::Chunk chunk,
                 bool unsubmitted);
  /// The job of a claim; nothing when it is closed for sure.
  Job* claimed_job(Worker& worker, protocol::JobId id);
  /// The worker has begun a new session: what it held counts as its own until it has said what it
  /// holds now.
  void await(Worker& worker);
  /// The client is away: its jobs are not open until it comes and opens them again.
  void lose_client(Client& client, protocol::TimePoint away_until);
  void suspend(Job& job);
  /// Whether one of the items is at a worker already, in another attempt.
  bool overlaps_assigned(const Job& job, const Attempt& attempt) const;
  void unsubmit(Job& job, protocol::AttemptId id);
  /// The job's client goes on with it.
  void resume(Job& job, const protocol::OpenJob& open);
  /// What workers held of it until they refused its program, which was not known here then.
  void forget_refused(Job& job);
  /// A chunk that was submitted in an earlier session: workers may hold it, or parts of it.
  void resubmit(Job& job, protocol::Chunk&& chunk);
  void adopt(Job& job, protocol::AttemptId id, protocol::Chunk chunk);
  /// All that the client had submitted has come: what workers hold beside it is done.
  void end_recovery(Job& job);
  /// Tells the worker to forget the attempt, and forgets it here if it is known.
  void revoke(Worker& worker, protocol::AttemptId id);
  /// The worker has told all that it holds: what it does not is lost.
  void end_awaiting(Worker& worker);
  void stop_withholding();

  // ---- on_worker.cpp
  void on_worker_state(Peer& peer, const protocol::WorkerState& state);
  void on_results(Peer& peer, protocol::Results&& results);
  void on_result(Peer& peer, Worker& worker, protocol::ChunkResult&& result);
  void on_result_ready(Peer& peer, const protocol::ResultReady& ready);
  void on_crashed(Peer& peer, protocol::Crashed&& crashed);
  /// A worker on which everything dies, while it does not elsewhere, gets nothing for a while.
  void note_crash(Worker& worker, const protocol::ProgramId& program);
  void note_success(Worker& worker);
  void on_returned(Peer& peer, const protocol::Returned& returned);
  void on_program_refused(Peer& peer, const protocol::ProgramRefused& refused);
  void on_need_program(Peer& peer, const protocol::NeedProgram& need);
  Worker& worker_of(const Peer& peer);
  /// The attempt if it is the worker's; counts stale news otherwise.
  Attempt* attempt_of(const Worker& worker, protocol::AttemptId id);
  /// Takes the attempt out of its job's sums, but for its place among them when it is delivered.
  void detach(Job& job, Attempt& attempt);
  /// Takes the attempt out of all tables and sums.
  Attempt release(protocol::AttemptId id);
  /// Its worker does not have it any more. If its items are still to be run, they go back to the
  /// queue: a lower index goes first, so they are at the front of what is left.
  void requeue(protocol::AttemptId id, bool recalled = false);
  /// The result is at its worker, which keeps it until it is granted.
  void announce(Job& job, protocol::AttemptId id, Attempt& attempt, std::uint64_t cost);
  /// The attempt's result goes to the client. It is kept in mind until it is accepted.
  void deliver(Job& job, protocol::AttemptId id, Attempt& attempt, protocol::ChunkResult&& result);
  void send_result(Job& job, protocol::ChunkResult&& result);
  /// Fails the program's jobs when there is a worker and every worker refuses it.
  void check_refusals(const protocol::ProgramId& program);
  /// The worker is gone: its attempts are requeued.
  void end_worker(protocol::WorkerId id);

  // ---- placement.cpp
  void settle();
  void tell_windows();
  /// Grants what may be granted, puts the job into the ready queue if it has something to run.
  void refresh(Job& job);
  void grant(Job& job, protocol::AttemptId id);
  void place_chunks();
  void place_urgent_chunks();
  bool may_run(const Job& job, const Job::Next& next) const;
  /// The worker with room for the job's next chunk; an item that died goes elsewhere if it can.
  Worker* worker_for(const Job& job, const Job::Next& next);
  void assign(Job& job, Worker& worker, const Job::Next& next);
  /// Gives the worker an attempt with its chunk.
  protocol::AttemptId hand_out(Job& job, Worker& worker, Attempt attempt);
  void flush_workers();
  void flush(Worker& worker);
  void flush_clients();

  // ---- stragglers.cpp
  /// Slots are idle while there are attempts at other workers.
  bool may_have_stragglers() const;
  void arm_look();
  protocol::Duration look_pause() const;
  void look_for_stragglers();
  /// Both take from `idle` what they use of the idle slots, and say when to look `next`.
  void recall_waiting(std::uint64_t& idle, protocol::TimePoint& next);
  /// There is an idle slot that the attempt's chunk would get.
  bool may_go_elsewhere(const Job& job, const Attempt& attempt);
  void begin_second_attempts(std::uint64_t idle, protocol::TimePoint& next);
  /// From when on the attempt takes too long; nothing when it gets no second one.
  std::optional<protocol::TimePoint> straggles_at(const Job& job, const Attempt& attempt) const;
  /// False: there is no worker for it.
  bool begin_second_attempt(protocol::AttemptId first);
  /// The chunk from `first` on has its result, or is cut: a second attempt at it is over.
  void drop_second(Job& job, protocol::ItemIndex first);
  /// The attempt has a result: of two at its chunk it is the one that counts.
  void settle_race(Job& job, protocol::AttemptId id, const Attempt& attempt);
  void let_second_win(Job& job, protocol::AttemptId id);
  /// REQUIRES: the first attempt at its chunk has been released.
  void take_first_place(Job& job, protocol::AttemptId id);

  // ---- invariants.cpp
  void check_invariants() const;
  void check_job(const Job& job) const;
  void check_second(const Job& job, protocol::ItemIndex at, protocol::AttemptId id) const;
};

}  // namespace achilles::broker
