#include "client/core/session.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "client/core/job.hpp"
#include "protocol/batch.hpp"
#include "protocol/broker_choice.hpp"
#include "protocol/limits.hpp"
#include "protocol/mutant.hpp"
#include "protocol/story.hpp"
#include "protocol/version.hpp"

namespace achilles::client {

using protocol::Duration;
using protocol::JobId;
using protocol::mutant;
using protocol::Mutant;
using protocol::TimePoint;

namespace {

constexpr Duration kHelloAgain = std::chrono::seconds(1);
constexpr Duration kProgressEvery = std::chrono::seconds(5);

/// "30 s", "0.5 s".
std::string seconds_text(Duration duration) {
  const auto tenths = duration / std::chrono::milliseconds(100);
  const std::string fraction = tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10);
  return std::to_string(tenths / 10) + fraction + " s";
}

void keep_earlier(std::optional<TimePoint>& earliest, std::optional<TimePoint> candidate) {
  if (candidate && (!earliest || *candidate < *earliest)) earliest = candidate;
}

}  // namespace

struct Session::State {
  explicit State(SessionOptions o) : options(std::move(o)), choice(options.brokers) {}

  SessionOptions options;
  protocol::BrokerChoice choice;
  std::map<JobId, Job> jobs;
  protocol::Story story;

  std::optional<protocol::Welcome> welcome;  // Of the present session.
  bool ever_connected = false;
  std::uint64_t incarnation = 0;
  std::uint32_t slots = 0;  // In the cluster, as was told last.
  Duration heartbeat_interval = protocol::kHeartbeatInterval;
  TimePoint hello_sent;
  TimePoint last_sent;
  TimePoint last_heard;
  TimePoint last_called;
  TimePoint unreachable_since;
  TimePoint next_progress;
  std::string last_rejection;
  std::optional<std::string> unreachable;
  /// While the broker has no worker.
  std::optional<TimePoint> next_workers_note;

  /// Called first at each entrance: after a stall of our own nobody else is to blame for the gap.
  void note_call(TimePoint now) {
    // Some deadline is never further away than this, and a call comes a little after it.
    const Duration usual = welcome ? heartbeat_interval : kHelloAgain;
    const Duration since = now - last_called;
    if (since > 2 * usual) {
      story.tell(now, "this process itself stood still for " + protocol::in_seconds(since));
    }
    if (since > 2 * usual && !mutant(Mutant::kClientJudgesAfterItsNap)) {
      last_heard += since - usual;
      unreachable_since += since - usual;
    }
    last_called = now;
  }
  void send(TimePoint now, protocol::Message message, Commands& out) {
    last_sent = now;
    out.push_back(SendToBroker{std::move(message)});
  }
  Job* find(JobId id) {
    const auto at = jobs.find(id);
    return at == jobs.end() ? nullptr : &at->second;
  }
  const Job* find(JobId id) const {
    const auto at = jobs.find(id);
    return at == jobs.end() ? nullptr : &at->second;
  }

  void say_hello(TimePoint now, Commands& out) {
    hello_sent = now;
    protocol::Hello hello;
    hello.role = protocol::Role::kClient;
    hello.id = options.id.value;
    hello.incarnation = ++incarnation;
    hello.name = options.name;
    hello.host = options.host;
    hello.pid = options.pid;
    hello.library_version = std::string(protocol::kLibraryVersion);
    send(now, std::move(hello), out);
  }

  enum class Then : std::uint8_t { kStay, kElsewhere };
  void lose_broker(TimePoint now, std::string reason, Then then, Commands& out) {
    if (then == Then::kStay) {
      choice.stays();
    } else {
      welcome ? choice.lost() : choice.unanswered();
    }
    if (welcome) {
      story.tell(now, reason);
      unreachable_since = now;
      next_progress = now;
    }
    welcome.reset();
    next_workers_note.reset();
    for (auto& [id, job] : jobs) job.restart();
    out.push_back(Reconnect{std::move(reason), choice.current()});
  }
  /// How long a broker may say nothing to our HELLOs. With others to try, patience is short.
  Duration hello_patience() const {
    return (choice.several() ? protocol::kSuspectAfter : protocol::kLostAfter) * kHelloAgain;
  }

  void open(TimePoint now, Job& job, Commands& out) {
    send(now, job.opening(), out);
    // Where nothing is known of slots, it is not known either how finely to cut.
    if (slots == 0 || welcome->first_window_chunks == 0) return;
    job.set_window(
        {job.spec().job, welcome->first_window_chunks, welcome->first_window_bytes, slots});
  }
  void pump(TimePoint now, Job& job, Commands& out) {
    if (!welcome) return;
    // A broker that was started anew may take less than the one that the items were made for.
    if (job.fail_if_too_large(max_payload_bytes())) return wake(job, out);
    protocol::send_batched(
        job.take_sendable(),
        [](const protocol::Chunk& chunk) {
          return chunk.items.bytes() + chunk.items.layout.sizes.size() * sizeof(std::uint32_t);
        },
        [&](std::vector<protocol::Chunk> batch) {
          send(now, protocol::Submit{job.spec().job, std::move(batch)}, out);
        });
    if (auto credit = job.credit_due(now)) send(now, *credit, out);
  }
  void note_slots(TimePoint now, std::uint32_t now_there) {
    slots = now_there;
    if (slots != 0) {
      next_workers_note.reset();
    } else if (!next_workers_note) {
      story.tell(now, "the broker has no workers");
      next_workers_note = now + kHelloAgain;
    }
  }
  std::uint64_t max_payload_bytes() const {
    const bool told = welcome && welcome->max_payload_bytes != 0;
    return told ? std::min(welcome->max_payload_bytes, protocol::kMaxPayloadBytes)
                : protocol::kMaxPayloadBytes;
  }
  void wake(const Job& job, Commands& out) { out.push_back(WakeConsumer{job.spec().job}); }

  void on_message(TimePoint now, protocol::Message message, Commands& out);
  void on_welcome(TimePoint now, const protocol::Welcome& message, Commands& out);
  void on_rejected(TimePoint now, const protocol::Rejected& message, Commands& out);
  void on_results(TimePoint now, protocol::Results message, Commands& out);
};

Session::Session(SessionOptions options, TimePoint now)
    : state_(std::make_unique<State>(std::move(options))) {
  state_->last_sent = state_->last_heard = state_->last_called = now;
  state_->unreachable_since = now;
  state_->next_progress = now + kHelloAgain;
}

Session::~Session() = default;

void Session::connect(TimePoint now, Commands& out) {
  state_->note_call(now);
  state_->last_heard = now;
  state_->say_hello(now, out);
}

void Session::State::on_welcome(TimePoint now, const protocol::Welcome& message, Commands& out) {
  if (message.incarnation != incarnation) return;  // The answer to an earlier HELLO.
  if (welcome) {
    const bool same = message.boot == welcome->boot && message.session == welcome->session;
    if (!same) lose_broker(now, "the broker began another session", Then::kStay, out);
    return;
  }
  choice.joined(now);
  welcome = message;
  slots = message.slots;
  story.tell(now, "a session with broker " + protocol::to_hex(message.boot.value) +
                      " began, with " + std::to_string(message.workers) + " workers and " +
                      std::to_string(jobs.size()) + " jobs of this client");
  heartbeat_interval = std::max<Duration>(std::chrono::milliseconds(message.heartbeat_interval_ms),
                                          std::chrono::milliseconds(10));
  unreachable.reset();
  protocol::KeepJobs keep;
  for (const auto& [id, job] : jobs) keep.jobs.push_back(id);
  send(now, std::move(keep), out);
  if (!std::exchange(ever_connected, true))
    out.push_back(Connected{message.workers, message.slots});
  for (auto& [id, job] : jobs) {
    open(now, job, out);
    pump(now, job, out);
  }
}

void Session::State::on_rejected(TimePoint now, const protocol::Rejected& message, Commands& out) {
  if (message.detail != last_rejection) story.tell(now, "the broker said: " + message.detail);
  last_rejection = message.detail;
  switch (message.reason) {
    case protocol::RejectReason::kWrongVersion:
    case protocol::RejectReason::kDuplicateId:
      unreachable = "the broker refused this client: " + message.detail + story.tail(now);
      for (auto& [id, job] : jobs) wake(job, out);
      break;
    case protocol::RejectReason::kUnknownSession:
      if (welcome)
        lose_broker(now, "the broker does not know this session any more", Then::kStay, out);
      break;
    case protocol::RejectReason::kMalformed:
    case protocol::RejectReason::kOutOfOrder:
    case protocol::RejectReason::kOverLimit:
      out.push_back(Note{"the broker rejected a message: " + message.detail + story.tail(now)});
      break;
  }
}

void Session::State::on_results(TimePoint now, protocol::Results message, Commands& out) {
  protocol::Accepted accepted;
  for (const auto& result : message.chunks) {
    if (find(result.job) != nullptr) accepted.attempts.push_back(result.attempt);
  }
  // What came twice is acknowledged too: whoever holds it keeps it for nothing.
  if (mutant(Mutant::kAcceptedNotSent)) accepted.attempts.clear();
  if (!accepted.attempts.empty()) send(now, std::move(accepted), out);
  for (auto& result : message.chunks) {
    Job* job = find(result.job);
    if (job == nullptr) continue;  // Closed meanwhile: so all who hold its results were told.
    const bool was_ready = job->has_result();
    const bool took_input = job->wants_input();
    job->accept(std::move(result));
    pump(now, *job, out);
    if (was_ready != job->has_result() || took_input != job->wants_input() || job->finished()) {
      wake(*job, out);
    }
  }
}

void Session::State::on_message(TimePoint now, protocol::Message message, Commands& out) {
  last_heard = now;
  if (const auto* m = std::get_if<protocol::Welcome>(&message)) return on_welcome(now, *m, out);
  if (const auto* m = std::get_if<protocol::Rejected>(&message)) return on_rejected(now, *m, out);
  if (!welcome) return;  // Of a session that is over.
  if (auto* m = std::get_if<protocol::Results>(&message)) {
    on_results(now, std::move(*m), out);
  } else if (const auto* window = std::get_if<protocol::JobWindow>(&message)) {
    if (Job* job = find(window->job)) {
      job->set_window(*window);
      note_slots(now, window->slots);
      pump(now, *job, out);
      if (job->wants_input()) wake(*job, out);
    }
  } else if (auto* failed = std::get_if<protocol::JobFailed>(&message)) {
    if (Job* job = find(failed->job)) {
      // That workers refuse its program says all. That the broker refuses the job may not.
      if (failed->error.kind == protocol::ErrorKind::kJobRefused) {
        failed->error.detail += story.tail(now, failed->job);
      }
      story.tell(now, failed->job, "the broker ended the job");
      job->fail(std::move(failed->error));
      wake(*job, out);
    }
  } else if (const auto* need = std::get_if<protocol::NeedProgram>(&message)) {
    out.push_back(ServeProgram{*need});
  } else if (const auto* bye = std::get_if<protocol::Bye>(&message)) {
    send(now, protocol::Bye{"the broker leaves"}, out);
    lose_broker(now, "the broker said goodbye: " + bye->reason, Then::kElsewhere, out);
  }
}

void Session::step(TimePoint now, Event event, Commands& out) {
  auto& s = *state_;
  s.note_call(now);
  if (auto* e = std::get_if<BrokerMessage>(&event)) {
    s.on_message(now, std::move(e->message), out);
  } else if (const auto* malformed = std::get_if<BrokerMalformed>(&event)) {
    s.last_rejection = malformed->detail;
    out.push_back(
        Note{"the broker sent what is no message: " + malformed->detail + s.story.tail(now)});
    s.story.tell(now, "the broker sent what is no message: " + malformed->detail);
  } else if (std::holds_alternative<BrokerHeard>(event)) {
    s.last_heard = now;
  } else if (const auto* there = std::get_if<BrokerThere>(&event)) {
    if (s.welcome && s.choice.answered(there->broker)) {
      s.lose_broker(now, "a broker that is named earlier answers again", State::Then::kStay, out);
    }
  } else if (auto* opened = std::get_if<JobOpened>(&event)) {
    const JobId id = opened->spec.job;
    s.story.tell(now, id, "job " + to_string(id) + " was opened");
    auto [at, is_new] =
        s.jobs.emplace(std::piecewise_construct, std::forward_as_tuple(id),
                       std::forward_as_tuple(std::move(*opened), s.options.result_bytes_max));
    if (s.welcome && is_new) {
      s.open(now, at->second, out);
      s.pump(now, at->second, out);
    }
  } else if (auto* closed = std::get_if<ChunkClosed>(&event)) {
    if (Job* job = s.find(closed->job)) {
      job->add_chunks(std::move(closed->items));
      s.pump(now, *job, out);
    }
  } else if (const auto* ended = std::get_if<InputEnded>(&event)) {
    if (Job* job = s.find(ended->job)) job->end_input();
  } else if (const auto* waits = std::get_if<ConsumerWaits>(&event)) {
    if (Job* job = s.find(waits->job)) {
      job->note_waiting(now);
      s.pump(now, *job, out);
    }
  } else if (const auto* job_closed = std::get_if<JobClosed>(&event)) {
    if (s.jobs.erase(job_closed->job) == 0) return;
    s.story.tell(now, job_closed->job, "job " + to_string(job_closed->job) + " was closed");
    if (s.welcome) s.send(now, protocol::CloseJob{job_closed->job}, out);
  }
}

void Session::expire(TimePoint now, Commands& out) {
  auto& s = *state_;
  s.note_call(now);
  if (s.welcome) {
    if (now - s.last_heard >= protocol::kLostAfter * s.heartbeat_interval) {
      s.lose_broker(now, "the broker was silent for too long", State::Then::kElsewhere, out);
    } else if (now - s.last_sent >= s.heartbeat_interval) {
      s.send(now, protocol::Heartbeat{s.welcome->session}, out);
    }
    if (s.welcome) {
      if (const auto broker = s.choice.take_due(now)) out.push_back(AskWhetherThere{*broker});
    }
    for (auto& [id, job] : s.jobs) {
      if (const auto due = job.credit_deadline(); due && *due <= now) s.pump(now, job, out);
    }
    if (s.welcome && !s.jobs.empty() && s.next_workers_note && now >= *s.next_workers_note) {
      s.next_workers_note = now + kProgressEvery;
      out.push_back(
          Note{"no worker is there to run the job; start achilles-worker, on one machine or more"});
    }
    return;
  }
  if (now - s.last_heard >= s.hello_patience()) {
    // This connection may lead nowhere: a router on the way forgot it, and drops all without a
    // word.
    s.last_heard = now;
    s.lose_broker(now, "no broker answered", State::Then::kElsewhere, out);
  } else if (now - s.hello_sent >= kHelloAgain) {
    s.say_hello(now, out);
  }
  const Duration waited = now - s.unreachable_since;
  if (!s.unreachable && s.options.connect_timeout != Duration::zero() &&
      waited >= s.options.connect_timeout) {
    s.unreachable = "no broker answered for " + seconds_text(waited);
    if (!s.last_rejection.empty()) *s.unreachable += " (it last said: " + s.last_rejection + ")";
    *s.unreachable += s.story.tail(now);
    for (const auto& [id, job] : s.jobs) s.wake(job, out);
  }
  if (!s.unreachable && now >= s.next_progress) {
    s.next_progress = now + kProgressEvery;
    out.push_back(Note{"no answer yet; is achilles-broker running there?"});
  }
}

std::optional<TimePoint> Session::next_deadline() const {
  const auto& s = *state_;
  std::optional<TimePoint> earliest;
  if (!s.welcome) {
    keep_earlier(earliest, s.hello_sent + kHelloAgain);
    keep_earlier(earliest, s.last_heard + s.hello_patience());
    if (s.unreachable) return earliest;
    keep_earlier(earliest, s.next_progress);
    if (s.options.connect_timeout != Duration::zero()) {
      keep_earlier(earliest, s.unreachable_since + s.options.connect_timeout);
    }
    return earliest;
  }
  keep_earlier(earliest, s.last_heard + protocol::kLostAfter * s.heartbeat_interval);
  keep_earlier(earliest, s.last_sent + s.heartbeat_interval);
  keep_earlier(earliest, s.choice.next_due());
  for (const auto& [id, job] : s.jobs) keep_earlier(earliest, job.credit_deadline());
  if (!s.jobs.empty()) keep_earlier(earliest, s.next_workers_note);
  return earliest;
}

bool Session::has_result(JobId id) const {
  const Job* job = state_->find(id);
  return job != nullptr && job->has_result();
}

protocol::ChunkResult Session::take_result(TimePoint now, JobId id, Commands& out) {
  Job& job = *state_->find(id);
  auto result = job.take_result();
  job.note_taken();
  state_->pump(now, job, out);
  return result;
}

bool Session::wants_input(JobId id) const {
  const Job* job = state_->find(id);
  return job != nullptr && state_->welcome && job->wants_input();
}

std::uint64_t Session::next_chunk_items(JobId id) const {
  const Job* job = state_->find(id);
  return job != nullptr ? job->next_chunk_items() : 1;
}

std::uint64_t Session::chunks_wanted(JobId id) const {
  return state_->find(id)->chunks_wanted();
}

std::uint64_t Session::max_payload_bytes() const {
  return state_->max_payload_bytes();
}

bool Session::finished(JobId id) const {
  const Job* job = state_->find(id);
  return job == nullptr || job->finished();
}

const protocol::ErrorRecord* Session::failure(JobId id) const {
  const Job* job = state_->find(id);
  return job != nullptr && job->failure() ? &*job->failure() : nullptr;
}

const std::optional<std::string>& Session::unreachable() const {
  return state_->unreachable;
}
bool Session::connected() const {
  return state_->welcome.has_value();
}
bool Session::has_jobs() const {
  return !state_->jobs.empty();
}

std::uint64_t Session::unread_bytes(JobId id) const {
  const Job* job = state_->find(id);
  return job != nullptr ? job->unread_bytes() : 0;
}

void Session::check_invariants() const {
  try {
    for (const auto& [id, job] : state_->jobs) job.check_invariants();
  } catch (const std::logic_error& broken) {
    throw std::logic_error(state_->story.after(broken.what(), state_->last_called));
  }
}

}  // namespace achilles::client
