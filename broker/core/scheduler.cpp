// Entrances, sessions and liveness.
#include "broker/core/scheduler.hpp"

#include <algorithm>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "broker/core/state.hpp"
#include "protocol/limits.hpp"
#include "protocol/mutant.hpp"
#include "protocol/version.hpp"

namespace achilles::broker {

using protocol::mutant;
using protocol::Mutant;
using protocol::RejectReason;
using protocol::Role;
using protocol::TimePoint;

namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

/// A peer that sends one bad message after another does not fill the log.
constexpr std::uint32_t kNotesPerPeerMax = 10;

/// Of texts made from what peers sent: in messages, and in the log.
constexpr std::size_t kDetailBytesMax = 1024;

constexpr unsigned kFromClient = 1U << static_cast<unsigned>(Role::kClient);
constexpr unsigned kFromWorker = 1U << static_cast<unsigned>(Role::kWorker);
constexpr unsigned kFromAll = ~0U;

/// Which roles may send a message of this type to the broker, once they have a session.
constexpr unsigned senders_of(protocol::MessageType type) {
  using enum protocol::MessageType;
  switch (type) {
    case kHello:
    case kHeartbeat:
    case kBye:
    case kRejected:
    case kStatusRequest:
    case kWhyRequest:
      return kFromAll;
    case kOpenJob:
    case kCloseJob:
    case kSubmit:
    case kResultCredit:
    case kKeepJobs:
    case kAccepted:
    case kProgramPart:
      return kFromClient;
    case kWorkerState:
    case kResults:
    case kResultReady:
    case kCrashed:
    case kReturned:
    case kProgramRefused:
    case kHolding:
    case kNeedProgram:
      return kFromWorker;
    default:
      return 0;
  }
}

constexpr bool needs_session(protocol::MessageType type) {
  using enum protocol::MessageType;
  return type != kHello && type != kStatusRequest && type != kWhyRequest && type != kBye &&
         type != kRejected;
}

}  // namespace

Scheduler::Scheduler(SchedulerOptions options, TimePoint now)
    : state_(std::make_unique<State>(std::move(options), now)) {}

Scheduler::~Scheduler() = default;

void Scheduler::step(TimePoint now, Event event, Commands& out) {
  state_->enter(now, out);
  if (state_->leaving_until) return state_->handle_last_words(event);
  std::visit([&](auto&& what) { state_->handle(std::move(what)); }, std::move(event));
}

void Scheduler::settle(TimePoint now, Commands& out) {
  state_->enter(now, out);
  if (!state_->leaving_until) state_->settle();
}

void Scheduler::expire(TimePoint now, Commands& out) {
  now = state_->enter(now, out);
  if (state_->leaving_until) return;
  while (const auto due = state_->liveness.take_due(now)) {
    state_->look_after(*state_->peers.find(*due));
  }
  while (const auto client = state_->clients.due(now)) state_->end_client(*client);
  while (Worker* worker = state_->workers.release_from_quarantine(now)) state_->touch(*worker);
  state_->stop_withholding();
  if (state_->look_due && *state_->look_due <= now) state_->look_for_stragglers();
  if (state_->refusals_due && *state_->refusals_due <= now) {
    state_->refusals_due.reset();
    std::vector<protocol::ProgramId> programs;
    for (const auto& [id, program] : state_->programs.all()) {
      if (!program.jobs.empty()) programs.push_back(id);
    }
    for (const auto& program : programs) state_->check_refusals(program);
  }
}

std::optional<TimePoint> Scheduler::next_deadline() const {
  if (state_->leaving_until) return state_->leaving_until;
  auto next = state_->liveness.next();
  const auto consider = [&](std::optional<TimePoint> due) {
    if (due) next = std::min(next.value_or(*due), *due);
  };
  consider(state_->refusals_due);
  consider(state_->look_due);
  consider(state_->clients.next_due());
  consider(state_->workers.next_release());
  if (!state_->withheld.empty()) consider(state_->withheld.begin()->first);
  return next;
}

void Scheduler::farewell(TimePoint now, const std::string& reason, Commands& out) {
  state_->enter(now, out);
  for (const auto& [id, peer] : state_->peers.all()) {
    if (peer.known()) out.push_back(SendMessage{id, protocol::Bye{reason}});
  }
  state_->leaving_until = state_->last_call + state_->options.farewell_max;
}

bool Scheduler::left(TimePoint now) const {
  if (!state_->leaving_until) return false;
  return now >= *state_->leaving_until || !state_->peers.any_session();
}

bool Scheduler::idle() const {
  return state_->jobs.all().empty() && state_->attempts.size() == 0;
}

bool Scheduler::empty() const {
  const State& s = *state_;
  return idle() && s.peers.all().empty() && s.clients.all().empty() && s.workers.all().empty() &&
         s.ready.empty() && s.withheld.empty() && s.touched_jobs.empty() &&
         s.touched_workers.empty() && s.clients_with_results.empty();
}

void Scheduler::check_invariants() const {
  try {
    state_->check_invariants();
  } catch (const std::logic_error& broken) {
    throw std::logic_error(state_->story.after(broken.what(), state_->last_call));
  }
}

TimePoint Scheduler::State::enter(TimePoint now, Commands& commands) {
  out = &commands;
  now = std::max(now, last_call);
  if (liveness.stalled(last_call, now) && !mutant(Mutant::kBrokerJudgesAfterItsNap)) {
    // The broker slept, not the peers: their messages may still be unread. Judge nobody by this
    // time.
    for (auto& [id, peer] : peers.all()) {
      peer.heard += now - last_call;
    }
  }
  last_call = now;
  return now;
}

Peer& Scheduler::State::hear(PeerId id) {
  Peer& peer = peers.meet(id, last_call);
  peer.heard = std::max(peer.heard, last_call);
  if (peer.suspect) {
    peer.suspect = false;
    if (peer.is(Role::kWorker)) {
      worker_of(peer).suspect = false;
      touch(worker_of(peer));
    }
    liveness.watch(peer);
  } else if (!peer.known()) {
    liveness.watch(peer);
  }
  return peer;
}

void Scheduler::State::handle(MessageReceived&& event) {
  dispatch(hear(event.peer), std::move(event.message));
}

void Scheduler::State::handle(MessageMalformed&& event) {
  reject(hear(event.peer), event.reason, std::move(event.detail));
}

void Scheduler::State::handle(PeerUnreachable&& event) {
  if (Peer* peer = peers.find(event.peer)) drop_peer(*peer, Ending::kCut, "its connection is gone");
}

void Scheduler::State::handle_last_words(const Event& event) {
  const auto* received = std::get_if<MessageReceived>(&event);
  const auto* unreachable = std::get_if<PeerUnreachable>(&event);
  const bool answers =
      received != nullptr && std::holds_alternative<protocol::Bye>(received->message);
  if (!answers && unreachable == nullptr) return;
  if (Peer* peer = peers.find(answers ? received->peer : unreachable->peer)) {
    drop_peer(*peer, Ending::kBye, answers ? "it said BYE" : "its connection is gone");
  }
}

void Scheduler::State::dispatch(Peer& peer, protocol::Message&& message) {
  const auto type = std::visit([](const auto& m) { return m.kType; }, message);
  if (!peer.known() && needs_session(type)) {
    reject(peer, RejectReason::kUnknownSession,
           "The broker does not know you (it was started again, or did not hear from you for too "
           "long): say HELLO first.");
    return;
  }
  if (peer.known() && (senders_of(type) & 1U << static_cast<unsigned>(peer.role)) == 0) {
    reject(peer, RejectReason::kOutOfOrder,
           "A message of type " + std::to_string(static_cast<int>(type)) + " is not for a " +
               (peer.is(Role::kClient)   ? "client"
                : peer.is(Role::kWorker) ? "worker"
                                         : "mere observer") +
               " to send to the broker.");
    return;
  }
  std::visit(
      Overloaded{
          [&](protocol::Hello& m) { on_hello(peer, m); },
          [&](protocol::Heartbeat&) {},
          [&](protocol::Bye& m) {
            drop_peer(peer, Ending::kBye,
                      m.reason.empty() ? "it said BYE"
                                       : "it said BYE: " + clipped(m.reason, kDetailBytesMax));
          },
          [&](protocol::Rejected& m) {
            // Never answered: two parties that reject each other's rejections would never
            // end.
            if (++peer.rejected_messages <= kNotesPerPeerMax) {
              note(Note::Level::kWarning,
                   peer.title() + " rejected a message: " + clipped(m.detail, kDetailBytesMax));
            }
          },
          [&](protocol::StatusRequest&) { on_status_request(peer); },
          [&](protocol::WhyRequest& m) { on_why_request(peer, m); },
          [&](protocol::OpenJob& m) { on_open_job(peer, std::move(m)); },
          [&](protocol::CloseJob& m) { on_close_job(peer, m); },
          [&](protocol::Submit& m) { on_submit(peer, std::move(m)); },
          [&](protocol::ResultCredit& m) { on_result_credit(peer, m); },
          [&](protocol::KeepJobs& m) { on_keep_jobs(peer, m); },
          [&](protocol::Accepted& m) { on_accepted(peer, m); },
          [&](protocol::Holding& m) { on_holding(peer, m); },
          [&](protocol::ProgramPart& m) { on_program_part(peer, std::move(m)); },
          [&](protocol::WorkerState& m) { on_worker_state(peer, m); },
          [&](protocol::Results& m) { on_results(peer, std::move(m)); },
          [&](protocol::ResultReady& m) { on_result_ready(peer, m); },
          [&](protocol::Crashed& m) { on_crashed(peer, std::move(m)); },
          [&](protocol::Returned& m) { on_returned(peer, m); },
          [&](protocol::ProgramRefused& m) { on_program_refused(peer, m); },
          [&](protocol::NeedProgram& m) { on_need_program(peer, m); },
          [&](auto&) {},  // No role may send the others: they were rejected above.
      },
      message);
}

void Scheduler::State::on_hello(Peer& peer, const protocol::Hello& hello) {
  const bool same = peer.known() && peer.role == hello.role && peer.number == hello.id;
  if (same && hello.incarnation == peer.incarnation) {
    welcome(peer);  // Its WELCOME crossed with a second copy of the HELLO.
    return;
  }
  if (same && hello.incarnation < peer.incarnation) {
    reject(peer, RejectReason::kOutOfOrder,
           "HELLO with incarnation " + std::to_string(hello.incarnation) + " after " +
               std::to_string(peer.incarnation) + ": each HELLO must have a higher one.");
    return;
  }
  Peer* other = hello.role == Role::kObserver ? nullptr : peers.find(hello.role, hello.id);
  if (other != nullptr && other != &peer) {
    if (hello.incarnation <= other->incarnation) {
      reject(peer, RejectReason::kDuplicateId,
             "Another process uses the id " + protocol::to_hex(hello.id) + " already (" +
                 other->title() + "): draw a new id.");
      return;
    }
    drop_peer(*other, Ending::kReplaced, "it came back over another connection");
  }
  end_session(peer, same ? Ending::kReplaced : Ending::kBye);
  peers.welcome(peer, hello);
  if (hello.role == Role::kClient) clients.welcome({hello.id}, peer.id);
  if (hello.role == Role::kWorker) {
    Worker& worker = workers.add({hello.id}, peer.id);
    worker.session = peer.session;
    worker.name = peer.name.empty() ? protocol::to_hex(hello.id).substr(0, 8) : peer.name;
    worker.host = peer.host;
  }
  liveness.watch(peer);
  note(Note::Level::kInfo, peer.title() + " is here.");
  welcome(peer);
}

void Scheduler::State::welcome(Peer& peer) {
  const auto interval =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.heartbeat_interval);
  send(peer.id, protocol::Welcome{
                    .boot = options.boot,
                    .session = peer.session,
                    .incarnation = peer.incarnation,
                    .heartbeat_interval_ms = static_cast<std::uint32_t>(interval.count()),
                    .max_payload_bytes = options.max_payload_bytes,
                    .workers = static_cast<std::uint32_t>(workers.all().size()),
                    .slots = workers.slots(),
                    .first_window_chunks = kWindowChunksMin,
                    .first_window_bytes = std::min(kFirstWindowBytes, options.job_window_bytes)});
}

void Scheduler::State::drop_peer(Peer& peer, Ending ending, const std::string& why) {
  if (peer.known()) note(Note::Level::kInfo, peer.title() + " left: " + why + ".");
  const PeerId id = peer.id;
  end_session(peer, ending);
  liveness.forget(peer);
  peers.remove(id);
  out->push_back(ForgetPeer{id});
}

void Scheduler::State::end_session(Peer& peer, Ending ending) {
  if (!peer.known()) return;
  const Role role = peer.role;
  const std::uint64_t number = peer.number;
  peers.end_session(peer);
  if (role == Role::kClient && ending == Ending::kBye) {
    lose_client(*clients.find({number}), last_call);
    end_client({number});
  } else if (role == Role::kClient) {
    const bool silent = ending == Ending::kSilent;
    lose_client(*clients.find({number}),
                last_call + (silent ? options.client_grace : options.client_reconnect));
  } else if (role == Role::kWorker && ending == Ending::kReplaced) {
    await(*workers.find({number}));
  } else if (role == Role::kWorker) {
    end_worker({number});
  }
}

void Scheduler::State::look_after(Peer& peer) {
  if (liveness.is_lost(peer, last_call)) {
    drop_peer(
        peer, Ending::kSilent,
        "nothing was heard from it for " + std::to_string(protocol::kLostAfter) + " heartbeats");
    return;
  }
  if (!peer.suspect && liveness.is_suspect(peer, last_call)) {
    peer.suspect = true;
    if (peer.is(Role::kWorker)) {
      worker_of(peer).suspect = true;
      touch(worker_of(peer));
    }
    note(Note::Level::kWarning, peer.title() + " is silent.");
  }
  if (liveness.needs_heartbeat(peer, last_call)) send(peer.id, protocol::Heartbeat{peer.session});
  liveness.watch(peer);
}

void Scheduler::State::send(PeerId peer, protocol::Message message) {
  if (Peer* to = peers.find(peer)) to->sent = last_call;
  out->push_back(SendMessage{peer, std::move(message)});
}

void Scheduler::State::reject(Peer& peer, RejectReason reason, std::string detail) {
  ++rejected_messages;
  detail = clipped(detail, kDetailBytesMax);
  if (++peer.rejected_messages <= kNotesPerPeerMax) {
    note(Note::Level::kWarning, "Rejected a message of " + peer.title() + ": " + detail);
  }
  send(peer.id, protocol::Rejected{reason, std::move(detail)});
}

void Scheduler::State::note(Note::Level level, std::string text) {
  story.tell(last_call, text);
  out->push_back(Note{level, std::move(text)});
}

void Scheduler::State::touch(Job& job) {
  if (std::exchange(job.touched, true)) return;
  touched_jobs.push_back(job.id());
}

void Scheduler::State::touch(Worker& worker) {
  if (std::exchange(worker.touched, true)) return;
  touched_workers.push_back(worker.id);
}

}  // namespace achilles::broker
