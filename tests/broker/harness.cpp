#include "tests/broker/harness.hpp"

namespace achilles::broker::test {

p::Items items_of(std::uint64_t count, std::uint64_t bytes_per_item) {
  p::Items items;
  items.layout.count = count;
  items.layout.stride = static_cast<std::uint32_t>(bytes_per_item);
  items.payload = p::Bytes::own(std::vector<std::byte>(count * bytes_per_item));
  return items;
}

p::ChunkResult result_of(const p::Assignment& assignment, std::uint64_t bytes_per_item,
                         std::uint64_t busy_ns) {
  p::ChunkResult result;
  result.job = assignment.job;
  result.attempt = assignment.attempt;
  result.first = assignment.chunk.first;
  result.busy_ns = busy_ns;
  result.items = items_of(assignment.chunk.items.count(), bytes_per_item);
  return result;
}

void Broker::submit(std::uint64_t client, std::uint64_t number, std::uint64_t first,
                    std::uint64_t chunks, std::uint64_t count) {
  p::Submit submit;
  submit.job = {{client}, number};
  for (std::uint64_t i = 0; i < chunks; ++i) {
    submit.chunks.push_back({first + i * count, items_of(count)});
  }
  send(client, submit);
}

std::vector<p::Assignment> Broker::assigned(std::uint64_t worker) {
  std::vector<p::Assignment> all;
  auto& inbox = inboxes_[worker];
  while (!inbox.empty()) {
    if (auto* assign = std::get_if<p::Assign>(&inbox.front())) {
      for (auto& assignment : assign->chunks) all.push_back(std::move(assignment));
    } else if (!std::holds_alternative<p::OpenJob>(inbox.front()) &&
               !std::holds_alternative<p::Heartbeat>(inbox.front())) {
      break;
    }
    inbox.pop_front();
  }
  return all;
}

void Broker::finish(std::uint64_t worker, const p::Assignment& assignment,
                    std::uint64_t bytes_per_item, std::uint64_t busy_ns) {
  send(worker, p::Results{{result_of(assignment, bytes_per_item, busy_ns)}});
}

std::vector<p::ItemIndex> Broker::delivered(std::uint64_t client) {
  std::vector<p::ItemIndex> indices;
  auto& inbox = inboxes_[client];
  for (auto at = inbox.begin(); at != inbox.end();) {
    if (const auto* results = std::get_if<p::Results>(&*at)) {
      for (const auto& result : results->chunks) {
        for (std::uint64_t i = 0; i < result.items.count(); ++i)
          indices.push_back(result.first + i);
      }
      at = inbox.erase(at);
    } else {
      ++at;
    }
  }
  return indices;
}

}  // namespace achilles::broker::test
