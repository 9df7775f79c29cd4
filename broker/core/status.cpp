// What observers ask: how the broker is, and what a job waits for.
#include <algorithm>
#include <string>
#include <utility>

#include "broker/core/state.hpp"
#include "protocol/version.hpp"

namespace achilles::broker {

using protocol::Role;

namespace {

constexpr std::size_t kLabelBytesMax = 256;
/// Of workers, and of jobs: a status must fit into one message.
constexpr std::size_t kStatusEntriesMax = 10'000;
/// Of workers that a sentence names.
constexpr std::size_t kWorkersNamedMax = 16;

std::string counted(std::uint64_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

const char* state_name(const Worker& worker) {
  if (worker.suspect) return "suspect";
  if (worker.draining) return "draining";
  if (worker.quarantined_until) return "quarantined";
  return "ready";
}

}  // namespace

void Scheduler::State::on_status_request(Peer& peer) {
  protocol::StatusReply reply;
  reply.boot = options.boot;
  reply.host = options.host;
  reply.pid = options.pid;
  reply.library_version = protocol::kLibraryVersion;
  reply.uptime_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(last_call - started).count());
  reply.rejected_messages = rejected_messages;
  reply.clients = static_cast<std::uint32_t>(clients.present());
  for (const auto& [id, worker] : workers.all()) {
    if (reply.workers.size() == kStatusEntriesMax) break;
    const Peer* at = peers.find(worker.peer);
    reply.workers.push_back({.id = id,
                             .name = worker.name,
                             .host = worker.host,
                             .pid = at != nullptr ? at->pid : 0,
                             .slots = worker.slots,
                             .running_chunks = worker.attempts.size() - worker.unaccepted,
                             .done_chunks = worker.done_chunks,
                             .crashes = worker.crashes,
                             .state = state_name(worker)});
  }
  for (const auto& [id, job] : jobs.all()) {
    if (reply.jobs.size() == kStatusEntriesMax) break;
    const Peer* at = peers.find(Role::kClient, id.client.value);
    reply.jobs.push_back(
        {.job = id,
         .label = clipped(job.open.label, kLabelBytesMax),
         .client = at == nullptr ? "" : at->name + "@" + at->host + ":" + std::to_string(at->pid),
         .done_items = job.done_items,
         .running_items = job.assigned_items,
         .queued_items = job.queued_items,
         .requeued_chunks = job.requeued_chunks});
  }
  send(peer.id, std::move(reply));
}

void Scheduler::State::on_why_request(Peer& peer, const protocol::WhyRequest& request) {
  protocol::WhyReply reply;
  reply.job = clipped(request.job, kLabelBytesMax);
  for (const auto& [id, job] : jobs.all()) {
    if (to_string(id) != request.job) continue;
    explain(job, reply.reasons);
    for (auto& line : story.lines(last_call, id)) reply.story.push_back(std::move(line));
  }
  send(peer.id, std::move(reply));
}

void Scheduler::State::explain(const Job& job, std::vector<std::string>& reasons) const {
  const Client& client = *clients.find(job.id().client);
  if (!job.opened && client.present()) {
    reasons.push_back("Its client is back, and has not opened the job again yet.");
  } else if (!job.opened) {
    reasons.push_back("Its client is away. The job is closed in " +
                      protocol::in_seconds(client.away_until - last_call) +
                      ", unless the client comes back.");
  }
  explain_workers(job, reasons);
  explain_queue(job, reasons);
  if (job.opened && job.unfinished_chunks() == 0) {
    reasons.push_back("All that its client has submitted is done (" +
                      counted(job.done_items, "item") +
                      "). It waits for the client, which reads its input or its results.");
  }
}

void Scheduler::State::explain_workers(const Job& job, std::vector<std::string>& reasons) const {
  for (const auto worker_id : job.workers) {
    const Worker& worker = *workers.find(worker_id);
    const std::string where = "worker " + worker.name + "@" + worker.host;
    std::uint64_t running = 0;
    std::uint64_t waiting = 0;
    const Attempt* oldest = nullptr;
    for (const auto id : worker.attempts) {
      const Attempt& attempt = *attempts.find(id);
      if (attempt.job != job.id() || attempt.delivered) continue;
      if (attempt.announced) {
        waiting += attempt.granted ? 0 : 1;
        continue;
      }
      ++running;
      if (oldest == nullptr || attempt.assigned < oldest->assigned) oldest = &attempt;
    }
    if (oldest != nullptr) {
      reasons.push_back("There are " + counted(running, "chunk") + " of it at " + where +
                        ", the one from item " + std::to_string(oldest->chunk.first) + " on for " +
                        protocol::in_seconds(last_call - oldest->assigned) + ".");
    }
    if (waiting > 0) {
      reasons.push_back("At " + where + " results of " + counted(waiting, "chunk") +
                        " wait until the client has room for them.");
    }
  }
}

void Scheduler::State::explain_queue(const Job& job, std::vector<std::string>& reasons) const {
  const Job::Next next = job.next_queued();
  if (next.chunk == nullptr) return;
  const std::string queued =
      counted(job.queued.size(), "chunk") + " of it " + (job.queued.size() == 1 ? "waits" : "wait");
  if (job.withheld_until) {
    reasons.push_back(queued +
                      " because their client has just come, with work from before: workers may "
                      "follow that have it already.");
    return;
  }
  if (!may_run(job, next)) {
    reasons.push_back(queued + " for room for their results: the client has not read what it has.");
    return;
  }
  std::uint64_t able = 0;
  std::uint64_t unable = 0;
  std::string others;
  for (const auto& [id, worker] : workers.all()) {
    const auto refused = worker.refused.find(job.open.program);
    if (worker.takes(job.open.program)) {
      ++able;
    } else if (++unable > kWorkersNamedMax) {
      continue;
    } else if (refused != worker.refused.end()) {
      others += " Worker " + worker.name + " cannot run the program: " + refused->second + ".";
    } else {
      others += " Worker " + worker.name + " is " +
                (worker.slots == 0 || worker.awaited ? "just coming" : state_name(worker)) + ".";
    }
  }
  if (unable > kWorkersNamedMax) {
    others += " So do not " + counted(unable - kWorkersNamedMax, "other worker") + ".";
  }
  if (able == 0) {
    reasons.push_back(queued + " because no worker is connected that takes them." + others);
  } else {
    reasons.push_back(queued + " for a free slot: all that take them are busy (" +
                      counted(able, "worker") + ", " + counted(jobs.all().size(), "open job") +
                      ")." + others);
  }
}

}  // namespace achilles::broker
