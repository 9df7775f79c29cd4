#include "tests/sim/broker_meter.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <variant>

#include "protocol/codec.hpp"
#include "tests/sim/heap_account.hpp"
#include "tests/sim/world.hpp"

namespace achilles::sim {
namespace {

std::uint64_t cpu_clock_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

double calibrate() {
  constexpr int kTimes = 10'000;
  const std::uint64_t began = cpu_clock_ns();
  for (int i = 0; i < kTimes; ++i) cpu_clock_ns();
  return static_cast<double>(cpu_clock_ns() - began) / kTimes;
}

}  // namespace

BrokerMeter::BrokerMeter(World& world) : world_(world), calibrated_ns_(calibrate()) {
  bytes_before_ = heap_account::bytes();
  world_.broker().measure(this);
}

BrokerMeter::~BrokerMeter() {
  world_.broker().measure(nullptr);
}

void BrokerMeter::own(broker::Event& event) {
  auto* received = std::get_if<broker::MessageReceived>(&event);
  if (received == nullptr) return;
  heap_account::open();
  auto copy = p::decode(p::encode(received->message));
  received->message = std::move(std::get<p::Message>(copy));
  heap_account::close();
}

void BrokerMeter::begins() {
  heap_account::open();
  began_ns_ = cpu_clock_ns();
}

void BrokerMeter::ends() {
  const double spell =
      std::max(static_cast<double>(cpu_clock_ns() - began_ns_) - calibrated_ns_, 0.0);
  heap_account::close();
  const p::Duration elapsed = world_.timeline.elapsed();
  (elapsed < kWorkersHaveCome ? joining_ns_
   : elapsed < kFirstJob      ? waiting_ns_
                              : working_ns_) += spell;
  const std::uint64_t chunks = world_.broker().chunks();
  const std::int64_t bytes = heap_account::bytes() - bytes_before_;
  if (elapsed < kFirstJob) {
    idle_bytes_ = bytes;
  } else if (chunks > peak_chunks_) {
    peak_chunks_ = chunks;
    peak_bytes_ = bytes;
  }
}

std::string BrokerMeter::describe() const {
  const auto seconds = [](p::Duration time) { return std::chrono::duration<double>(time).count(); };
  const Tally tally = world_.tally();
  const auto workers = static_cast<double>(world_.plan().workers.size());
  const auto delivered = static_cast<double>(std::max<std::uint64_t>(tally.delivered_chunks, 1));
  const double heartbeats_ns = waiting_ns_ / seconds(kFirstJob - kWorkersHaveCome);
  const double for_chunks_ns =
      working_ns_ - heartbeats_ns * seconds(tally.virtual_time - kFirstJob);
  char text[512];
  std::snprintf(text, sizeof text,
                "%-16s %12.2f  us of CPU time a chunk; %.2f us a second for a worker's heartbeats, "
                "%.1f us for its coming\n",
                "broker", for_chunks_ns / delivered / 1e3, heartbeats_ns / workers / 1e3,
                joining_ns_ / workers / 1e3);
  std::string lines = text;
  if (!heap_account::counts()) return lines + "its heap is not counted in this build\n";
  std::snprintf(
      text, sizeof text, "%-16s %12.0f  bytes a chunk, when it had %llu; %.0f bytes a worker\n",
      "broker's heap",
      static_cast<double>(peak_bytes_ - idle_bytes_) /
          static_cast<double>(std::max<std::uint64_t>(peak_chunks_, 1)),
      static_cast<unsigned long long>(peak_chunks_), static_cast<double>(idle_bytes_) / workers);
  return lines + text;
}

}  // namespace achilles::sim
