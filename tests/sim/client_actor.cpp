#include "tests/sim/client_actor.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/limits.hpp"

namespace achilles::sim {
namespace {

client::SessionOptions options_of(const ClientPlan& plan, std::uint64_t id) {
  client::SessionOptions options;
  options.id = {id};
  options.name = "client" + std::to_string(id);
  options.connect_timeout = 0s;
  options.result_bytes_max = plan.result_bytes_max;
  return options;
}

}  // namespace

ClientActor::ClientActor(World& world, const ClientPlan& plan, std::uint64_t id)
    : world_(world), session_(options_of(plan, id), world.now()), id_{id} {
  for (const auto& thread : plan.threads) threads_.push_back({thread, 0, {}, {}, false});
  world_.connect(*this);
  session_.connect(world_.now(), out_);
  carry_out();
}

bool ClientActor::over() const {
  return std::ranges::all_of(threads_, [](const Thread& thread) {
    return thread.loops.empty() && thread.next_job == thread.plan.size();
  });
}

std::string ClientActor::describe() const {
  std::string text = "client " + std::to_string(id_.value) +
                     (session_.connected() ? " in session:" : " without a broker:");
  for (const auto& thread : threads_) {
    text += thread.waits ? " waits in" : " is in";
    for (const auto& loop : thread.loops) {
      text += " job " + std::to_string(loop.job.number) + " (" + std::to_string(loop.taken) +
              " taken, " + std::to_string(loop.submitted) + " submitted, of " +
              std::to_string(loop.seen.size()) + ")";
    }
    text += ";";
  }
  return text;
}

std::optional<p::TimePoint> ClientActor::next_deadline() const {
  auto next = session_.next_deadline();
  for (const auto& thread : threads_) {
    if (thread.busy_until > world_.now() && (!next || thread.busy_until < *next)) {
      next = thread.busy_until;
    }
  }
  return next;
}

void ClientActor::turn() {
  while (!inbox_.empty()) {
    auto event = std::move(inbox_.front());
    inbox_.pop_front();
    step(std::move(event));
  }
  if (const auto due = session_.next_deadline(); due && *due <= world_.now()) {
    session_.expire(world_.now(), out_);
    carry_out();
  }
  for (bool moved = true; std::exchange(moved, false);) {
    for (auto& thread : threads_) moved = advance(thread) || moved;
  }
}

bool ClientActor::advance(Thread& thread) {
  if (thread.busy_until > world_.now() || thread.waits) return false;
  if (thread.loops.empty()) {
    if (thread.next_job == thread.plan.size()) return false;
    open(thread, thread.plan[thread.next_job++]);
    return true;
  }
  Loop& loop = thread.loops.back();
  const JobPlan& plan = world_.job(loop.job);
  if (const auto* failure = session_.failure(loop.job)) {
    world_.fail("the job failed: " + failure->detail);
  }
  if (plan.leave_after && loop.taken >= *plan.leave_after) {
    close(thread);
  } else if (session_.has_result(loop.job)) {
    take(thread);
  } else if (!loop.input_ended && loop.submitted == plan.items) {
    loop.input_ended = true;
    step(client::InputEnded{loop.job});
  } else if (!loop.input_ended && session_.wants_input(loop.job)) {
    submit(loop, session_.next_chunk_items(loop.job));
  } else if (session_.finished(loop.job)) {
    world_.demand(loop.taken == plan.items, "a job is finished without all its results");
    close(thread);
  } else {
    thread.waits = true;
    step(client::ConsumerWaits{loop.job});
  }
  return true;
}

void ClientActor::open(Thread& thread, const JobPlan& plan) {
  Loop loop;
  loop.job = {id_, ++last_job_};
  loop.seen.resize(plan.items);
  loop.next_inner = plan.inner ? plan.inner_every : UINT64_MAX;
  world_.add_job(loop.job, plan);
  client::JobOpened opened;
  opened.spec.job = loop.job;
  opened.spec.program.hash.fill(plan.program);
  opened.spec.context = p::Bytes::copy("context");
  opened.spec.crash_limit = plan.crash_limit;
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
  const JobPlan& plan = world_.job(loop.job);
  world_.demand(count > 0, "a chunk of no items is wanted");
  count = std::min(count, plan.items - loop.submitted);
  step(client::ChunkClosed{loop.job, plan.inputs(loop.submitted, count)});
  loop.submitted += count;
}

void ClientActor::take(Thread& thread) {
  Loop& loop = thread.loops.back();
  const JobPlan& plan = world_.job(loop.job);
  const auto piece = session_.take_result(world_.now(), loop.job, out_);
  carry_out();
  check(loop, piece);
  if (world_.random.chance(plan.pause_percent)) {
    thread.busy_until = world_.now() + world_.random.between(1us, plan.pause);
  }
  if (loop.taken >= loop.next_inner) {
    loop.next_inner = loop.taken + plan.inner_every;
    open(thread, *plan.inner);
  }
}

void ClientActor::check(Loop& loop, const p::ChunkResult& piece) {
  const JobPlan& plan = world_.job(loop.job);
  world_.demand(piece.job == loop.job, "a result is another job's");
  world_.demand(piece.items.count() > 0, "a result without items was handed over");
  p::ItemCursor values(piece.items.layout, piece.items.payload.span());
  auto error = piece.errors.begin();
  for (p::ItemIndex item = piece.first; item < piece.first + piece.items.count(); ++item) {
    world_.demand(item < loop.submitted, "there is a result of an item that was never given");
    world_.demand(!loop.seen[item], "an item's result was delivered twice");
    world_.demand(!plan.ordered || item == loop.taken, "results are out of order");
    loop.seen[item] = true;
    ++loop.taken;
    const bool failed = error != piece.errors.end() && error->index == item;
    check_item(plan, item, failed ? &*error : nullptr, values.next());
    if (failed) ++error;
  }
  world_.demand(error == piece.errors.end(), "an error names an item outside its result");
  world_.note_delivered(piece.items.count());
}

void ClientActor::check_item(const JobPlan& plan, p::ItemIndex item, const p::ItemError* error,
                             std::span<const std::byte> value) {
  switch (plan.fate(item)) {
    case Fate::kThrows:
      world_.demand(error != nullptr && error->error.kind == p::ErrorKind::kUserException &&
                        error->error.causes.at(0).what == "item " + std::to_string(item),
                    "an exception did not come back as it was thrown");
      return;
    case Fate::kAlwaysCrashes: {
      const auto limit = plan.crash_limit != 0 ? plan.crash_limit : p::kDefaultCrashLimit;
      world_.demand(error != nullptr && error->error.kind == p::ErrorKind::kTaskCrashed &&
                        error->error.attempts == limit,
                    "a guilty item is not named after so many deaths");
      return;
    }
    case Fate::kFine:
    case Fate::kCrashesOnce:
      break;
  }
  world_.demand(error == nullptr, "an innocent item failed");
  const std::uint64_t word = plan.result_word(item);
  world_.demand(
      value.size() == plan.result_size(item) && std::memcmp(value.data(), &word, sizeof word) == 0,
      "a result is not its item's");
}

void ClientActor::close(Thread& thread) {
  const p::JobId job = thread.loops.back().job;
  thread.loops.pop_back();
  step(client::JobClosed{job});
}

void ClientActor::step(client::Event event) {
  session_.step(world_.now(), std::move(event), out_);
  carry_out();
}

void ClientActor::carry_out() {
  world_.note_step();
  session_.check_invariants();
  for (auto& command : std::exchange(out_, {})) {
    if (const auto* send = std::get_if<client::SendToBroker>(&command)) {
      world_.send_to_broker(*this, send->message);
    } else if (std::holds_alternative<client::Reconnect>(command)) {
      inbox_.clear();
      world_.connect(*this);
      session_.connect(world_.now(), out_);
    } else if (const auto* wake = std::get_if<client::WakeConsumer>(&command)) {
      for (auto& thread : threads_) {
        if (!thread.loops.empty() && thread.loops.back().job == wake->job) thread.waits = false;
      }
    } else if (const auto* serve = std::get_if<client::ServeProgram>(&command)) {
      const auto part = world_.program_part(serve->request);
      world_.send_to_broker(*this, part);
    }
  }
  if (!out_.empty()) carry_out();
}

}  // namespace achilles::sim
