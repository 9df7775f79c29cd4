#include "tests/sim/client_actor.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/limits.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {
namespace {

client::SessionOptions options_of(const ClientPlan& plan, std::uint64_t id, std::size_t brokers) {
  client::SessionOptions options;
  options.id = {id};
  options.name = "client" + std::to_string(id);
  options.brokers = brokers;
  options.connect_timeout = 0s;
  options.result_bytes_max = plan.result_bytes_max;
  return options;
}

}  // namespace

ClientActor::ClientActor(World& world, const ClientPlan& plan) : world_(world), plan_(plan) {
  if (plan_.starts_after == 0s) {
    start();
  } else {
    start_after(plan_.starts_after);
  }
}

void ClientActor::start_after(p::Duration down) {
  world_.timeline.after(down, [this, life = life_] {
    if (life == life_ && !session_) start();
  });
}

void ClientActor::start() {
  id_ = {world_.draw_id()};
  session_ = std::make_unique<client::Session>(options_of(plan_, id_.value, world_.plan().brokers),
                                               world_.now());
  for (const auto& thread : plan_.threads) threads_.push_back({thread, 0, {}, {}, false});
  world_.network().connect(*this);
  session_->connect(world_.now(), out_);
  carry_out();
  world_.has_news(*this);
}

void ClientActor::crash(p::Duration down) {
  ++life_;
  session_.reset();
  threads_.clear();
  inbox_.clear();
  out_.clear();
  world_.network().disconnect(*this, false);
  start_after(down);
}

void ClientActor::leave() {
  world_.network().send_to_broker(*this, p::Bye{"the Pool is closed"});
  world_.network().disconnect(*this, true);
  session_.reset();
  inbox_.clear();
}

bool ClientActor::over() const {
  if (!session_) return !threads_.empty();  // It left; or its next run is still to come.
  return std::ranges::all_of(threads_, [](const Thread& thread) {
    return thread.loops.empty() && thread.next_job == thread.plan.size();
  });
}

std::string ClientActor::describe() const {
  if (!session_) return "client " + std::to_string(id_.value) + " is not there";
  std::string text = "client " + std::to_string(id_.value) + " (peer " +
                     std::to_string(peer.value) + ")" +
                     (session_->connected() ? " in session:" : " without a broker:");
  for (const auto& thread : threads_) {
    text += thread.waits ? " waits in" : " is in";
    for (const auto& loop : thread.loops) {
      text += " job " + std::to_string(loop.job.number) + " (" + std::to_string(loop.taken) +
              " taken, " + std::to_string(loop.submitted) + " submitted, of " +
              std::to_string(loop.seen.size()) + ")";
    }
    if (thread.busy_until > world_.now()) text += " (its user pauses)";
    text += ";";
  }
  return text;
}

std::optional<p::TimePoint> ClientActor::next_deadline() const {
  if (!session_) return std::nullopt;
  auto next = session_->next_deadline();
  for (const auto& thread : threads_) {
    if (thread.busy_until > world_.now() && (!next || thread.busy_until < *next)) {
      next = thread.busy_until;
    }
  }
  return next;
}

void ClientActor::turn() {
  if (!session_) return;
  for (std::size_t i = 0; i < kMessagesPerTurn && !inbox_.empty(); ++i) {
    auto event = inbox_.take();
    const auto* message = std::get_if<client::BrokerMessage>(&event);
    const auto* results = message ? std::get_if<p::Results>(&message->message) : nullptr;
    const bool has_results = results != nullptr;
    const std::uint64_t to_accept = has_results ? note_costs(*results) : 0;
    accepted_ = 0;
    const bool in_session = session_->connected();
    step(std::move(event));
    if (!has_results || !in_session) continue;
    world_.demand(accepted_ == to_accept, "a client does not acknowledge all results that came");
    check_credit();
  }
  if (const auto due = session_->next_deadline(); due && *due <= world_.now()) {
    session_->expire(world_.now(), out_);
    carry_out(true);
  }
  for (bool moved = true; std::exchange(moved, false);) {
    for (auto& thread : threads_) moved = advance(thread) || moved;
  }
  if (plan_.says_bye && over()) leave();
}

bool ClientActor::advance(Thread& thread) {
  if (thread.busy_until > world_.now() || thread.waits) return false;
  if (thread.loops.empty()) {
    if (thread.next_job == thread.plan.size()) return false;
    open(thread, thread.plan[thread.next_job++]);
    return true;
  }
  Loop& loop = thread.loops.back();
  const JobPlan& plan = loop.record->plan;
  if (const auto* failure = session_->failure(loop.job)) {
    failed(thread, *failure);
  } else if (plan.leave_after && loop.taken >= *plan.leave_after) {
    close(thread);
  } else if (session_->has_result(loop.job)) {
    take(thread);
  } else if (!loop.input_ended && loop.submitted == plan.items) {
    loop.input_ended = true;
    step(client::InputEnded{loop.job});
  } else if (!loop.input_ended && session_->wants_input(loop.job)) {
    // Fast inputs come several chunks at a time, where the session takes them.
    const std::uint64_t chunks_max = std::min<std::uint64_t>(session_->chunks_wanted(loop.job), 4);
    const std::uint64_t chunks = 1 + world_.random.below(chunks_max);
    submit(loop, chunks * session_->next_chunk_items(loop.job));
  } else if (session_->finished(loop.job)) {
    world_.demand(loop.taken == plan.items, "a job is finished without all its results");
    if (world_.was_calm()) {
      const unsigned most = plan.second_attempts ? 2 : 1;
      world_.demand(std::ranges::all_of(loop.record->runs,
                                        [most](auto runs) { return runs >= 1 && runs <= most; }) ||
                        !loop.record->deaths.empty(),
                    "an item was executed too often although nothing is wrong");
    }
    close(thread);
  } else {
    thread.waits = true;
    step(client::ConsumerWaits{loop.job});
  }
  return true;
}

void ClientActor::failed(Thread& thread, const p::ErrorRecord& failure) {
  // When only workers are connected on which no task process lives, the broker may say so.
  const bool may_be = failure.kind == p::ErrorKind::kProgramRefused &&
                      world_.count().faults[static_cast<std::size_t>(FaultKind::kBrokenWorker)] > 0;
  if (!may_be) world_.fail("the job failed: " + failure.detail);
  ++world_.count().failed_jobs;
  while (!thread.loops.empty()) close(thread);
}

void ClientActor::open(Thread& thread, const JobPlan& plan) {
  Loop loop;
  loop.job = {id_, ++last_job_};
  loop.record = &world_.open_job(loop.job, plan);
  loop.seen.resize(plan.items);
  loop.next_inner = plan.inner ? plan.inner_every : UINT64_MAX;
  client::JobOpened opened;
  opened.spec.job = loop.job;
  opened.spec.program.hash.fill(plan.program);
  opened.spec.context = p::Bytes::copy("context");
  opened.spec.crash_limit = plan.crash_limit;
  opened.spec.second_attempts = plan.second_attempts;
  opened.ordered = plan.ordered;
  opened.chunksize = plan.chunksize;
  if (plan.known_size) opened.item_count = plan.items;
  step(std::move(opened));
  if (plan.eager) {
    const std::uint64_t count = plan.chunksize != 0 ? plan.chunksize : 3;
    while (loop.submitted < plan.items) submit(loop, count);
  }
  thread.loops.push_back(std::move(loop));
}

void ClientActor::submit(Loop& loop, std::uint64_t count) {
  const JobPlan& plan = loop.record->plan;
  world_.demand(count > 0, "a chunk of no items is wanted, or none at all");
  count = std::min(count, plan.items - loop.submitted);
  step(client::ChunkClosed{loop.job, plan.inputs(loop.submitted, count)});
  loop.submitted += count;
}

void ClientActor::take(Thread& thread) {
  Loop& loop = thread.loops.back();
  const JobPlan& plan = loop.record->plan;
  const auto piece = session_->take_result(world_.now(), loop.job, out_);
  carry_out();
  check(loop, piece);
  if (plan.pause_percent != 0 && world_.random.chance(plan.pause_percent)) {
    thread.busy_until = world_.now() + world_.random.between(1us, plan.pause);
  }
  if (loop.taken >= loop.next_inner) {
    loop.next_inner = loop.taken + plan.inner_every;
    open(thread, *plan.inner);
  }
}

void ClientActor::close(Thread& thread) {
  const p::JobId job = thread.loops.back().job;
  thread.loops.pop_back();
  step(client::JobClosed{job});
}

void ClientActor::step(client::Event event) {
  session_->step(world_.now(), std::move(event), out_);
  carry_out();
}

void ClientActor::carry_out(bool judging) {
  ++world_.count().steps;
  if (world_.to_be_checked(steps_)) session_->check_invariants();
  while (!out_.empty()) {
    for (auto& command : std::exchange(out_, {})) {
      if (auto* send = std::get_if<client::SendToBroker>(&command)) {
        const auto* accepted = std::get_if<p::Accepted>(&send->message);
        if (accepted != nullptr) accepted_ += accepted->attempts.size();
        world_.network().send_to_broker(*this, std::move(send->message));
      } else if (const auto* reconnect = std::get_if<client::Reconnect>(&command)) {
        world_.demand(!judging || alert(world_.now()) - heard_at >= world_.silence_min(),
                      "a client gave up a broker that was not silent");
        world_.demand(!judging || !world_.was_calm(),
                      "a client lost its broker although nothing is wrong");
        inbox_.clear();
        world_.network().connect(*this, reconnect->broker);
        session_->connect(world_.now(), out_);
      } else if (const auto* ask = std::get_if<client::AskWhetherThere>(&command)) {
        world_.network().ask(*this, ask->broker);
      } else if (const auto* wake = std::get_if<client::WakeConsumer>(&command)) {
        for (auto& thread : threads_) {
          if (!thread.loops.empty() && thread.loops.back().job == wake->job) thread.waits = false;
        }
      } else if (const auto* serve = std::get_if<client::ServeProgram>(&command)) {
        world_.network().send_to_broker(*this, world_.program_part(serve->request));
      }
    }
  }
}

}  // namespace achilles::sim
