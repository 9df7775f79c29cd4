// The scheduler's state, and its control flow as members of it. Internal to broker/core.
//
// Files: scheduler.cpp (entrances, sessions, liveness), on_client.cpp and on_worker.cpp (one
// handler a message), placement.cpp (settle: who gets what), invariants.cpp.
//
// Handlers change tables and `touch` what settle must look at again; they hand out no chunk.
// Whatever a peer sends, a handler answers with REJECTED at worst: nothing throws but a lost
// invariant.
#pragma once

#include <optional>
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

namespace achilles::broker {

struct Scheduler::State {
  State(SchedulerOptions o, protocol::TimePoint now)
      : options(std::move(o)), started(now), last_call(now), liveness(options.heartbeat_interval) {}

  const SchedulerOptions options;
  const protocol::TimePoint started;
  protocol::TimePoint last_call;
  std::optional<protocol::TimePoint> leaving_until;  ///< After farewell.
  Commands* out = nullptr;                           ///< Of the entrance that is being carried out.

  PeerTable peers;
  Liveness liveness;
  ClientTable clients;
  WorkerTable workers;
  JobTable jobs;
  AttemptTable attempts;
  ReadyQueue ready;
  ProgramTable programs;

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
  void on_status_request(Peer& peer);
  void welcome(Peer& peer);
  /// Ends the peer's session and forgets the peer.
  void drop_peer(Peer& peer, const std::string& why);
  /// Ends the peer's session: what it held goes on elsewhere, or ends.
  void end_session(Peer& peer);
  void look_after(Peer& peer);
  void send(PeerId peer, protocol::Message message);
  void reject(Peer& peer, protocol::RejectReason reason, std::string detail);
  void note(Note::Level level, std::string text);
  void touch(Job& job);
  void touch(Worker& worker);

  // ---- on_client.cpp
  void on_open_job(Peer& peer, protocol::OpenJob&& open);
  void on_close_job(Peer& peer, const protocol::CloseJob& close);
  void on_submit(Peer& peer, protocol::Submit&& submit);
  void on_result_credit(Peer& peer, const protocol::ResultCredit& credit);
  void on_program_part(Peer& peer, protocol::ProgramPart&& part);
  /// The job if it is open and the peer's; otherwise rejects the message where that is due.
  Job* job_of(Peer& peer, protocol::JobId id, const char* message);
  /// What is wrong with a submitted chunk; nothing when it is in order.
  std::optional<protocol::Rejected> fault_of(const Job& job, const protocol::Chunk& chunk) const;
  void send_window(Job& job);
  void close_job(Job& job);
  void fail_job(Job& job, protocol::ErrorKind kind, std::string detail);
  /// Asks a client that has an open job of the program for the part. False: there is none.
  bool ask_for_part(const protocol::ProgramId& id, Program& program, std::uint64_t offset);
  /// The client is gone: its jobs are closed, parts asked of it are asked of others.
  void end_client(protocol::ClientId id);

  // ---- on_worker.cpp
  void on_worker_state(Peer& peer, const protocol::WorkerState& state);
  void on_results(Peer& peer, protocol::Results&& results);
  void on_result(Peer& peer, Worker& worker, protocol::ChunkResult&& result);
  void on_result_ready(Peer& peer, const protocol::ResultReady& ready);
  void on_crashed(Peer& peer, protocol::Crashed&& crashed);
  void on_returned(Peer& peer, const protocol::Returned& returned);
  void on_program_refused(Peer& peer, const protocol::ProgramRefused& refused);
  void on_need_program(Peer& peer, const protocol::NeedProgram& need);
  Worker& worker_of(const Peer& peer);
  /// The attempt if it is the worker's; counts stale news otherwise.
  Attempt* attempt_of(const Worker& worker, protocol::AttemptId id);
  /// Takes the attempt out of all tables and sums.
  Attempt release(protocol::AttemptId id);
  /// Back to the queue: a lower index goes first, so it is at the front of what is left.
  void requeue(protocol::AttemptId id);
  void deliver(Job& job, protocol::ChunkResult&& result);
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
  void assign(Job& job, Worker& worker, bool grant_it);
  void flush_workers();
  void flush_clients();

  // ---- invariants.cpp
  void check_invariants() const;
  void check_job(const Job& job) const;
};

}  // namespace achilles::broker
