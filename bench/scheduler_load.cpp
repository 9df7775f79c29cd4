#include "bench/scheduler_load.hpp"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace achilles::bench {
namespace p = protocol;
namespace {

constexpr std::uint64_t kClient = 1;
constexpr std::uint64_t kFirstWorker = 2;
/// A client submits no more than its window; a longer queue is one of several jobs.
constexpr std::uint64_t kChunksOfJob = 10'000;
constexpr std::uint64_t kChunksOfMessage = 256;

p::Items items_of(std::uint64_t count) {
  p::Items items;
  items.layout.count = count;
  items.layout.stride = 8;
  items.payload = p::Bytes::own(std::vector<std::byte>(count * 8));
  return items;
}

broker::SchedulerOptions without_limits() {
  broker::SchedulerOptions options;
  options.job_window_bytes = options.kept_bytes_max = 1ULL << 40;
  // Nobody is to be called lost because the driver took its time.
  options.heartbeat_interval = std::chrono::hours(1);
  return options;
}

}  // namespace

SchedulerLoad::SchedulerLoad(Size size) : size_(size), scheduler_(without_limits(), now_) {
  hello(kClient, p::Role::kClient);
  step(kClient, p::KeepJobs{});
  for (std::uint64_t i = 0; i < size_.workers; ++i) {
    hello(kFirstWorker + i, p::Role::kWorker);
    step(kFirstWorker + i, p::WorkerState{1, 4096, 64 << 20, false});
    step(kFirstWorker + i, p::Holding{});
  }
  settle();
  const std::uint64_t chunks =
      std::max<std::uint64_t>(size_.queued_items / size_.items_of_chunk, 1);
  jobs_ = (chunks + kChunksOfJob - 1) / kChunksOfJob;
  next_item_.resize(jobs_);
  for (std::uint64_t job = 0; job < jobs_; ++job) {
    open_job(job);
    for (std::uint64_t left = chunks / jobs_; left > 0;) {
      const std::uint64_t some = std::min(left, kChunksOfMessage);
      submit(job, some);
      left -= some;
    }
  }
  settle();
}

void SchedulerLoad::hello(std::uint64_t peer, p::Role role) {
  p::Hello hello;
  hello.role = role;
  hello.id = peer;
  hello.incarnation = 1;
  hello.name = "n" + std::to_string(peer);
  hello.host = "h" + std::to_string(peer % 100);
  step(peer, hello);
}

void SchedulerLoad::open_job(std::uint64_t number) {
  p::OpenJob open;
  open.job = {{kClient}, number};
  open.label = "f";
  step(kClient, open);
  step(kClient, p::ResultCredit{open.job, 1ULL << 50, std::nullopt});
}

void SchedulerLoad::submit(std::uint64_t number, std::uint64_t chunks) {
  p::Submit submit;
  submit.job = {{kClient}, number};
  for (std::uint64_t i = 0; i < chunks; ++i) {
    submit.chunks.push_back({next_item_[number], items_of(size_.items_of_chunk)});
    next_item_[number] += size_.items_of_chunk;
  }
  step(kClient, std::move(submit));
}

void SchedulerLoad::step(std::uint64_t peer, p::Message message) {
  events_.push_back(broker::MessageReceived{{peer}, std::move(message)});
}

/// A turn of the broker: takes in what was said, then hands out.
void SchedulerLoad::settle() {
  auto events = std::exchange(events_, {});
  broker::Commands commands;
  const auto began = std::chrono::steady_clock::now();
  for (auto& event : events) scheduler_.step(now_, std::move(event), commands);
  scheduler_.settle(now_, commands);
  if (const auto due = scheduler_.next_deadline(); due && *due <= now_) {
    scheduler_.expire(now_, commands);
  }
  busy_ns_ +=
      std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count();
  now_ += std::chrono::microseconds(20);
  take(commands);
}

void SchedulerLoad::take(broker::Commands& commands) {
  for (auto& command : commands) {
    auto* send = std::get_if<broker::SendMessage>(&command);
    if (send == nullptr) continue;
    if (auto* assign = std::get_if<p::Assign>(&send->message)) {
      take(send->peer.value, *assign);
    } else if (auto* results = std::get_if<p::Results>(&send->message)) {
      for (const auto& result : results->chunks) accepted_.attempts.push_back(result.attempt);
      delivered_ += results->chunks.size();
    } else {
      const auto* rejected = std::get_if<p::Rejected>(&send->message);
      if (rejected == nullptr) continue;
      throw std::logic_error("the core refuses its load: " + rejected->detail);
    }
  }
  for (const auto& [job, chunks] : std::exchange(to_submit_, {})) submit(job, chunks);
  if (!accepted_.attempts.empty()) step(kClient, std::exchange(accepted_, {}));
}

/// The worker has done it all, and the client replaces what left the queue.
void SchedulerLoad::take(std::uint64_t peer, p::Assign& assign) {
  p::Results results;
  for (auto& chunk : assign.chunks) {
    to_submit_[chunk.job.number] += 1;
    p::ChunkResult result;
    result.job = chunk.job;
    result.attempt = chunk.attempt;
    result.first = chunk.chunk.first;
    result.busy_ns = 1'000;
    result.items = std::move(chunk.chunk.items);
    results.chunks.push_back(std::move(result));
  }
  step(peer, std::move(results));
}

double SchedulerLoad::run(std::uint64_t chunks) {
  const std::uint64_t from = delivered_;
  const double busy_before = busy_ns_;
  while (delivered_ - from < chunks) {
    if (events_.empty()) throw std::logic_error("the core under load stands still");
    settle();
  }
  return (busy_ns_ - busy_before) / static_cast<double>(delivered_ - from);
}

}  // namespace achilles::bench
