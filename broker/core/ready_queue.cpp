#include "broker/core/ready_queue.hpp"

namespace achilles::broker {

using protocol::JobId;

void ReadyQueue::add(JobId job) {
  if (contains(job)) return;
  auto client = clients_.find(job.client);
  if (client == clients_.end()) {
    turns_.push_back({job.client, {}});
    client = clients_.emplace(job.client, std::prev(turns_.end())).first;
  }
  auto& jobs = client->second->jobs;
  jobs.push_back(job);
  jobs_.emplace(job, std::prev(jobs.end()));
}

void ReadyQueue::remove(JobId job) {
  const auto at = jobs_.find(job);
  if (at == jobs_.end()) return;
  const auto client = clients_.find(job.client);
  client->second->jobs.erase(at->second);
  jobs_.erase(at);
  if (client->second->jobs.empty()) {
    turns_.erase(client->second);
    clients_.erase(client);
  }
}

void ReadyQueue::rotate() {
  // Splicing moves list nodes without touching the iterators that are kept to them.
  auto& jobs = turns_.front().jobs;
  jobs.splice(jobs.end(), jobs, jobs.begin());
  turns_.splice(turns_.end(), turns_, turns_.begin());
}

std::vector<JobId> ReadyQueue::jobs() const {
  std::vector<JobId> all;
  all.reserve(jobs_.size());
  for (const auto& turn : turns_) all.insert(all.end(), turn.jobs.begin(), turn.jobs.end());
  return all;
}

}  // namespace achilles::broker
